"""What the passes of a layer's tiles do with the rings of weights and of constants, computed in one place.

A ring holds the parts of tiles in the order in which they were appended, and frees the oldest first. How long a tile's
part stays (`Residence`) is chosen for the layer; what each pass must load, where its part then lies and what it frees
(`RingUse`) follows from the order of the passes.
"""

import dataclasses
import enum
import itertools
from collections.abc import Sequence


class Residence(enum.Enum):
    """How long a tile's part is in a ring."""

    LAYER = enum.auto()
    """From the tile's first pass to its last: it is loaded once."""
    PASS = enum.auto()
    """For one pass: it is loaded again for the tile's next one."""
    GROUP = enum.auto()
    """For one group, while it passes through the ring: it is larger than the ring, and is loaded again for the next."""


@dataclasses.dataclass(frozen=True)
class Stays:
    """The tile's part stays in the ring for a later pass.

    Members
    -------
    load: tiles whose parts are appended to the ring before the pass; empty where the tile's own is there already.
    offset: words from the oldest one of the layer to the part's first.
    """

    load: range
    offset: int


@dataclasses.dataclass(frozen=True)
class Leaves:
    """The tile's part is the oldest in the ring, and the pass's last group frees it.

    Members
    -------
    load: as in `Stays`.
    words: that are freed.
    """

    load: range
    words: int


@dataclasses.dataclass(frozen=True)
class Streams:
    """Each group of the pass has the tile's part appended to the empty ring and frees it: so many words."""

    words: int


RingUse = Stays | Leaves | Streams
"""What a pass of a tile over a block does with its part of a ring."""


def residences(first: Sequence[int], depth: int, *, blocks_outside: bool) -> list[Residence]:
    """By tile how long its part of a ring stays: as long as the ring of `depth` words has room.

    Parameters
    ----------
    first: by tile the words of all tiles before it; one more entry at the end.
    blocks_outside: all tiles pass over a block before the next one comes; else a tile passes over all blocks at once.
    """
    room = Residence.LAYER if not blocks_outside or first[-1] <= depth else Residence.PASS
    return [Residence.GROUP if end - begin > depth else room for begin, end in itertools.pairwise(first)]


def ring_uses(
    tiles: Sequence[int], first: Sequence[int], ends: Sequence[int], residence: Sequence[Residence]
) -> list[RingUse]:
    """What each pass does with a ring.

    Parameters
    ----------
    tiles: of the passes, in order; in ascending order, or again and again in ascending order.
    first: by tile the words of all tiles before it; one more entry at the end.
    ends: by tile the end of the tiles that are loaded with it, where it is not there.
    residence: by tile.
    """
    last_pass = {tile: number for number, tile in enumerate(tiles)}
    uses: list[RingUse] = []
    there = range(0)  # tiles whose parts are in the ring
    for number, tile in enumerate(tiles):
        words = first[tile + 1] - first[tile]
        if residence[tile] is Residence.GROUP:
            assert not there, "what streams through a ring must find it empty"
            uses.append(Streams(words))
            continue
        load = range(0)
        if tile not in there:
            assert not there or tile == there.stop, "a ring is filled in the order of the tiles"
            load = range(tile, ends[tile])
            there = range(there.start if there else tile, load.stop)
        if residence[tile] is Residence.PASS or number == last_pass[tile]:
            assert tile == there.start, "a ring frees its oldest words first"
            uses.append(Leaves(load, words))
            there = there[1:]
        else:
            uses.append(Stays(load, first[tile] - first[there.start]))
    assert not there, "a layer leaves nothing in a ring"
    return uses

"""The map memory's plan: which maps stay on the chip, and where.

A map, or a chain of maps that are concatenated, lies there row by row, all channel words of a row side by side, in a
ring: it needs room for the rows that are in use at once, not for all of them.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence


@dataclasses.dataclass(frozen=True)
class RingNeed:
    """What a map needs of the map memory.

    Members
    -------
    name: of the map, or of the first one of its chain.
    rows: that are in use at once, at most.
    row_words: words of a row, all channel words and digits.
    first: what its first row may replace: the last instruction whose reads are over when it is written.
    last: the last instruction that reads it.
    saved: words that DDR carries less for it.
    """

    name: str
    rows: int
    row_words: int
    first: int
    last: int
    saved: int

    @property
    def words(self) -> int:
        return self.rows * self.row_words


@dataclasses.dataclass(frozen=True)
class MapRing:
    """A ring of rows in the map memory.

    Members
    -------
    begin: its first word. rows, row_words: as of `RingNeed`.
    """

    begin: int
    rows: int
    row_words: int

    @property
    def words(self) -> int:
        return self.rows * self.row_words

    @property
    def end(self) -> int:
        return self.begin + self.words

    def address(self, row: int) -> int:
        """The first word of a row of the map."""
        return self.begin + row % self.rows * self.row_words


_PREFERENCES: Sequence[Callable[[RingNeed], float]] = (
    lambda need: need.saved / need.words,
    lambda need: need.saved / need.words / (need.last - need.first + 1),
    lambda need: need.saved,
)
"""What is tried first: what saves most for its words, for its words and their time, or most of all."""


def place_rings(needs: Iterable[RingNeed], depth: int) -> dict[str, MapRing]:
    """The rings of those maps that are kept, by name: of the choices tried the one that saves DDR most words."""
    needs = list(needs)
    best: dict[str, MapRing] = {}
    most = 0
    for preference in _PREFERENCES:
        chosen: list[RingNeed] = []
        rings: dict[str, MapRing] = {}
        for need in sorted(needs, key=preference, reverse=True):
            if (placed := _allocate([*chosen, need], depth)) is not None:
                chosen.append(need)
                rings = placed
        if (saved := sum(need.saved for need in chosen)) > most:
            best, most = rings, saved
    return best


def _allocate(needs: Iterable[RingNeed], depth: int) -> dict[str, MapRing] | None:
    """A ring for each, largest first, at the lowest place where none is that is in use at the same time; None where
    one lies beyond the memory."""
    placed: list[tuple[RingNeed, MapRing]] = []
    for need in sorted(needs, key=lambda need: (-need.words, need.first, need.name)):
        begin = 0
        rivals = [ring for other, ring in placed if other.first < need.last and need.first < other.last]
        for ring in sorted(rivals, key=lambda ring: ring.begin):
            if begin + need.words <= ring.begin:
                break
            begin = max(begin, ring.end)
        if begin + need.words > depth:
            return None
        placed.append((need, MapRing(begin, need.rows, need.row_words)))
    return {need.name: ring for need, ring in placed}

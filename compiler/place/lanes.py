"""Which filter sits in which lane of which tile: a provably minimal number of tiles.

A filter's *mask* is the set of lane classes that hold all its weights. By Hall's theorem all filters fit T tiles
exactly if, for every set S of classes, no more filters have a mask inside S than T tiles have lanes of S.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ...hdl.encoding import code_table
from ...hdl.geometry import Geometry
from ...hdl.lane_classes import LaneClass
from ...quant.graph.formats import WeightFormat

LUT_FORMATS = {kind: WeightFormat.parse(kind.value.removeprefix("lut-")) for kind in LaneClass if kind.is_lut}
"""The weight format that a class of LUT lanes is made for, which the class is named after."""
DIGIT_CLASSES = tuple(kind for kind in LaneClass if kind.takes_digits)
"""Lanes that take weights of −128 … 127 as two digits."""


@dataclasses.dataclass(frozen=True, eq=False)
class Placement:
    """The lanes of a tensor's channels.

    Members
    -------
    lanes: int64, tiles × To: the channel in each filter lane, −1 where the lane idles.
    words: channel words that each tile stores: its output words up to the last that holds a channel.
    word_channels: Ti.
    """

    lanes: np.ndarray
    words: tuple[int, ...]
    word_channels: int

    @classmethod
    def joined(cls, parts: "Sequence[Placement]", firsts: Sequence[int]) -> "Placement":
        """The placement of a tensor whose channels from `firsts[n]` on have placement `parts[n]`."""
        lanes = [np.where(part.lanes < 0, -1, part.lanes + first) for part, first in zip(parts, firsts)]
        words = tuple(count for part in parts for count in part.words)
        return cls(np.concatenate(lanes), words, parts[0].word_channels)

    @property
    def tiles(self) -> int:
        return len(self.lanes)

    @cached_property
    def order(self) -> np.ndarray:
        """The channel at every stored position, −1 where there is none (see `MapLayout.order`)."""
        return np.concatenate([row[: count * self.word_channels] for row, count in zip(self.lanes, self.words)])

    @cached_property
    def first_word(self) -> tuple[int, ...]:
        """The stored channel word that each tile begins with; one more entry at the end: all words."""
        return (0, *itertools.accumulate(self.words))

    @cached_property
    def position(self) -> np.ndarray:
        """The stored position of every channel."""
        used = np.flatnonzero(self.order >= 0)
        position = np.zeros(len(used), np.int64)
        position[self.order[used]] = used
        return position


def natural(channels: int, word_channels: int) -> np.ndarray:
    """The order 0 … channels − 1, padded with −1 to whole words."""
    order = np.full(-(-channels // word_channels) * word_channels, -1, np.int64)
    order[:channels] = np.arange(channels)
    return order


def lane_classes(geometry: Geometry) -> tuple[LaneClass, ...]:
    """The classes that a tile has, in lane order; bit n of a mask is the n-th."""
    return tuple(dict.fromkeys(geometry.lanes))


def lane_masks(weight: np.ndarray, geometry: Geometry, *, digits: bool) -> np.ndarray:
    """Per filter the mask of lane classes that hold all its weights (int64).

    Parameters
    ----------
    weight: filters first.
    digits: the layer runs as two weight digits.
    """
    flat = weight.reshape(len(weight), -1)
    inside = (flat >= -128) & (flat <= 127)
    index = np.where(inside, flat + 128, 0)
    masks = np.zeros(len(weight), np.int64)
    for bit, kind in enumerate(lane_classes(geometry)):
        if digits:
            held = np.full(256, kind in DIGIT_CLASSES)
        else:
            held = np.zeros(256, bool)
            held[np.array(list(code_table(kind))) + 128] = True
        masks |= (held[index] & inside).all(axis=1).astype(np.int64) << bit
    return masks


def _capacity(lanes: Sequence[LaneClass], geometry: Geometry) -> np.ndarray:
    return np.array([sum(lane is kind for lane in lanes) for kind in lane_classes(geometry)], np.int64)


def _demand(masks: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(masks, minlength=1 << classes)


def _subset_demand(demand: np.ndarray, subset: int) -> int:
    return int(sum(count for mask, count in enumerate(demand) if mask & ~subset == 0))


def _fits(demand: np.ndarray, capacity: np.ndarray) -> bool:
    """Hall's condition."""
    return all(
        _subset_demand(demand, subset) <= sum(int(lanes) for bit, lanes in enumerate(capacity) if subset >> bit & 1)
        for subset in range(1 << len(capacity))
    )


def minimum_tiles(masks: np.ndarray, geometry: Geometry) -> int | None:
    """The least number of tiles that hold filters with these masks; None where no number does."""
    capacity = _capacity(geometry.lanes, geometry)
    demand = _demand(masks, len(capacity))
    tiles = 1
    for subset in range(1 << len(capacity)):
        needed = _subset_demand(demand, subset)
        lanes = sum(int(count) for bit, count in enumerate(capacity) if subset >> bit & 1)
        if needed and not lanes:
            return None
        if needed:
            tiles = max(tiles, -(-needed // lanes))
    return tiles


def place(masks: np.ndarray, geometry: Geometry, *, key: np.ndarray | None = None) -> Placement | None:
    """A placement in the least number of tiles, the last of which uses the fewest output words; None where none is.

    Parameters
    ----------
    masks: per channel the lane classes that may hold it.
    key: channels that compare lower come in earlier tiles, as far as the classes allow; default: the channel's number.
    """
    tiles = minimum_tiles(masks, geometry)
    if tiles is None:
        return None
    capacity = _capacity(geometry.lanes, geometry)
    demand = _demand(masks, len(capacity))
    for last_words in range(1, geometry.tile_words + 1):
        last_lanes = last_words * geometry.word_channels
        room = (tiles - 1) * capacity + _capacity(geometry.lanes[:last_lanes], geometry)
        if _fits(demand, room):
            break
    order = np.argsort(np.arange(len(masks)) if key is None else key, kind="stable")
    waiting = {
        mask: [int(channel) for channel in order[::-1] if masks[channel] == mask] for mask in set(masks.tolist())
    }
    ranks = np.empty(len(masks), np.int64)
    ranks[order] = np.arange(len(masks))
    bits = {kind: bit for bit, kind in enumerate(lane_classes(geometry))}
    lanes = np.full((tiles, geometry.tile_filters), -1, np.int64)
    for tile in range(tiles):
        for lane in range(geometry.tile_filters if tile < tiles - 1 else last_lanes):
            bit = bits[geometry.lanes[lane]]
            room[bit] -= 1
            # Invariant: what waits fits what is left. The least flexible filter first, then the lowest key.
            candidates = [mask for mask, left in waiting.items() if left and mask >> bit & 1]
            candidates.sort(key=lambda mask: (mask.bit_count(), ranks[waiting[mask][-1]]))
            for mask in candidates:
                demand[mask] -= 1
                if _fits(demand, room):
                    lanes[tile, lane] = waiting[mask].pop()
                    break
                demand[mask] += 1
    used = [np.flatnonzero(row >= 0)[-1] for row in lanes]
    words = tuple(int(lane) // geometry.word_channels + 1 for lane in used)
    return Placement(lanes, words, geometry.word_channels)

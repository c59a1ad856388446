"""What bits are allocated to: items, the sets of channels that they belong to, and what a network costs with bits."""

import dataclasses

import numpy as np

from ..graph.formats import FIXED4
from .lane_mix import LaneMix

NARROW_BITS = 4
"""The most bits that a 4-bit lane takes."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ChannelSet:
    """Layers that share one order of output channels.

    Members
    -------
    channels: of each of the layers.
    weights, macs, bit_operations: of one channel, summed over the layers; bit-operations for each bit of a weight.
    """

    channels: int
    weights: float
    macs: float
    bit_operations: float


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AllocationProblem:
    """Items to give bits to.

    Members
    -------
    sets: the channel sets.
    owner: int, items; the index of an item's set.
    channels: int, items; how many channels an item is.
    bits: the choices, ascending.
    loss: float, items × choices.
    mix: the lanes of a tile.
    """

    sets: tuple[ChannelSet, ...]
    owner: np.ndarray
    channels: np.ndarray
    bits: tuple[int, ...]
    loss: np.ndarray
    mix: LaneMix

    def cost(self, bits: np.ndarray, kind: str) -> float:
        """What the network costs with these bits (one number per item), in the kind's unit."""
        if kind == "latency":
            return float(sum(self._tiles(index, bits) * self.tile_cost(index) for index in range(len(self.sets))))
        return float((self.unit_costs(kind) * bits).sum())

    def unit_costs(self, kind: str) -> np.ndarray:
        """What one bit costs, by item, for size and bit-operations."""
        field = {"size": [entry.weights / 8 for entry in self.sets],
                 "bit-operations": [entry.bit_operations for entry in self.sets]}[kind]  # fmt: skip
        return np.asarray(field, float)[self.owner] * self.channels

    def base_tiles(self, index: int) -> int:
        """The fewest tiles that the channels of a set need."""
        return -(-self.sets[index].channels // self.mix.tile)

    @property
    def two_digits(self) -> bool:
        """Whether a tile can run as two weight digits."""
        return self.mix.lut == 0 or self.mix.lut_format == FIXED4

    def tile_choices(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """How many tiles a set may take, ascending, and how many of its channels can then have more than 4 bits."""
        channels, fixed8, base = self.sets[index].channels, self.mix.fixed8, self.base_tiles(index)
        most = max(base, -(-channels // fixed8)) if fixed8 else base
        tiles = np.arange(base, 2 * base + 1 if self.two_digits else most + 1)
        limits = np.minimum(fixed8 * tiles, channels)
        if self.two_digits:
            limits[-1] = channels
        return tiles, limits

    def tile_cost(self, index: int) -> float:
        """What a tile of a set costs in MAC slots."""
        return self.mix.tile * self.sets[index].macs

    def _tiles(self, index: int, bits: np.ndarray) -> float:
        base = self.base_tiles(index)
        wide = int(self.channels[(self.owner == index) & (bits > NARROW_BITS)].sum())
        choices = [2.0 * base] if self.two_digits else []
        if not wide:
            return base
        if self.mix.fixed8:
            choices.append(max(base, -(-wide // self.mix.fixed8)))
        return min(choices, default=float("inf"))

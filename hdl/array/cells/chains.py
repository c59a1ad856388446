"""In which cycle a LUT cell adds what: the timing that its operands must keep.

A cell adds the operands of its *units* in chains: a unit is a pair of channels or one channel. A chain takes `CHAIN`
units, `ADDITIONS` a cycle, so the operands of later units must come later. A chain that starts from a count adds that
in its first cycle; any other starts from a unit, and so takes one more unit in the first cycle.
"""

from dataclasses import dataclass
from functools import cached_property

CHAIN = 8
ADDITIONS = 2


@dataclass(frozen=True, kw_only=True)
class AdderChains:
    """The chains of a cell for a word of channels.

    Members
    -------
    unit_channels: channels of a unit, 1 or 2.
    counted: every chain starts from a count.
    """

    channels: int
    unit_channels: int
    counted: bool

    @cached_property
    def units(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Units by chain and by cycle of the chain."""
        first = ADDITIONS if self.counted else ADDITIONS + 1
        count = self.channels // self.unit_channels
        result = []
        for start in range(0, count, CHAIN):
            chain = tuple(range(start, min(start + CHAIN, count)))
            result.append((chain[:first], *(chain[i : i + ADDITIONS] for i in range(first, len(chain), ADDITIONS))))
        return tuple(result)

    @property
    def cycles(self) -> int:
        """Cycles of a chain."""
        return len(self.units[0])

    @property
    def unit_delays(self) -> tuple[int, ...]:
        """Cycles by which each unit's operands come later than those of unit 0."""
        delays = {unit: cycle for chain in self.units for cycle, units in enumerate(chain) for unit in units}
        return tuple(delays[unit] for unit in range(len(delays)))

    @property
    def channel_delays(self) -> tuple[int, ...]:
        """The same for each channel."""
        delays = self.unit_delays
        return tuple(delays[channel // self.unit_channels] for channel in range(self.channels))

"""What cells of LUT lanes have in common: one filter by one pixel lane, a step a cycle.

Every product is a function of at most five signals a bit, so that the adder that sums it absorbs it (see `arithmetic`).
Measured in docs/decisions/0001-lut-lanes.md.
"""

from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Elaboratable, Module, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...lane_classes import LaneClass
from ...modules import module_name
from ..arithmetic import Accumulator, ChainSum, Control, Term, tree, tree_levels
from .chains import AdderChains


class LutCell(wiring.Component):
    """A cell: chains of units, their sum, and an accumulator. A subclass says how products are made and summed.

    Parameters
    ----------
    lane: the class of the filter lane.
    weight: shape of a weight as the cell takes it.
    members: ports beyond those below. Of these, the pixel lane drives `pairs`, sums of channel pairs, delayed by
        `chains.unit_delays`, and `step_sum`, the sum of the word's codes, in cycle t + depth − 2; what `decoder`
        returns drives the others, from ports of the same names.
    chains: when which channels are added.

    Members
    -------
    codes: In, the pixel's codes, from cycle t + 1, delayed by `chains.channel_delays`.
    weights: In, likewise.
    control: In, cycle t + depth − 1.
    total: Out, as captured, from cycle t + depth + 2 on.
    """

    def __init__(
        self, lane: LaneClass, weight: Any, members: dict, *, chains: AdderChains, bits: int, accumulator_bits: int
    ) -> None:
        self.chains = chains
        self._lane = lane
        self._channels = chains.channels
        self._bits = bits
        self._accumulator_bits = accumulator_bits
        self._largest = (1 << bits) - 1
        super().__init__({
            "codes": In(data.ArrayLayout(unsigned(bits), self._channels)),
            "weights": In(data.ArrayLayout(weight, self._channels)),
            "control": In(Control),
            "total": Out(accumulator_bits),
            **members,
        })

    @property
    def depth(self) -> int:
        """Cycles from a word at its pixel lane (cycle t) to the sum of its products."""
        return 1 + self._lead + self.chains.cycles + tree_levels(len(self.chains.units)) + self._tail

    @property
    def _lead(self) -> int:
        """Cycles between the codes and the chains."""
        return 0

    @property
    def _tail(self) -> int:
        """Cycles after the chains' tree."""
        raise NotImplementedError

    def decoder(self) -> Any:
        """The component that decodes a filter's stored weights once for all its cells; None: they take them as stored.

        Its ports are `codes` (In, stored weights by channel, in cycle t), `weights`, and others of the cell's by name.
        """
        return None

    @property
    def module_name(self) -> str:
        return module_name("cell", self._lane.value, self._channels, self._bits, self._accumulator_bits)

    def _chain_sum(
        self,
        m: Module,
        operand: Callable[[int], Value],
        *,
        bits: int,
        unit_maximum: int,
        starts: Sequence[Value] | None = None,
    ) -> Term:
        """The sum of all units' operands, of `bits` bits, and of the starts, one a chain."""
        sums = []
        for index, chain in enumerate(self.chains.units):
            running = ChainSum(m, bits, starts[index] if starts is not None else None)
            for units in chain:
                for unit in units:
                    running.add(operand(unit))
                running.step()
            length = sum(map(len, chain))
            sums.append(running.result(length * unit_maximum + (length if starts is not None else 0)))
        return tree(m, sums)

    def _accumulate(self, m: Module, total: Value) -> None:
        m.d.comb += self.total.eq(
            Accumulator.controls(m, self.control).accumulate(m, total, self._accumulator_bits)
        )

    def elaborate(self, platform: object) -> Elaboratable:
        raise NotImplementedError

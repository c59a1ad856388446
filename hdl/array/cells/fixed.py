"""Fixed-point cells: for a pair of channels and a bit of their weights, one of 0, q0, q1, q0 + q1."""

from functools import partial

from amaranth.hdl import Elaboratable, Module, Mux, Value, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In

from ...lane_classes import LaneClass
from ...modules import module_name
from ..arithmetic import Term, add_shifted, register, tree_levels
from .cell import LutCell
from .chains import AdderChains


class FixedCell(LutCell):
    """Offset-binary weights of 4 or 8 bits: Σ stored weight · code, a plane for each bit of the weights.

    Members, beyond those of all cells
    -------
    pairs: In, sums of channel pairs, delayed like their channels.
    """

    def __init__(self, lane: LaneClass, *, channels: int, bits: int, accumulator_bits: int) -> None:
        super().__init__(
            lane,
            unsigned(lane.weight_bits),
            {"pairs": In(data.ArrayLayout(unsigned(bits + 1), channels // 2))},
            chains=AdderChains(channels=channels, unit_channels=2, counted=False),
            bits=bits,
            accumulator_bits=accumulator_bits,
        )

    @property
    def _tail(self) -> int:
        return tree_levels(self._lane.weight_bits)

    @property
    def module_name(self) -> str:
        return module_name("cell_fixed", self._lane.weight_bits, self._channels, self._bits, self._accumulator_bits)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()

        def selected(plane: int, pair: int) -> Value:
            first, second = (self.weights[2 * pair + i][plane] for i in range(2))
            q_first, q_second = (self.codes[2 * pair + i] for i in range(2))
            return Mux(second, Mux(first, self.pairs[pair], q_second), Mux(first, q_first, 0))

        planes = [
            self._chain_sum(m, partial(selected, plane), bits=self._bits + 1, unit_maximum=2 * self._largest)
            for plane in range(self._lane.weight_bits)
        ]
        self._accumulate(m, self._weighted(m, planes))
        return m

    def _weighted(self, m: Module, planes: list[Term]) -> Value:
        """The sums of planes, each times the weight of its bit, added: `_tail` cycles later."""
        level, shift = planes, 1
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [register(m, add_shifted(low, high, shift)) for low, high in pairs]
            shift *= 2
        return level[0].value

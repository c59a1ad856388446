"""Filter lanes in LUTs: one filter by one pixel lane, a step a cycle. What was measured: docs/decisions/0001-lut-lanes.md.

Every product is a function of at most five signals a bit, so that the adder that sums it up absorbs it (see `arithmetic`):

- fixed point: for a pair of channels and a bit of their weights, one of 0, q0, q1, q0 + q1, the last from the pixel lane;
- SP2: one of 0, q, 2q and one of 0, 4q, 8q, complemented when negative;
- PoT: q shifted by 0 … 3 in a LUT of its own, then by 0 or 4, or nothing, and complemented when negative.
"""

from collections.abc import Callable, Sequence

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import LaneClass
from ..modules import module_name
from .arithmetic import Accumulator, Control, Term, add, add_shifted, register, tree, tree_levels
from .lut_weights import CHAIN, PotWeight, Sp2Weight, chain_cycles, chains, sum_bits


class _Cell(wiring.Component):
    """What cells have in common: chains of units, and an accumulator.

    Members
    -------
    codes: In, the pixel's codes, from cycle t + 1, delayed by `channel_delays`.
    weights: In, likewise.
    control: In, cycle t + depth − 1.
    total: Out, as captured, from cycle t + depth + 2 on.
    """

    def __init__(
        self, lane: LaneClass, weight: object, members: dict, *, channels: int, bits: int, accumulator_bits: int
    ) -> None:
        self._lane = lane
        self._channels = channels
        self._bits = bits
        self._accumulator_bits = accumulator_bits
        self._largest = (1 << bits) - 1
        self._chains = chains(lane, channels)
        super().__init__({
            "codes": In(data.ArrayLayout(unsigned(bits), channels)),
            "weights": In(data.ArrayLayout(weight, channels)),
            "control": In(Control),
            "total": Out(accumulator_bits),
            **members,
        })

    @property
    def depth(self) -> int:
        """Cycles from a word at its pixel lane (cycle t) to the sum of its products."""
        return 1 + chain_cycles(self._lane, self._channels) + tree_levels(len(self._chains)) + self._tail

    @property
    def _tail(self) -> int:
        """Cycles after the chains' tree."""
        raise NotImplementedError

    @property
    def module_name(self) -> str:
        return module_name("cell", self._lane.value, self._channels, self._bits, self._accumulator_bits)

    def _chain_sum(
        self,
        m: Module,
        operand: Callable[[int], Term],
        *,
        starts: Sequence[Term] | None = None,
        bits: int | None = None,
    ) -> Term:
        """The sum of all units' operands (and starts, one a chain), modulo 2^bits."""
        sums = []
        for index, chain in enumerate(self._chains):
            running = starts[index] if starts is not None else None
            for units in chain:
                for unit in units:
                    running = operand(unit) if running is None else add(running, operand(unit), bits=bits)
                running = register(m, running)
            sums.append(running)
        return tree(m, sums, bits=bits)

    def _accumulate(self, m: Module, total: Value) -> None:
        m.d.comb += self.total.eq(
            Accumulator.controls(m, self.control).accumulate(m, total, self._accumulator_bits)
        )


class FixedCell(_Cell):
    """Offset-binary weights of `planes` bits, 4 or 8: Σ stored weight · code.

    Members, beyond those of all cells
    -------
    pairs: In, sums of channel pairs, delayed like their channels.
    """

    def __init__(self, *, planes: int, channels: int, bits: int, accumulator_bits: int) -> None:
        self._planes = planes
        super().__init__(
            LaneClass.LUT_FIXED4,
            unsigned(planes),
            {"pairs": In(data.ArrayLayout(unsigned(bits + 1), channels // 2))},
            channels=channels,
            bits=bits,
            accumulator_bits=accumulator_bits,
        )

    @property
    def _tail(self) -> int:
        return tree_levels(self._planes)

    @property
    def module_name(self) -> str:
        return module_name("cell_fixed", self._planes, self._channels, self._bits, self._accumulator_bits)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()

        def selected(pair: int, plane: int) -> Term:
            first, second = (self.weights[2 * pair + i][plane] for i in range(2))
            q_first, q_second = (self.codes[2 * pair + i] for i in range(2))
            value = Mux(second, Mux(first, self.pairs[pair], q_second), Mux(first, q_first, 0))
            return Term(value, 2 * self._largest)

        level = [
            self._chain_sum(m, lambda pair, plane=plane: selected(pair, plane)) for plane in range(self._planes)
        ]
        shift = 1
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [register(m, add_shifted(low, high, shift)) for low, high in pairs]
            shift *= 2
        self._accumulate(m, level[0].value)
        return m


class Sp2Cell(_Cell):
    """SP2-4 weights: Σ (w + 8) · code, as 8 · Σ code plus the signed products, all modulo 2^`sum_bits`.

    Members, beyond those of all cells
    -------
    negatives, corrections: In, of `LutWeights`.
    step_sum: In, the sum of the word's codes, in cycle t + depth − 2.
    """

    _tail = 2

    def __init__(self, *, channels: int, bits: int, accumulator_bits: int) -> None:
        self._total_bits = sum_bits(channels, bits)
        count = len(chains(LaneClass.LUT_SP2, channels))
        super().__init__(
            LaneClass.LUT_SP2,
            Sp2Weight,
            {
                "negatives": In(data.ArrayLayout(unsigned(min(CHAIN, channels).bit_length()), count)),
                "corrections": In(data.ArrayLayout(unsigned(self._total_bits - 2), count)),
                "step_sum": In(unsigned((channels * ((1 << bits) - 1)).bit_length())),
            },
            channels=channels,
            bits=bits,
            accumulator_bits=accumulator_bits,
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        width = self._bits + 1

        def product(channel: int, once: str, twice: str) -> Term:
            weight, code = self.weights[channel], self.codes[channel]
            magnitude = Mux(weight[twice], Cat(Const(0, 1), code), Mux(weight[once], code, 0))
            return Term(magnitude ^ weight.negative.replicate(width), (1 << width) - 1)

        upper_bits = self._total_bits - 2
        most = min(CHAIN, self._channels)
        lower = self._chain_sum(
            m,
            lambda channel: product(channel, "one", "two"),
            starts=[Term(count, most) for count in self.negatives],
            bits=self._total_bits,
        )
        upper = self._chain_sum(
            m,
            lambda channel: product(channel, "four", "eight"),
            starts=[Term(start, (1 << upper_bits) - 1) for start in self.corrections],
            bits=upper_bits,
        )
        # Σq · 8 is two units of the upper chain's four.
        offset = Term(self.step_sum, self._channels * self._largest)
        upper = register(m, add_shifted(upper, offset, 1, bits=upper_bits))
        total = register(m, add_shifted(register(m, lower), upper, 2, bits=self._total_bits))
        self._accumulate(m, total.value[: self._total_bits])
        return m


class PotCell(_Cell):
    """PoT-4 weights: Σ w · code, signed.

    Members, beyond those of all cells
    -------
    negatives, negative: In, of `LutWeights`.
    """

    _tail = 1

    def __init__(self, *, channels: int, bits: int, accumulator_bits: int) -> None:
        count = len(chains(LaneClass.LUT_POT, channels))
        super().__init__(
            LaneClass.LUT_POT,
            PotWeight,
            {
                "negatives": In(data.ArrayLayout(unsigned(min(CHAIN, channels).bit_length()), count)),
                "negative": In(unsigned(channels.bit_length())),
            },
            channels=channels,
            bits=bits,
            accumulator_bits=accumulator_bits,
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        width = self._bits + 6  # of q · 64

        def product(channel: int) -> Term:
            weight = self.weights[channel]
            near = Signal(self._bits + 3)
            m.d.comb += near.eq(self.codes[channel] << weight.shift)
            shifted = Mux(weight.far, Cat(Const(0, 4), near), near)[:width]
            return Term((shifted & weight.nonzero.replicate(width)) ^ weight.negative.replicate(width), (1 << width) - 1)

        most = min(CHAIN, self._channels)
        unsigned_sum = self._chain_sum(m, product, starts=[Term(count, most) for count in self.negatives])
        # A sum of n-bit complements is 2^n too large for each negative weight.
        total_bits = (self._channels * self._largest * 64).bit_length() + 1
        high = (unsigned_sum.value[width:] - self.negative)[: total_bits - width]
        total = Signal(total_bits, reset_less=True)
        m.d.sync += total.eq(Cat(unsigned_sum.value[:width], high))
        self._accumulate(m, total.as_signed())
        return m

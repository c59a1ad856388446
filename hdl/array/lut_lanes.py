"""Filter lanes in LUTs: one filter by one pixel lane, a step a cycle. Measured in docs/decisions/0001-lut-lanes.md.

Every product is a function of at most five signals a bit, so that the adder that sums it absorbs it (see `arithmetic`):

- fixed point: for a pair of channels and a bit of their weights, one of 0, q0, q1, q0 + q1 (from the pixel lane);
- SP2: one of 0, q, 2q and one of 0, 4q, 8q, complemented when negative;
- PoT: q shifted by 0 … 3 in a LUT of its own, then by 0 or 4, or nothing, and complemented when negative.
"""

from collections.abc import Callable, Sequence
from functools import partial

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import LaneClass
from ..modules import module_name
from .arithmetic import Accumulator, ChainSum, Control, Term, add_shifted, delay, register, tree, tree_levels
from .lut_weights import (
    PotWeight,
    Sp2Weight,
    chain_cycles,
    chains,
    correction_bits,
    negatives_layout,
    product_bits,
    shifting_cycles,
    sum_bits,
)


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
        cycles = shifting_cycles(self._lane) + chain_cycles(self._lane, self._channels)
        return 1 + cycles + tree_levels(len(self._chains)) + self._tail

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
        operand: Callable[[int], Value],
        *,
        bits: int,
        unit_maximum: int,
        starts: Sequence[Value] | None = None,
    ) -> Term:
        """The sum of all units' operands, of `bits` bits, and of the starts, one a chain."""
        sums = []
        for index, chain in enumerate(self._chains):
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

        def selected(plane: int, pair: int) -> Value:
            first, second = (self.weights[2 * pair + i][plane] for i in range(2))
            q_first, q_second = (self.codes[2 * pair + i] for i in range(2))
            return Mux(second, Mux(first, self.pairs[pair], q_second), Mux(first, q_first, 0))

        level = [
            self._chain_sum(m, partial(selected, plane), bits=self._bits + 1, unit_maximum=2 * self._largest)
            for plane in range(self._planes)
        ]
        shift = 1
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [register(m, add_shifted(low, high, shift)) for low, high in pairs]
            shift *= 2
        self._accumulate(m, level[0].value)
        return m


class _SignedCell(_Cell):
    """Cells whose products are complemented when negative.

    Members, beyond those of all cells
    -------
    negatives, correction: In, of `LutWeights`.
    """

    def __init__(
        self, lane: LaneClass, weight: object, members: dict, *, channels: int, bits: int, accumulator_bits: int
    ) -> None:
        self._product_bits = product_bits(lane, bits)
        self._sum_bits = sum_bits(lane, channels, bits)
        own = {
            "negatives": In(negatives_layout(lane, channels)),
            "correction": In(correction_bits(lane, channels, bits)),
        }
        widths = {"channels": channels, "bits": bits, "accumulator_bits": accumulator_bits}
        super().__init__(lane, weight, {**own, **members}, **widths)

    def _products(self, m: Module, magnitude: Callable[[int], Value]) -> Term:
        """Σ of the magnitudes, complemented where the weight is negative, plus `negatives`."""

        def complemented(channel: int) -> Value:
            return magnitude(channel) ^ self.weights[channel].negative.replicate(self._product_bits)

        return self._chain_sum(
            m,
            complemented,
            bits=self._product_bits,
            unit_maximum=(1 << self._product_bits) - 1,
            starts=list(self.negatives),
        )

    def _corrected(self, total: Term) -> Value:
        """The total without the multiples of 2^n that complements added, modulo 2^`sum_bits`."""
        cut = self._product_bits
        return Cat(total.value[:cut], (total.value[cut:] - self.correction)[: self._sum_bits - cut])


class Sp2Cell(_SignedCell):
    """SP2-4 weights: Σ (w + 8) · code, as 8 · Σ code plus the signed products, all modulo 2^`sum_bits`.

    Members, beyond those of signed cells
    -------
    step_sum: In, the sum of the word's codes, in cycle t + depth − 2.
    """

    _tail = 2

    def __init__(self, *, channels: int, bits: int, accumulator_bits: int) -> None:
        step_sum = In(unsigned((channels * ((1 << bits) - 1)).bit_length()))
        super().__init__(
            LaneClass.LUT_SP2,
            Sp2Weight,
            {"step_sum": step_sum},
            channels=channels,
            bits=bits,
            accumulator_bits=accumulator_bits,
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()

        def part_of(name: str, channel: int) -> Value:
            part, code = self.weights[channel][name], self.codes[channel]
            return Mux(part == 2, Cat(Const(0, 1), code), Mux(part == 1, code, 0))

        low = self._products(m, partial(part_of, "low"))
        high = self._products(m, partial(part_of, "high"))
        # The offset, 8 · Σ code, is two units of the high part's four.
        offset = Term(self.step_sum, self._channels * self._largest)
        high = register(m, add_shifted(high, offset, 1, bits=self._sum_bits - 2))
        low = register(m, Term(self._corrected(low), (1 << self._sum_bits) - 1))
        self._accumulate(m, register(m, add_shifted(low, high, 2, bits=self._sum_bits)).value)
        return m


class PotCell(_SignedCell):
    """PoT-4 weights: Σ w · code, signed."""

    _tail = 1

    def __init__(self, *, channels: int, bits: int, accumulator_bits: int) -> None:
        widths = {"channels": channels, "bits": bits, "accumulator_bits": accumulator_bits}
        super().__init__(LaneClass.LUT_POT, PotWeight, {}, **widths)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        near = []
        for channel, code in enumerate(self.codes):
            near.append(Signal(self._bits + 3, name=f"near_{channel}", reset_less=True))
            m.d.sync += near[-1].eq(code << self.weights[channel].shift)

        def magnitude(channel: int) -> Value:
            weight = self.weights[channel]
            shifted = Mux(weight.far, Cat(Const(0, 4), near[channel]), near[channel])
            return Mux(weight.nonzero, shifted, 0)[: self._product_bits]

        total = self._corrected(self._products(m, magnitude))
        self._accumulate(m, delay(m, total, 1).as_signed())
        return m

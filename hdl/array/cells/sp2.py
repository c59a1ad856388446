"""SP2-4 cells: one of 0, q, 2q and one of 0, 4q, 8q, complemented when negative."""

from functools import partial

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Value, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In

from ...lane_classes import LaneClass
from ..arithmetic import Term, add_shifted, register
from .chains import AdderChains
from .signed import SignedCell, SignedForm


class Sp2Weight(data.Struct):
    """A decoded SP2 weight: ± (low · q + high · 4q), where 3 means 0 like 0."""

    low: unsigned(2)
    high: unsigned(2)
    negative: unsigned(1)


def decode(code: Value) -> Value:
    """The bits of an `Sp2Weight`."""
    magnitude = code[:3]
    return Cat(code[:2], (magnitude >= 3) & (magnitude != 7), magnitude == 7, code[3])


class Sp2Cell(SignedCell):
    """SP2-4 weights: Σ (w + 8) · code, as 8 · Σ code plus the signed products, all modulo 2^`sum_bits`.

    Low and high parts are summed apart, each of operands up to 2q; a negative weight's low part adds 2^n too much, its
    high part, of weight 4, four times that.

    Members, beyond those of signed cells
    -------
    step_sum: In, the sum of the word's codes, in cycle t + depth − 2.
    """

    _tail = 2

    def __init__(self, lane: LaneClass, *, channels: int, bits: int, accumulator_bits: int) -> None:
        largest = channels * ((1 << bits) - 1)
        form = SignedForm(
            lane=lane,
            chains=AdderChains(channels=channels, unit_channels=1, counted=True),
            weight=Sp2Weight,
            decode=decode,
            product_bits=bits + 1,
            sum_bits=(16 * largest).bit_length(),
            correction_factor=5,
        )
        step_sum = In(unsigned(largest.bit_length()))
        super().__init__(form, {"step_sum": step_sum}, bits=bits, accumulator_bits=accumulator_bits)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        sum_bits = self._form.sum_bits

        def part_of(name: str, channel: int) -> Value:
            part, code = self.weights[channel][name], self.codes[channel]
            return Mux(part == 2, Cat(Const(0, 1), code), Mux(part == 1, code, 0))

        low = self._products(m, partial(part_of, "low"))
        high = self._products(m, partial(part_of, "high"))
        # The offset, 8 · Σ code, is two units of the high part's four.
        offset = Term(self.step_sum, self._channels * self._largest)
        high = register(m, add_shifted(high, offset, 1, bits=sum_bits - 2))
        low = register(m, Term(self._corrected(low), (1 << sum_bits) - 1))
        self._accumulate(m, register(m, add_shifted(low, high, 2, bits=sum_bits)).value)
        return m

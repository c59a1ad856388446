"""PoT-4 cells: q shifted by 0 … 3 in a LUT of its own, then by 0 or 4, or nothing, and complemented when negative."""

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data

from ...lane_classes import LaneClass
from ..arithmetic import delay
from .chains import AdderChains
from .signed import SignedCell, SignedForm


class PotWeight(data.Struct):
    """A decoded PoT weight: ± q · 2^(shift + 4 · far), or zero. All but `shift` is used a cycle later."""

    shift: unsigned(2)
    far: unsigned(1)
    nonzero: unsigned(1)
    negative: unsigned(1)


def decode(code: Value) -> Value:
    """The bits of a `PotWeight`."""
    nonzero = code[:3].any()
    exponent = Mux(nonzero, code[:3] - 1, 0)[:3]
    return Cat(exponent, nonzero, code[3])


class PotCell(SignedCell):
    """PoT-4 weights: Σ w · code, signed; operands and sums of up to 64 · q."""

    _tail = 1

    def __init__(self, lane: LaneClass, *, channels: int, bits: int, accumulator_bits: int) -> None:
        form = SignedForm(
            lane=lane,
            chains=AdderChains(channels=channels, unit_channels=1, counted=True),
            weight=PotWeight,
            decode=decode,
            late_from=2,
            product_bits=bits + 6,
            sum_bits=(64 * channels * ((1 << bits) - 1)).bit_length() + 1,
        )
        super().__init__(form, {}, bits=bits, accumulator_bits=accumulator_bits)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        near = []
        for channel, code in enumerate(self.codes):
            near.append(Signal(self._bits + 3, name=f"near_{channel}", reset_less=True))
            m.d.sync += near[-1].eq(code << self.weights[channel].shift)

        def magnitude(channel: int) -> Value:
            weight = self.weights[channel]
            shifted = Mux(weight.far, Cat(Const(0, 4), near[channel]), near[channel])
            return Mux(weight.nonzero, shifted, 0)[: self._form.product_bits]

        total = self._corrected(self._products(m, magnitude))
        self._accumulate(m, delay(m, total, 1).as_signed())
        return m

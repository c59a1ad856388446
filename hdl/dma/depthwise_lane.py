"""A lane of the depthwise unit: kernels, nine products a cycle, a requantizer."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Module, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..array.arithmetic import ChainSum, Term, add_shifted, delay, register, tree_levels
from ..array.dsp48 import MultiplyAdd
from ..compute.clip import CLIP_CYCLES, shift_and_clip
from ..geometry import Geometry
from ..interfaces import struct_layout
from ..modules import module_name, place

WEIGHT_BITS = 8
_GROUPS = ((0,), (1, 2), (3, 4), (5, 6), (7, 8))
"""Taps that are added together; the single one first, because what an adder absorbs must be the wider summand."""
_ZERO = Const(0, signed(1))


class DepthwiseLane(wiring.Component):
    """Every cycle a window of one of its S = Ti / D channels: clip((Σ weight · code · M + B) >> shift, 0, maximum).

    No DSP for the products: bit b of the codes of two taps selects 0, one of their weights or the sum of both, and
    the adder that takes what was selected computes the selection in the same LUT. The taps are added one pair a cycle,
    the bits together; what belongs to a later pair is selected by `phase` later. One DSP multiplies by M and adds B.

    Members
    -------
    digits, load: In, a digit of the S channels' next kernels, lowest digits first.
    take: In, they become the kernels; only when no window is under way.
    window: In, nine taps of S channels' codes.
    phase: In, the channel.
    shift, maximum: In; they do not change while a window is under way.
    code: Out, `latency` cycles after window and phase.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        self._channels = g.word_channels // g.depthwise_channels
        codes = data.ArrayLayout(unsigned(g.activation_bits), self._channels)
        super().__init__({
            "digits": In(data.ArrayLayout(unsigned(isa.DIGIT_BITS), self._channels)),
            "load": In(1),
            "take": In(1),
            "window": In(data.ArrayLayout(codes, isa.KERNEL_TAPS)),
            "phase": In(range(self._channels)),
            "shift": In(6),
            "maximum": In(8),
            "code": Out(g.activation_bits),
        })
        bits = g.activation_bits + WEIGHT_BITS + 4
        self._product = MultiplyAdd(g.dsp, a_bits=bits, b_bits=18, add="c", c_bits=44)
        self.parts = [self._product]

    @property
    def module_name(self) -> str:
        g = self._geometry
        return module_name("depthwise_lane", g.dsp.value, g.activation_bits, self._channels)

    @property
    def _sum_cycles(self) -> int:
        """Cycles to the sum of products: codes, groups, bits, offsets."""
        return 1 + len(_GROUPS) + tree_levels(self._geometry.activation_bits) + 1

    @property
    def latency(self) -> int:
        return self._sum_cycles + self._product.latency + CLIP_CYCLES

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layout = struct_layout(isa.KERNEL_LAYOUT)
        kernels = [Signal(layout, name=f"kernel_{index}", reset_less=True) for index in range(self._channels)]
        for index, kernel in enumerate(kernels):
            following = Signal.like(kernel.as_value(), name=f"next_kernel_{index}")
            with m.If(self.load):
                m.d.sync += following.eq(Cat(following[isa.DIGIT_BITS:], self.digits[index]))
            with m.If(self.take):
                m.d.sync += kernel.eq(following)
        phases: list[Value] = [self.phase]  # by age

        def of_phase(choices: Sequence[Value], age: int) -> Value:
            """What the phase of `age` cycles ago selects."""
            while len(phases) <= age:
                phases.append(delay(m, phases[-1], 1))
            return Array(choices)[phases[age]] if len(choices) > 1 else choices[0]

        def of_kernel(field: str, age: int) -> Value:
            return of_phase([kernel[field] for kernel in kernels], age)

        # Cycle 0: the codes. Cycle n: those of group n − 1 select from its weights.
        codes = [_later(m, of_phase(list(tap), 0)) for tap in self.window]
        planes = [ChainSum(m, WEIGHT_BITS + 1, None) for _ in range(self._geometry.activation_bits)]
        for age, group in enumerate(_GROUPS):
            weights = [of_kernel(f"weight_{tap}", age) for tap in group]
            options = [_ZERO, *(_register(m, weight) if self._channels > 1 else weight for weight in weights)]
            if len(group) == 2:
                options.append(_register(m, weights[0] + weights[1]))
            for bit, plane in enumerate(planes):
                selected = Array(options)[Cat(codes[tap][bit] for tap in group)]
                half = len(group) << (WEIGHT_BITS - 1)
                plane.add(selected.as_unsigned()[: half.bit_length()] ^ half)
                plane.step()
            codes = [_later(m, code) for code in codes]
        # Bits by twos, by fours, by eights; at last what the offsets added is taken away.
        terms = [plane.result(isa.KERNEL_TAPS * ((1 << WEIGHT_BITS) - 1)) for plane in planes]
        shift = 1
        while len(terms) > 1:
            terms = [_joined(m, terms[i : i + 2], shift) for i in range(0, len(terms), 2)]
            shift *= 2
        owed = (isa.KERNEL_TAPS << (WEIGHT_BITS - 1)) * ((1 << len(planes)) - 1)
        accumulator = _register(m, (terms[0].value - owed)[: len(self._product.a)].as_signed())

        # The requantizer.
        age, product = self._sum_cycles, self._product
        m.submodules.product = place(platform, product)
        m.d.comb += [
            product.a.eq(accumulator),
            product.b.eq(of_kernel("multiplier", age)),
            product.c.eq(of_kernel("bias", age + product.c_lag)),
            self.code.eq(shift_and_clip(m, product.p, shift=self.shift, maximum=self.maximum, steady=True)),
        ]
        return m


def _register(m: Module, value: Value) -> Signal:
    """The value a cycle later."""
    later = Signal(value.shape(), reset_less=True)
    m.d.sync += later.eq(value)
    return later


def _later(m: Module, value: Value) -> Signal:
    """The bits a cycle later. The reset keeps them from becoming shift registers, which take LUTs."""
    later = Signal(len(value))
    m.d.sync += later.eq(value)
    return later


def _joined(m: Module, terms: Sequence[Term], shift: int) -> Term:
    """One term, or the first and 2^shift times the second, a cycle later."""
    low, *high = terms
    return register(m, add_shifted(low, high[0], shift)) if high else Term(_later(m, low.value), low.maximum)

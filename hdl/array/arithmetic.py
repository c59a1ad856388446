"""Pipelined sums, written so that a LUT in front of a carry chain also computes the operand it adds.

On 7 series and UltraScale+ one LUT per bit feeds the carry chain: it computes x ^ y, and the chain's multiplexer takes x
itself. If x is a plain signal and y a function of five others, y costs nothing. Yosys keeps that shape as long as x is the
left operand and the additions of one cycle are not gathered into one multi-operand sum, which it turns into carry-save
adders of two LUTs a bit: `add` takes the lowest bit around the adder, at no cost, to keep them apart.
"""

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..modules import module_name


class Term(NamedTuple):
    """An unsigned value and the largest it can be; sums of terms are exactly as wide as they must be."""

    value: Value
    maximum: int


class Control(data.Struct):
    """What an accumulator does with a sum: `hdl.interfaces.Step` without `count`."""

    valid: unsigned(1)
    clear: unsigned(1)
    shift: unsigned(1)
    last: unsigned(1)


def add(left: Term, right: Term, *, bits: int | None = None) -> Term:
    """left + right (modulo 2^bits); the right operand is absorbed where it is a function of at most five signals."""
    maximum = left.maximum + right.maximum
    if bits is not None:
        maximum = min(maximum, (1 << bits) - 1)
    x, y = left.value, right.value
    total = (x + y)[: maximum.bit_length()]
    return Term(Cat(x[0] ^ y[0], total[1:]), maximum)


def add_shifted(low: Term, high: Term, shift: int, *, bits: int | None = None) -> Term:
    """low + high · 2^shift (modulo 2^bits)."""
    upper = add(Term(low.value[shift:], low.maximum >> shift), high, bits=None if bits is None else bits - shift)
    return Term(Cat(low.value[:shift], upper.value), (upper.maximum << shift) + (1 << shift) - 1)


def register(m: Module, term: Term) -> Term:
    """The term one cycle later, without reset."""
    return Term(delay(m, term.value, 1), term.maximum)


def delay(m: Module, value: Value, cycles: int) -> Value:
    """A value some cycles later, without reset."""
    for _ in range(cycles):
        later = Signal(len(value), reset_less=True)
        m.d.sync += later.eq(value)
        value = later
    return value


def tree_levels(count: int) -> int:
    """Levels of `tree` over `count` terms."""
    return (count - 1).bit_length()


def tree(m: Module, terms: Sequence[Term], *, bits: int | None = None) -> Term:
    """The sum of terms (modulo 2^bits), a register after every level: valid `tree_levels` cycles later."""
    level = list(terms)
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [register(m, add(*pair, bits=bits) if len(pair) == 2 else pair[0]) for pair in pairs]
    return level[0]


class Accumulator(NamedTuple):
    """Shared controls of a lane's accumulators, registered in the lane so that their fan-out stays local."""

    control: data.View
    capture: Signal

    @classmethod
    def controls(cls, m: Module, control: data.View) -> "Accumulator":
        """Register `control`, which comes one cycle before the totals that it belongs to."""
        local = Signal(Control, attrs={"keep": "TRUE"})
        capture = Signal(attrs={"keep": "TRUE"})
        m.d.sync += [local.eq(control), capture.eq(local.valid & local.last)]
        return cls(local, capture)

    def accumulate(self, m: Module, total: Value, bits: int) -> Value:
        """One accumulator of unsigned or signed totals; its captured value changes two cycles after a `last` total."""
        accumulator = Signal(bits, reset_less=True)
        captured = Signal(bits, reset_less=True)
        shifted = Mux(self.control.shift, Cat(Const(0, 4), accumulator)[:bits], accumulator)
        with m.If(self.control.valid):
            m.d.sync += accumulator.eq(total + Mux(self.control.clear, 0, shifted))
        with m.If(self.capture):
            m.d.sync += captured.eq(accumulator)
        return captured


class Skew(wiring.Component):
    """Delays element i of a vector by `delays[i]` cycles.

    Members
    -------
    input, output: arrays of len(delays) elements of `bits` bits.
    """

    def __init__(self, *, bits: int, delays: Sequence[int]) -> None:
        self._bits = bits
        self._delays = tuple(delays)
        layout = data.ArrayLayout(unsigned(bits), len(delays))
        super().__init__({"input": In(layout), "output": Out(layout)})

    @property
    def module_name(self) -> str:
        return module_name("skew", self._bits, "".join(map(str, self._delays)))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for index, cycles in enumerate(self._delays):
            m.d.comb += self.output[index].eq(delay(m, self.input[index], cycles))
        return m

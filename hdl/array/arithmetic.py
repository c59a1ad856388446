"""Pipelined sums, shaped so that the LUT in front of a carry chain also computes the operand it adds.

On 7 series and UltraScale+ one LUT per bit feeds the carry chain: it computes x ^ y, and the chain's multiplexer takes
x itself. If x is a plain signal and y a function of five others, y costs nothing (`ChainSum`). What synthesis was seen
to do with it, and why the code looks as it does: docs/decisions/0001-lut-lanes.md.
"""

from collections.abc import Sequence
from functools import reduce
from operator import xor
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
    """left + right (modulo 2^bits)."""
    maximum = left.maximum + right.maximum
    if bits is not None:
        maximum = min(maximum, (1 << bits) - 1)
    return Term((left.value + right.value)[: maximum.bit_length()], maximum)


def add_shifted(low: Term, high: Term, shift: int, *, bits: int | None = None) -> Term:
    """low + high · 2^shift (modulo 2^bits)."""
    upper = add(Term(low.value[shift:], low.maximum >> shift), high, bits=None if bits is None else bits - shift)
    return Term(Cat(low.value[:shift], upper.value), (upper.maximum << shift) + (1 << shift) - 1)


def register(m: Module, term: Term) -> Term:
    """The term one cycle later."""
    return Term(delay(m, term.value, 1), term.maximum)


def delay(m: Module, value: Value, cycles: int) -> Value:
    """A value some cycles later. Long delays have a reset, only to stay flip-flops: shift registers take LUTs."""
    for _ in range(cycles):
        later = Signal(len(value), reset_less=cycles < 3)
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


def count_ones(bits: Sequence[Value]) -> list[Value]:
    """How many of the bits are set, as bits, by full and half adders without carry chains."""
    digits = []
    column = list(bits)
    while column:
        carries = []
        while len(column) > 1:
            taken, column = column[:3], column[3:]
            carry = taken[0] & taken[1]
            if len(taken) == 3:
                carry = carry | taken[2] & (taken[0] | taken[1])
            carries.append(carry)
            column.append(reduce(xor, taken))
        digits += column
        column = carries
    return digits


class ChainSum:
    """A sum of equally wide operands, one after another, each absorbed by the adder that adds it.

    The running sum is as wide as an operand. What an addition carries out is added by the next one, above its operand;
    what that carries out in turn is kept aside and counted at the end.
    """

    def __init__(self, m: Module, bits: int, start: Value | None) -> None:
        """`start` is narrower than `bits`, or None."""
        self._m = m
        self._bits = bits
        self._sum = start
        self._carry: list[Value] = []
        self._twos: list[Value] = []

    def add(self, operand: Value) -> None:
        """Add an operand of at most `bits` bits.

        Yosys makes the narrower of two summands the left one, which it does not absorb: the carry makes the operand
        the wider one.
        """
        if self._sum is None:
            self._sum = operand
            return
        bits = self._bits
        total = Signal(bits + 1 + len(self._carry))
        self._m.d.comb += total.eq(self._sum + Cat(operand[:bits], *self._carry))
        self._twos.extend(total[bits + 1 :])
        self._sum, self._carry = total[:bits], [total[bits]]

    def step(self) -> None:
        """Everything into registers."""
        self._sum = delay(self._m, self._sum, 1)
        self._carry = [delay(self._m, carry, 1) for carry in self._carry]
        for index, two in enumerate(self._twos):
            # A reset keeps these flip-flops: shift registers would take LUTs.
            self._twos[index] = Signal()
            self._m.d.sync += self._twos[index].eq(two)

    def result(self, maximum: int) -> Term:
        """The sum, which cannot exceed `maximum`."""
        return Term(Cat(self._sum, *self._carry, *count_ones(self._twos))[: maximum.bit_length()], maximum)


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

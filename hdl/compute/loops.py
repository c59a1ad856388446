"""COMPUTE's loop nest: counters, the activation address, the column and the pass."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..interfaces import LOCAL_ADDRESS_BITS, instruction_layout

LOOPS = ("channels", "kernel_x", "kernel_y", "passes", "outputs_x", "outputs_y")
"""The counts of the loop nest, innermost first."""

_GROUP_LOOPS = LOOPS.index("passes") + 1
"""Loops within an accumulator group."""

_COLUMN_BITS = 20
"""Σ of 4095 · 63 (x), 255 (kernel_x) and − 63 (pad_left), signed."""


class LoopNest(wiring.Component):
    """Walks an instruction's loop nest, a step in every cycle with `step`; all outputs are registers.

    With `load`, the last step of an instruction begins `instruction`; without one, `start` does. From the next cycle on
    `current` is that instruction, and the outputs describe its first step. `load` and `start` come early in a cycle and
    only `step` late, so that the way to the many registers here is short.

    Members
    -------
    instruction: In, the instruction to begin; `ones` has a bit for each of `LOOPS` whose count is 1.
    load: In, `instruction` follows; with a last step, and with `start`.
    step, start: In, a step is taken; `instruction` begins though none is.
    last: Out, a bit for each of `LOOPS`: it is in its last iteration.
    group_last, final: Out, the accumulator group's last step, and the instruction's: registers of their own.
    first_of_pass, first_of_group: Out.
    number: Out, the pass.
    address: Out, activation address.
    outside: Out, the column is outside the row held in memory (a cycle *after* the step).
    """

    def __init__(self) -> None:
        layout = instruction_layout(isa.COMPUTE)
        super().__init__({
            "instruction": In(layout),
            "ones": In(len(LOOPS)),
            "load": In(1),
            "step": In(1),
            "start": In(1),
            "current": Out(layout),
            "last": Out(len(LOOPS)),
            "group_last": Out(1),
            "final": Out(1),
            "first_of_pass": Out(1),
            "first_of_group": Out(1),
            "number": Out(2),
            "address": Out(LOCAL_ADDRESS_BITS),
            "outside": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        current = Signal.like(self.current, reset_less=True)
        m.d.comb += self.current.eq(current)
        ones = Signal(len(LOOPS), reset_less=True)
        self._advance = Signal()
        m.d.comb += self._advance.eq(self.step | self.start)
        with m.If(self.load & (self.step | self.start)):
            m.d.sync += [current.eq(self.instruction), ones.eq(self.ones)]

        # Each counter holds the iterations left, this one included; whether it is the last is a register of its own.
        inner_last = Const(1)
        following = []  # of `last`, when a step is taken
        for index, name in enumerate(LOOPS):
            count = current[name]
            left = Signal.like(count, name=f"{name}_left", reset_less=True)
            last = self.last[index]
            with m.If(self._advance & (self.load | inner_last)):
                with m.If(self.load):
                    m.d.sync += [left.eq(self.instruction[name]), last.eq(self.ones[index])]
                with m.Elif(last):
                    m.d.sync += [left.eq(count), last.eq(ones[index])]
                with m.Else():
                    m.d.sync += [left.eq(left - 1), last.eq(left == 2)]
            following.append(Mux(inner_last, Mux(last, ones[index], left == 2), last))
            inner_last = inner_last & last
        for output, inner in ((self.group_last, _GROUP_LOOPS), (self.final, len(LOOPS))):
            with m.If(self._advance):
                m.d.sync += output.eq(Mux(self.load, self.ones[:inner].all(), Cat(following[:inner]).all()))

        self._advance_address(m)
        self._advance_column(m)
        with m.If(self._advance):
            pass_end = self.last[:3].all()
            m.d.sync += [
                self.first_of_pass.eq(self.load | pass_end),
                self.first_of_group.eq(self.load | (pass_end & self.last[3])),
            ]
            with m.If(self.load):
                m.d.sync += self.number.eq(0)
            with m.Elif(pass_end):
                m.d.sync += self.number.eq((self.number + 1) & ~self.last[3].replicate(2))
        return m

    def _advance_address(self, m: Module) -> None:
        current, last = self.current, self.last
        delta = Signal(signed(LOCAL_ADDRESS_BITS))
        by_pass = Array([current.delta_pass_1, current.delta_pass_2, current.delta_pass_3, current.delta_pass_3])
        with m.If(~last[0]):
            m.d.comb += delta.eq(current.delta_channel)
        with m.Elif(~last[1]):
            m.d.comb += delta.eq(current.delta_kernel_x)
        with m.Elif(~last[2]):
            m.d.comb += delta.eq(current.delta_kernel_y)
        with m.Elif(~last[3]):
            m.d.comb += delta.eq(by_pass[self.number])
        with m.Elif(~last[4]):
            m.d.comb += delta.eq(current.delta_x)
        with m.Else():
            m.d.comb += delta.eq(current.delta_y)
        with m.If(self._advance):
            m.d.sync += self.address.eq(Mux(self.load, self.instruction.base, self.address + delta))

    def _advance_column(self, m: Module) -> None:
        current, last = self.current, self.last
        column = Signal(signed(_COLUMN_BITS))
        window = Signal(signed(_COLUMN_BITS))  # column of the window's first position
        origin = Signal(signed(_COLUMN_BITS))
        step = Signal(6)
        moved = Signal(signed(_COLUMN_BITS))
        # What the next column would be does not depend on whether a step is taken.
        m.d.comb += [origin.eq(column), moved.eq(origin + step)]
        with m.If(~last[1]):
            m.d.comb += step.eq(1)
        with m.Elif(~last[2:4].all()):
            m.d.comb += origin.eq(window)
        with m.Elif(~last[4]):
            m.d.comb += [origin.eq(window), step.eq(current.stride_x)]
        with m.Else():
            m.d.comb += origin.eq(-current.pad_left)
        first = -self.instruction.pad_left
        with m.If(self._advance & (self.load | last[0])):
            m.d.sync += column.eq(Mux(self.load, first, moved))
        with m.If(self._advance & (self.load | last[:4].all())):
            m.d.sync += window.eq(Mux(self.load, first, moved))
        # A negative column is a large unsigned one.
        m.d.sync += self.outside.eq(column.as_unsigned() >= current.width)

"""Local addresses of accumulator groups' words."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..interfaces import field_shape


class AddressWalker(wiring.Component):
    """base + plane · pitch + n for the words of accumulator group n = 0, 1, … of an instruction, planes in order.

    `address` (combinational) is that of the word taken in this cycle.

    Members
    -------
    take: a word is taken.
    base, pitch: of its instruction.
    last_word: it is the last one of its group.
    last_group: its accumulator group is the instruction's last.
    address: Out, 16 bits: exact as long as no accumulator group before began beyond 4095.
    """

    take: In(1)
    base: In(field_shape(isa.COMPUTE, "output_base"))
    pitch: In(field_shape(isa.COMPUTE, "output_pitch"))
    last_word: In(1)
    last_group: In(1)
    address: Out(16)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first_group, first_word = Signal(init=1), Signal(init=1)
        group = Signal(13)
        word = Signal(16)
        m.d.comb += self.address.eq(Mux(first_word, Mux(first_group, self.base, group), word))
        with m.If(self.take):
            m.d.sync += [word.eq(self.address + self.pitch), first_word.eq(self.last_word)]
            with m.If(first_word):
                m.d.sync += group.eq(self.address + 1)
            with m.If(self.last_word):
                m.d.sync += first_group.eq(self.last_group)
        return m

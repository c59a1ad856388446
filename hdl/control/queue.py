"""An engine's queue of instructions."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..stream_registers import StreamFIFO

BEAT_BITS = isa.FETCH_BITS
BEATS = isa.FETCH_CYCLES
"""Beats of an instruction."""


class InstructionQueue(wiring.Component):
    """Holds instructions as 64-bit beats and lays the oldest out as one word.

    The beats lie in distributed memory; a register takes them one a cycle, so that the next instruction is there while
    the engine executes the one before, BEATS cycles after that was handed over. Bits of the register that an engine
    does not read cost nothing.

    Members
    -------
    beats: instructions, first beat (least significant) first.
    instruction: the oldest instruction.
    """

    beats: In(stream.Signature(unsigned(BEAT_BITS)))
    instruction: Out(stream.Signature(unsigned(isa.INSTRUCTION_BITS)))

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = store = StreamFIFO(BEAT_BITS, isa.QUEUE_INSTRUCTIONS * BEATS)
        wiring.connect(m, wiring.flipped(self.beats), store.source)

        index = Signal(range(BEATS))
        word = Signal(isa.INSTRUCTION_BITS, reset_less=True)
        m.d.comb += [
            store.sink.ready.eq(~self.instruction.valid),
            self.instruction.payload.eq(word),
        ]
        with m.If(self.instruction.valid & self.instruction.ready):
            m.d.sync += self.instruction.valid.eq(0)
        with m.If(store.sink.valid & store.sink.ready):
            m.d.sync += [index.eq(index + 1), self.instruction.valid.eq(index == BEATS - 1)]
            for beat in range(BEATS):
                with m.If(index == beat):
                    m.d.sync += word.word_select(beat, BEAT_BITS).eq(store.sink.p)
        return m

"""What stands between an engine's queue and the engine: token masks are checked and tokens taken."""

from amaranth.hdl import Const, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..interfaces import EngineError, instruction_layout


def wait_channels(engine: isa.Engine) -> int:
    """The mask of channels that an engine may wait for."""
    return sum(1 << token for token in isa.Token if token.target == engine)


def signal_channels(engine: isa.Engine) -> int:
    """The mask of channels that an engine may give to."""
    return sum(1 << token for token in isa.Token if token.source == engine)


def _other_channels(channels: int) -> Const:
    """All bits of a mask of tokens but some."""
    return Const(~channels & (1 << isa.TOKEN_MASK_BITS) - 1, isa.TOKEN_MASK_BITS)


class Dispatcher(wiring.Component):
    """Hands an engine its instructions, each after its tokens are taken.

    All tokens of an instruction are taken in one cycle, the first in which every channel of its `wait` mask holds one;
    that may be while the engine still executes the instruction before. An instruction whose masks name a channel that
    is not the engine's is reported once, as error FIELD, and nothing follows it until reset. That its opcode is the
    engine's is FETCH's doing.

    Parameters
    ----------
    engine: whose instructions they are.

    Members
    -------
    queued: the oldest instruction of the queue.
    instruction: the same, with its tokens taken. Withdrawn under `abort`.
    available: channels that hold a token.
    take: tokens taken in this cycle.
    holding: there is an instruction whose tokens are taken and that the engine has not accepted.
    waiting: there is one that waits for tokens.
    layer: the `layer` field of the instruction, while `waiting`.
    error: a malformed instruction, for one cycle.
    """

    def __init__(self, engine: isa.Engine):
        self.engine = engine
        instruction = stream.Signature(unsigned(isa.INSTRUCTION_BITS))
        super().__init__({
            "queued": In(instruction),
            "instruction": Out(instruction),
            "abort": In(1),
            "available": In(len(isa.Token)),
            "take": Out(len(isa.Token)),
            "holding": Out(1),
            "waiting": Out(1),
            "layer": Out(isa.LAYER_BITS),
            "error": Out(EngineError),
        })

    def elaborate(self, platform):
        m = Module()
        head = Signal(instruction_layout(isa.COMMON))
        legal = Signal()
        taken = Signal()
        failed = Signal()
        ready = Signal()
        m.d.comb += [
            head.eq(self.queued.payload),
            legal.eq(
                ((head.wait & _other_channels(wait_channels(self.engine))) == 0)
                & ((head.signal & _other_channels(signal_channels(self.engine))) == 0)
            ),
            self.layer.eq(head.layer),
            self.holding.eq(self.queued.valid & taken),
            self.waiting.eq(self.queued.valid & ~taken & ~failed),
            ready.eq((head.wait & ~self.available) == 0),
        ]
        with m.If(self.waiting & ~self.abort):
            with m.If(~legal):
                m.d.comb += [
                    self.error.valid.eq(1),
                    self.error.code.eq(isa.Error.FIELD),
                    self.error.layer.eq(head.layer),
                ]
                m.d.sync += failed.eq(1)
            with m.Elif(ready):
                m.d.comb += self.take.eq(head.wait)
                m.d.sync += taken.eq(1)

        m.d.comb += [
            self.instruction.payload.eq(self.queued.payload),
            self.instruction.valid.eq(self.holding & ~self.abort),
            self.queued.ready.eq(taken & self.instruction.ready & ~self.abort),
        ]
        with m.If(self.queued.valid & self.queued.ready):
            m.d.sync += taken.eq(0)
        return m

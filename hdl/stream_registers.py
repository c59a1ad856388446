"""Registers in streams."""

from amaranth.hdl import Module, ShapeLike, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class _StreamBuffer(wiring.Component):
    """A stream passed on at least a cycle later: `sink.valid` and the payload are registers.

    Parameters
    ----------
    shape: of the payload.

    Members
    -------
    source, sink: the stream, before and after.
    empty: nothing is held.
    """

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({
            "source": In(stream.Signature(shape)),
            "sink": Out(stream.Signature(shape)),
            "empty": Out(1),
        })


class SkidBuffer(_StreamBuffer):
    """Neither `valid` and payload nor `ready` go through it in a cycle.

    A payload a cycle, also when the reader pauses: the one that arrives in the cycle in which the reader stops is kept
    in a second register. It costs a LUT for every bit.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source, sink = self.source, self.sink
        payload = Value.cast(sink.payload)
        spare = Signal(len(payload), reset_less=True)
        spared = Signal()
        open_ = Signal(init=1)  # not `spared`: its own register, since that one drives the whole payload
        m.d.comb += [source.ready.eq(open_), self.empty.eq(~sink.valid & open_)]
        with m.If(~sink.valid | sink.ready):
            m.d.sync += [sink.valid.eq(source.valid | spared), spared.eq(0), open_.eq(1)]
            with m.If(spared):
                m.d.sync += payload.eq(spare)
            with m.Else():
                m.d.sync += payload.eq(Value.cast(source.payload))
        with m.Elif(source.valid & source.ready):
            m.d.sync += [spared.eq(1), open_.eq(0)]
        with m.If(source.ready):
            m.d.sync += spare.eq(Value.cast(source.payload))
        return m


class StreamRegister(_StreamBuffer):
    """`valid` and payload do not go through it in a cycle; `ready` does. A payload a cycle, and hardly a LUT."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source, sink = self.source, self.sink
        m.d.comb += [source.ready.eq(self._room), self.empty.eq(~sink.valid)]
        with m.If(sink.ready):
            m.d.sync += sink.valid.eq(0)
        with m.If(source.ready):
            m.d.sync += [sink.valid.eq(source.valid), Value.cast(sink.payload).eq(Value.cast(source.payload))]
        return m

    @property
    def _room(self) -> Value:
        return ~self.sink.valid | self.sink.ready


class HalfRateRegister(StreamRegister):
    """Neither goes through it in a cycle, without a second register: a payload every other cycle."""

    @property
    def _room(self) -> Value:
        return ~self.sink.valid

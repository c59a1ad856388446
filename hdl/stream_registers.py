"""Registers in streams."""

from amaranth.hdl import Module, Shape, ShapeLike, Signal, Value
from amaranth.lib import memory, stream, wiring
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
        payload, spare = (Signal(len(Value.cast(sink.payload)), reset_less=True) for _ in range(2))
        spared = Signal()
        open_ = Signal(init=1)  # not `spared`: its own register, since that one drives the whole payload
        m.d.comb += [
            Value.cast(sink.payload).eq(payload),
            source.ready.eq(open_),
            self.empty.eq(~sink.valid & open_),
        ]
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
        payload = Signal(len(Value.cast(sink.payload)), reset_less=True)
        m.d.comb += [
            Value.cast(sink.payload).eq(payload),
            source.ready.eq(~sink.valid | sink.ready),
            self.empty.eq(~sink.valid),
        ]
        with m.If(source.ready):
            m.d.sync += [sink.valid.eq(source.valid), payload.eq(Value.cast(source.payload))]
        return m


class HalfRateRegister(_StreamBuffer):
    """Neither goes through it in a cycle, without a second register for the payload: one every other cycle."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source, sink = self.source, self.sink
        payload = Signal(len(Value.cast(sink.payload)), reset_less=True)
        open_ = Signal(init=1)  # not `sink.valid`: a register of its own, for its loads
        m.d.comb += [
            Value.cast(sink.payload).eq(payload),
            source.ready.eq(open_),
            self.empty.eq(open_),
        ]
        with m.If(open_):
            m.d.sync += [
                sink.valid.eq(source.valid), open_.eq(~source.valid), payload.eq(Value.cast(source.payload)),
            ]
        with m.Elif(sink.ready):
            m.d.sync += [sink.valid.eq(0), open_.eq(1)]
        return m


class StreamFIFO(_StreamBuffer):
    """Holds up to `depth` payloads, in LUT memory. Neither `valid` nor `ready` goes through it: both are registers.

    Parameters
    ----------
    shape: of the payload.
    depth: a power of two, at least 2.

    Members
    -------
    `source`, `sink`, `empty`; the payload is that of a register and a LUT memory behind it.

    Raises
    ------
    ValueError: `depth` is not a power of two, or below 2.
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two of at least 2, not {depth}")
        self._depth = depth
        super().__init__(shape)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source, sink, depth = self.source, self.sink, self._depth
        m.submodules.entries = entries = memory.Memory(shape=Shape.cast(source.p.shape()), depth=depth, init=[])
        write, read = entries.write_port(), entries.read_port(domain="comb")
        written, taken = Signal(range(2 * depth)), Signal(range(2 * depth))
        next_written, next_taken = Signal.like(written), Signal.like(taken)
        full, put, get = Signal(), Signal(), Signal()
        m.d.comb += [
            source.ready.eq(~full),
            self.empty.eq(~sink.valid),
            put.eq(source.valid & ~full),
            get.eq(sink.valid & sink.ready),
            next_written.eq(written + 1),
            next_taken.eq(taken + 1),
            write.en.eq(put),
            write.addr.eq(written),
            write.data.eq(Value.cast(source.payload)),
            read.addr.eq(taken),
            Value.cast(sink.payload).eq(read.data),
        ]
        # Whether one payload is held, or all but one, needs the pointers alone.
        m.d.sync += [
            full.eq(~get & (full | (put & (next_written ^ depth == taken)))),
            sink.valid.eq(put | (sink.valid & ~(get & (next_taken == written)))),
        ]
        with m.If(put):
            m.d.sync += written.eq(next_written)
        with m.If(get):
            m.d.sync += taken.eq(next_taken)
        return m

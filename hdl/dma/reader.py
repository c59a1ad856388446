"""The AXI4 read master that every loading engine and the fetch unit use."""

from amaranth.hdl import Module, ShapeLike, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ..stream_registers import HalfRateRegister
from .axi import BURST_INCR, Direction, axi4_master
from .bursts import BurstSplitter, check_bus, request_layout


def beat_layout(*, data_bits: int, tag: ShapeLike = 0) -> data.StructLayout:
    """A beat of a request.

    data: the whole beat; byte 0 is the one at the beat's aligned address.
    offset: the request's first byte within its *first* beat; end: its last byte within its *last* beat (both constant
        through a request; `lanes − 1` is the last byte of a full beat).
    last: the request's last beat.
    """
    lanes = data_bits // 8
    return data.StructLayout({"data": data_bits, "offset": range(lanes), "end": range(lanes), "last": 1, "tag": tag})


class BurstReader(wiring.Component):
    """Reads any bytes through an AXI4 read master, several bursts ahead.

    Requests are served in order; their beats come in order. A request may be taken while beats of earlier ones are
    under way, so the bus does not idle between bursts of two beats or more: one begins every other cycle at most.
    The address channel is registered and never withdrawn. Beats
    are not buffered here: `beats.ready` is the bus's RREADY.

    Parameters
    ----------
    data_bits, address_bits: of the bus.
    maximum_burst: beats of a burst, a power of two up to 256.
    outstanding: bursts under way, at most.
    length_bits: of a request's byte count.
    tag: shape of what travels from a request to its beats.

    Members
    -------
    axi: the bus.
    requests: `request_layout`: {address (any byte), bytes (at least 1), tag}.
    beats: `beat_layout`: {data, offset, end, last, tag}.
    permit: the next burst may begin; left open: always. It may wait for `next_length` (beats − 1 of the burst waiting,
        valid with `waiting`), `next_tag` being its tag.
    begin: a strobe: that burst begins.
    error: a strobe: a beat answered SLVERR or DECERR, its tag in `error_tag`. The beat is delivered like any other.
    abort: level: no further burst begins, requests are not taken, and beats are taken and discarded.
    idle: no request is held and no burst is under way; under `abort`: no burst is under way and no address is offered.
    """

    def __init__(self, *, data_bits: int, address_bits: int, maximum_burst: int, outstanding: int = 8,
                 length_bits: int = 32, tag: ShapeLike = 0) -> None:
        if outstanding < 1:
            raise ValueError(f"outstanding must be at least 1, not {outstanding}")
        check_bus(data_bits, maximum_burst)
        self._split = {"data_bits": data_bits, "address_bits": address_bits, "maximum_burst": maximum_burst,
                       "length_bits": length_bits, "tag": tag}
        self._data_bits = data_bits
        self._outstanding = outstanding
        request = request_layout(address_bits=address_bits, length_bits=length_bits, tag=tag)
        super().__init__({
            "axi": Out(axi4_master(data_bits=data_bits, address_bits=address_bits, direction=Direction.READ)),
            "requests": In(stream.Signature(request)),
            "beats": Out(stream.Signature(beat_layout(data_bits=data_bits, tag=tag))),
            "permit": In(1, init=1),
            "waiting": Out(1),
            "next_length": Out(8),
            "next_tag": Out(tag),
            "begin": Out(1),
            "error": Out(1),
            "error_tag": Out(tag),
            "abort": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.splitter = splitter = BurstSplitter(**self._split)
        m.submodules.ahead = ahead = HalfRateRegister(splitter.bursts.p.shape())
        wiring.connect(m, splitter.bursts, ahead.source)
        bursts = ahead.sink
        axi, burst, beat = self.axi, bursts.p, self.beats.p
        note = data.StructLayout({
            "offset": beat.shape()["offset"].shape, "end": beat.shape()["end"].shape, "last": 1,
            "tag": beat.shape()["tag"].shape,
        })
        m.submodules.notes = notes = SyncFIFO(width=note.size, depth=self._outstanding)  # one of every burst under way
        written, current = data.View(note, notes.w_data), data.View(note, notes.r_data)

        m.d.comb += [
            Value.cast(splitter.requests.p).eq(Value.cast(self.requests.p)),
            splitter.requests.valid.eq(self.requests.valid & ~self.abort),
            self.requests.ready.eq(splitter.requests.ready & ~self.abort),
            axi.arsize.eq((self._data_bits // 8).bit_length() - 1),
            axi.arburst.eq(BURST_INCR),
            axi.arcache.eq(0b0011),
        ]
        m.d.comb += [
            self.waiting.eq(bursts.valid),
            self.next_length.eq(burst.length),
            Value.cast(self.next_tag).eq(Value.cast(burst.tag)),
            self.begin.eq(bursts.valid & self.permit & notes.w_rdy
                          & (~axi.arvalid | axi.arready) & ~self.abort),
            bursts.ready.eq(self.begin),
            notes.w_en.eq(self.begin),
            written.offset.eq(burst.offset),
            written.end.eq(burst.end),
            written.last.eq(burst.last),
            Value.cast(written.tag).eq(Value.cast(burst.tag)),
        ]
        with m.If(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        with m.If(self.begin):
            m.d.sync += [axi.arvalid.eq(1), axi.araddr.eq(burst.address), axi.arlen.eq(burst.length)]

        taken = Signal()
        m.d.comb += [
            taken.eq(axi.rvalid & axi.rready),
            beat.data.eq(axi.rdata),
            beat.offset.eq(current.offset),
            beat.end.eq(current.end),
            beat.last.eq(axi.rlast & current.last),
            Value.cast(beat.tag).eq(Value.cast(current.tag)),
            self.beats.valid.eq(axi.rvalid & ~self.abort),
            axi.rready.eq(self.beats.ready | self.abort),
            notes.r_en.eq(taken & axi.rlast),
            self.error.eq(taken & axi.rresp[1]),
            Value.cast(self.error_tag).eq(Value.cast(current.tag)),
            self.idle.eq(~notes.r_rdy & ~axi.arvalid & (self.abort | (splitter.idle & ahead.empty))),
        ]
        return m

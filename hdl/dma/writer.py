"""The AXI4 write master of the store engine."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ..stream_registers import HalfRateRegister
from .axi import BURST_INCR, Direction, axi4_master
from .bursts import BurstSplitter, check_bus, request_layout
from .gearbox import strobed_beat_layout


class BurstWriter(wiring.Component):
    """Writes requests of any bytes through an AXI4 write master.

    `beats` brings the beats of the requests in order, strobes included: of a request of n bytes from address a, the
    beats from a's to that of byte a + n − 1. A burst's address is offered together with its first beat, never before
    there is one. Address and data channels are registered and never withdrawn.

    Parameters
    ----------
    data_bits, address_bits: of the bus.
    maximum_burst: beats of a burst, a power of two up to 256.
    outstanding: bursts not yet acknowledged, at most.
    length_bits: of a request's byte count.
    tag: shape of what travels from a request to its acknowledgement.

    Members
    -------
    axi: the bus.
    requests: `bursts.request_layout`: {address (any byte), bytes (at least 1), tag}.
    beats: `gearbox.strobed_beat_layout`.
    acknowledged: a strobe: the memory has acknowledged the last burst of a request; its tag is in `answer_tag`.
    error: a strobe: a burst was answered SLVERR or DECERR; its tag is in `answer_tag`.
    abort: level: no further burst begins, requests and beats are not taken; a burst under way ends, strobes off.
    idle: no request is held and everything is acknowledged; under `abort`: everything offered is acknowledged.
    """

    def __init__(self, *, data_bits: int, address_bits: int, maximum_burst: int, outstanding: int = 8,
                 length_bits: int = 32, tag: ShapeLike = 0) -> None:
        check_bus(data_bits, maximum_burst)
        if outstanding < 1:
            raise ValueError(f"outstanding must be at least 1, not {outstanding}")
        self._split = {"data_bits": data_bits, "address_bits": address_bits, "maximum_burst": maximum_burst,
                       "length_bits": length_bits, "tag": tag}
        self._data_bits = data_bits
        self._outstanding = outstanding
        request = request_layout(address_bits=address_bits, length_bits=length_bits, tag=tag)
        super().__init__({
            "axi": Out(axi4_master(data_bits=data_bits, address_bits=address_bits, direction=Direction.WRITE)),
            "requests": In(stream.Signature(request)),
            "beats": In(stream.Signature(strobed_beat_layout(data_bits=data_bits))),
            "acknowledged": Out(1),
            "error": Out(1),
            "answer_tag": Out(tag),
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
        note = data.StructLayout({"last": 1, "tag": burst.shape()["tag"].shape})
        m.submodules.notes = notes = SyncFIFO(width=note.size, depth=self._outstanding)  # one of every burst under way
        written, current = data.View(note, notes.w_data), data.View(note, notes.r_data)
        left = Signal(8)  # beats of the burst under way that are still to come
        sending = Signal()
        begin, room, move = Signal(), Signal(), Signal()

        m.d.comb += [
            Value.cast(splitter.requests.p).eq(Value.cast(self.requests.p)),
            splitter.requests.valid.eq(self.requests.valid & ~self.abort),
            self.requests.ready.eq(splitter.requests.ready & ~self.abort),
            axi.awsize.eq((self._data_bits // 8).bit_length() - 1),
            axi.awburst.eq(BURST_INCR),
            axi.awcache.eq(0b0011),
            axi.bready.eq(1),
        ]
        startable = bursts.valid & notes.w_rdy & (~axi.awvalid | axi.awready) & ~self.abort
        m.d.comb += [
            room.eq(~axi.wvalid | axi.wready),
            begin.eq(~sending & startable & room & self.beats.valid),
            self.beats.ready.eq(room & ~self.abort & (sending | startable)),
            move.eq(begin | (sending & room & (self.beats.valid | self.abort))),
            bursts.ready.eq(begin),
            notes.w_en.eq(begin),
            written.last.eq(burst.last),
            Value.cast(written.tag).eq(Value.cast(burst.tag)),
        ]
        with m.If(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        with m.If(axi.wready):
            m.d.sync += axi.wvalid.eq(0)
        with m.If(begin):
            m.d.sync += [axi.awvalid.eq(1), axi.awaddr.eq(burst.address), axi.awlen.eq(burst.length)]
        with m.If(move):
            remaining = Mux(sending, left, burst.length)
            m.d.sync += [
                axi.wvalid.eq(1),
                axi.wdata.eq(beat.data),
                axi.wstrb.eq(Mux(self.abort, 0, beat.strobes)),
                axi.wlast.eq(remaining == 0),
                sending.eq(remaining != 0),
                left.eq(remaining - 1),
            ]
        m.d.comb += [
            notes.r_en.eq(axi.bvalid),
            self.acknowledged.eq(axi.bvalid & current.last),
            self.error.eq(axi.bvalid & axi.bresp[1]),
            Value.cast(self.answer_tag).eq(Value.cast(current.tag)),
            self.idle.eq(
                ~notes.r_rdy & ~sending & ~axi.awvalid & ~axi.wvalid
                & (self.abort | (splitter.idle & ahead.empty))
            ),
        ]
        return m

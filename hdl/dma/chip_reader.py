"""Words of maps from the map memory."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..compute.pipeline import delay
from ..geometry import Geometry
from ..interfaces import MAP_READ_LATENCY, field_shape, map_address_bits, map_read_signature
from ..stream_registers import HalfRateRegister, StreamFIFO
from .gearbox import word_layout
from .placer import PLACE

BUFFERED_WORDS = 8
"""Words read from the map memory and not yet taken, at most: enough for one a cycle."""


def chip_request_layout(geometry: Geometry) -> data.StructLayout:
    """A request to the map memory: `words` from a word on, which follow one another; their place in the instruction."""
    return data.StructLayout({
        "address": map_address_bits(geometry), "words": field_shape(isa.LOAD_MAP, "row_words"), "place": PLACE,
    })  # fmt: skip


class ChipReader(wiring.Component):
    """Reads requests of words of the map memory, a word a cycle, and gives their words in order.

    Members
    -------
    requests: `chip_request_layout`; one every other cycle at most.
    memory: the map memory.
    words: `gearbox.word_layout` with the request's `place`.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        super().__init__({
            "requests": In(stream.Signature(chip_request_layout(g))),
            "memory": Out(map_read_signature(g)),
            "words": Out(stream.Signature(word_layout(word_bits=g.word_bits, tag=PLACE))),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ahead = ahead = HalfRateRegister(self.requests.p.shape())
        m.submodules.buffer = buffer = StreamFIFO(self.words.p.shape(), BUFFERED_WORDS)
        wiring.connect(m, wiring.flipped(self.requests), ahead.source)
        wiring.connect(m, buffer.sink, wiring.flipped(self.words))
        request = Signal(self.requests.p.shape(), reset_less=True)
        reading, last = Signal(), Signal()  # a request is held; its next word is its last
        under_way = Signal(range(BUFFERED_WORDS + 1))
        read, taken = Signal(), Signal()
        m.d.comb += [
            self.memory.wants.eq(reading & (under_way != BUFFERED_WORDS)),
            self.memory.address.eq(request.address),
            read.eq(self.memory.wants & self.memory.granted),
            taken.eq(self.words.valid & self.words.ready),
            ahead.sink.ready.eq(~reading | (read & last)),
        ]
        m.d.sync += under_way.eq(under_way + read - taken)
        with m.If(read):
            m.d.sync += [
                request.address.eq(request.address + 1), request.words.eq(request.words - 1),
                last.eq(request.words == 2), reading.eq(~last),
            ]
        with m.If(ahead.sink.valid & ahead.sink.ready):
            m.d.sync += [reading.eq(1), Value.cast(request).eq(ahead.sink.p), last.eq(ahead.sink.p.words == 1)]
        arrived = delay(m, read, MAP_READ_LATENCY, name="arrived", reset=True)
        note = delay(m, Cat(last, request.place), MAP_READ_LATENCY, name="note")
        m.d.comb += [
            buffer.source.valid.eq(arrived),
            buffer.source.p.data.eq(self.memory.data),
            Cat(buffer.source.p.last, buffer.source.p.tag).eq(note),
        ]
        return m

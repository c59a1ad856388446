"""Words of maps: from DDR through a read master, and from the map memory."""

from amaranth.hdl import Module, Mux, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import Geometry
from ..interfaces import map_read_signature
from ..isa import LAYER_BITS
from ..stream_registers import SkidBuffer, StreamFIFO
from .axi import Direction, axi4_master
from .bursts import request_layout
from .chip_reader import ChipReader, chip_request_layout
from .gearbox import Unpacker, word_layout
from .placer import PLACE
from .reader import BurstReader

BUFFERED_WORDS = 32
"""Words held between bus and lanes: they keep the bus busy while padding rows are written."""
OUTSTANDING_BURSTS = 16
REQUESTS_UNDER_WAY = 32
"""Requests whose words have not all been given, at most, where they go two ways."""

TAG = data.StructLayout({"layer": LAYER_BITS, "place": PLACE})
"""What a request carries: `place` travels with its words."""


def map_request_layout(geometry: Geometry) -> data.StructLayout:
    """A request of whole words: `bursts.request_layout` with `TAG`, and where there is a map memory, `chip`: the
    request to that, and whether it is meant."""
    request = request_layout(address_bits=geometry.address_bits, length_bits=_length_bits(geometry), tag=TAG)
    if not geometry.map_words:
        return request
    chip = data.StructLayout({"meant": 1, "request": chip_request_layout(geometry)})
    return data.StructLayout({**request.members, "chip": chip})


def _length_bits(geometry: Geometry) -> int:
    """Of the bytes of a chunk."""
    return 20 + geometry.word_bytes.bit_length()


class MapReader(wiring.Component):
    """Reads requests of whole words, and gives their words in the order of the requests.

    Members
    -------
    axi: the read master.
    memory: the map memory; only where there is one.
    requests: `map_request_layout`.
    words: `gearbox.word_layout` with the tag's `place`.
    error: a strobe: a beat answered SLVERR or DECERR, for the layer in `error_layer`; a cycle after it.
    abort, idle: as `BurstReader`'s.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        self._bus = {"data_bits": g.maps_bus_bits, "address_bits": g.address_bits}
        memory = {"memory": Out(map_read_signature(g))} if g.map_words else {}
        super().__init__({
            **memory,
            "axi": Out(axi4_master(**self._bus, direction=Direction.READ)),
            "requests": In(stream.Signature(map_request_layout(g))),
            "words": Out(stream.Signature(word_layout(word_bits=g.word_bits, tag=PLACE))),
            "error": Out(1),
            "error_layer": Out(TAG["layer"].shape),
            "abort": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        m.submodules.reader = reader = BurstReader(
            **self._bus, maximum_burst=g.maximum_burst, outstanding=OUTSTANDING_BURSTS, length_bits=_length_bits(g),
            tag=TAG,
        )  # fmt: skip
        m.submodules.unpacker = unpacker = Unpacker(
            data_bits=g.maps_bus_bits, word_bits=g.word_bits, tag=PLACE, merges=g.map_words > 0
        )
        m.submodules.words = words = StreamFIFO(unpacker.words.p.shape(), BUFFERED_WORDS)
        wiring.connect(m, words.sink, wiring.flipped(self.words))
        wiring.connect(m, unpacker.words, words.source)
        wiring.connect(m, wiring.flipped(self.axi), reader.axi)
        if g.map_words:
            self._merge(m, reader, unpacker)
        else:
            wiring.connect(m, wiring.flipped(self.requests), reader.requests)
        m.submodules.beats = beats = SkidBuffer(unpacker.beats.p.shape())
        wiring.connect(m, beats.sink, unpacker.beats)
        beat, source = beats.source.p, reader.beats.p
        m.d.comb += [
            *(beat[name].eq(source[name]) for name in ("data", "end", "last")),
            beat.begin.eq(-source.offset),
            beat.single.eq(source.end - source.offset == g.word_bytes - 1),
            Value.cast(beat.tag).eq(Value.cast(source.tag.place)),
            beats.source.valid.eq(reader.beats.valid),
            reader.beats.ready.eq(beats.source.ready),
            reader.abort.eq(self.abort),
            self.idle.eq(reader.idle),
        ]
        m.d.sync += [self.error.eq(reader.error), self.error_layer.eq(reader.error_tag.layer)]
        return m

    def _merge(self, m: Module, reader: BurstReader, unpacker: Unpacker) -> None:
        """Sends each request to where its words are, and lets their words come in the order of the requests."""
        m.submodules.chip = chip = ChipReader(self._geometry)
        m.submodules.asked = asked = StreamFIFO(1, REQUESTS_UNDER_WAY)  # of each request: is the map memory meant
        m.submodules.next = following = SkidBuffer(1)
        wiring.connect(m, wiring.flipped(self.memory), chip.memory)
        wiring.connect(m, chip.words, unpacker.others)
        wiring.connect(m, asked.sink, following.source)
        request, meant = self.requests.p, self.requests.p.chip.meant
        turn, words = following.sink, unpacker.words
        m.d.comb += [
            asked.source.p.eq(meant),
            asked.source.valid.eq(self.requests.valid & self.requests.ready),
            self.requests.ready.eq(asked.source.ready & Mux(meant, chip.requests.ready, reader.requests.ready)),
            chip.requests.p.eq(request.chip.request),
            chip.requests.valid.eq(self.requests.valid & asked.source.ready & meant),
            *(reader.requests.p[name].eq(request[name]) for name in ("address", "bytes", "tag")),
            reader.requests.valid.eq(self.requests.valid & asked.source.ready & ~meant),
            unpacker.own.eq(turn.valid & ~turn.p),
            unpacker.other.eq(turn.valid & turn.p),
            turn.ready.eq(words.valid & words.ready & words.p.last),
        ]

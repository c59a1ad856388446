"""Words of maps through one read master or two."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..geometry import Geometry
from .axi import Direction, axi4_master
from .bursts import request_layout
from .gearbox import Unpacker, word_layout
from .placer import PLACE
from .reader import BurstReader

BUFFERED_WORDS = 32
"""Words held between bus and lanes: they keep the bus busy while padding rows are written."""
BUFFERED_WORDS_OF_TWO = 256
"""Words held of each of two masters. One fills up while the other's request passes, and then gives a word every cycle
where its bus alone would not: enough for requests of a thousand words of 1¼ beats."""
OUTSTANDING_BURSTS = 16

TAG = data.StructLayout({"layer": 12, "place": PLACE})
"""What a request carries: `place` travels with its words."""


def map_request_layout(geometry: Geometry) -> data.StructLayout:
    """A request of whole words: `bursts.request_layout` with `TAG`."""
    return request_layout(address_bits=geometry.address_bits, length_bits=_length_bits(geometry), tag=TAG)


def _length_bits(geometry: Geometry) -> int:
    """Of the bytes of a chunk."""
    return 20 + geometry.word_bytes.bit_length()


class MapReader(wiring.Component):
    """Reads requests of whole words, and gives their words in the order of the requests.

    With two masters, requests alternate between them.

    Members
    -------
    axi: the read masters, one for each of `maps_ports`.
    requests: `map_request_layout`.
    words: `gearbox.word_layout` with the tag's `place`.
    error: a strobe: a beat answered SLVERR or DECERR, for the layer in `error_layer`.
    abort, idle: as `BurstReader`'s.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        self._bus = {"data_bits": g.maps_bus_bits, "address_bits": g.address_bits}
        super().__init__({
            "axi": Out(axi4_master(**self._bus, direction=Direction.READ)).array(g.maps_ports),
            "requests": In(stream.Signature(map_request_layout(g))),
            "words": Out(stream.Signature(word_layout(word_bits=g.word_bits, tag=PLACE))),
            "error": Out(1),
            "error_layer": Out(TAG["layer"].shape),
            "abort": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports = self._geometry.maps_ports
        asked, given = Signal(range(ports)), Signal(range(ports))  # whose turn it is
        idle = Signal(ports)
        m.d.comb += self.idle.eq(idle.all())
        for port in range(ports):
            reader, words = self._port(m, port)
            m.d.comb += [
                Value.cast(reader.requests.p).eq(Value.cast(self.requests.p)),
                reader.requests.valid.eq(self.requests.valid & (asked == port)),
                reader.abort.eq(self.abort),
                idle[port].eq(reader.idle),
            ]
            with m.If(asked == port):
                m.d.comb += self.requests.ready.eq(reader.requests.ready)
            with m.If(given == port):
                m.d.comb += [
                    Value.cast(self.words.p).eq(words.r_data),
                    self.words.valid.eq(words.r_rdy),
                    words.r_en.eq(self.words.ready),
                ]
            with m.If(reader.error):
                m.d.comb += [self.error.eq(1), self.error_layer.eq(reader.error_tag.layer)]
        if ports > 1:
            with m.If(self.requests.valid & self.requests.ready):
                m.d.sync += asked.eq(asked + 1)
            with m.If(self.words.valid & self.words.ready & self.words.p.last):
                m.d.sync += given.eq(given + 1)
        return m

    def _port(self, m: Module, port: int) -> tuple[BurstReader, SyncFIFO | SyncFIFOBuffered]:
        """A master, and the queue that its words come to."""
        g = self._geometry
        reader = BurstReader(
            **self._bus, maximum_burst=g.maximum_burst, outstanding=OUTSTANDING_BURSTS, length_bits=_length_bits(g),
            tag=TAG,
        )  # fmt: skip
        unpacker = Unpacker(data_bits=g.maps_bus_bits, word_bits=g.word_bits, tag=PLACE)
        width = unpacker.words.p.shape().size
        words = (SyncFIFO(width=width, depth=BUFFERED_WORDS) if g.maps_ports == 1
                 else SyncFIFOBuffered(width=width, depth=BUFFERED_WORDS_OF_TWO))  # fmt: skip
        for name, part in (("reader", reader), ("unpacker", unpacker), ("words", words)):
            m.submodules[f"{name}_{port}"] = part
        wiring.connect(m, wiring.flipped(self.axi[port]), reader.axi)
        beat, source = unpacker.beats.p, reader.beats.p
        m.d.comb += [
            *(beat[name].eq(source[name]) for name in ("data", "offset", "end", "last")),
            Value.cast(beat.tag).eq(Value.cast(source.tag.place)),
            unpacker.beats.valid.eq(reader.beats.valid),
            reader.beats.ready.eq(unpacker.beats.ready),
            words.w_data.eq(unpacker.words.p),
            words.w_en.eq(unpacker.words.valid),
            unpacker.words.ready.eq(words.w_rdy),
        ]
        return reader, words

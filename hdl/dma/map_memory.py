"""The map memory: words of maps that stay on the chip."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Module, Mux, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ..compute.pipeline import delay
from ..geometry import Geometry
from ..interfaces import MAP_READ_LATENCY, map_read_signature, map_write_signature
from ..modules import module_name, place

_BLOCK_RAM_WORDS = {1: 32768, 2: 16384, 4: 8192, 9: 4096, 18: 2048, 36: 1024, 72: 512}
"""Words that a block RAM of 36 Kbit holds, by their bits."""


def block_rams(word_bits: int, depth: int, bits: int) -> int:
    """Block RAMs of a memory whose words are cut across into slices of so many bits."""
    return -(-word_bits // bits) * -(-depth // _BLOCK_RAM_WORDS[bits])


def slice_bits(word_bits: int, depth: int) -> int:
    """Bits of a slice: the narrowest, behind which least is selected, that take an eighth more block RAMs at most."""
    least = min(block_rams(word_bits, depth, bits) for bits in _BLOCK_RAM_WORDS)
    return next(bits for bits in _BLOCK_RAM_WORDS if 8 * block_rams(word_bits, depth, bits) <= 9 * least)


class MapMemory(wiring.Component):
    """Block RAM that every lane group reads and writes a word a cycle of, anywhere.

    With two lane groups there are two banks, of even and of odd addresses. Where both groups want the same one, the
    first group has it; since their chunks run through consecutive addresses, they take turns from then on.

    A word is readable from the cycle after its write on; a read of the word being written is undefined.

    Members
    -------
    reads: by lane group, for its maps engine. writes: by lane group, for its store engine.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        super().__init__({
            "reads": In(map_read_signature(g)).array(g.maps_ports),
            "writes": In(map_write_signature(g)).array(g.maps_ports),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        banks = g.maps_ports
        select = (banks - 1).bit_length()  # low bits of an address: its bank
        for ports in (self.reads, self.writes):
            for number, port in enumerate(ports):
                before = [ports[other] for other in range(number)]
                same = [other.wants & (other.address[:select] == port.address[:select]) for other in before]
                m.d.comb += port.granted.eq(~Cat(same).any())
        words = []
        for bank in range(banks):
            reading, writing = (
                [port.wants & (port.address[:select] == bank) for port in ports] for ports in (self.reads, self.writes)
            )
            m.submodules[f"bank_{bank}"] = cells = _Bank(g.word_bits, g.map_words // banks)
            m.d.comb += [
                cells.read_address.eq(_first(reading, [port.address[select:] for port in self.reads])),
                cells.write.eq(Cat(writing).any()),
                cells.write_address.eq(_first(writing, [port.address[select:] for port in self.writes])),
                cells.write_data.eq(_first(writing, [port.data for port in self.writes])),
            ]
            words.append(cells.read_data)
        for number, port in enumerate(self.reads):
            bank = delay(m, port.address[:select], MAP_READ_LATENCY, name=f"bank_of_{number}")
            m.d.comb += port.data.eq(Array(words)[bank] if banks > 1 else words[0])
        return m


class _Bank(wiring.Component):
    """A memory of words, cut across into slices (`slice_bits`). A word read comes MAP_READ_LATENCY cycles after its
    address."""

    def __init__(self, word_bits: int, depth: int) -> None:
        self._depth = depth
        super().__init__(_ports(word_bits, depth))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word_bits = len(self.write_data)
        bits = slice_bits(word_bits, self._depth)
        for begin in range(0, word_bits, bits):
            part = slice(begin, min(begin + bits, word_bits))
            cells = _Slice(part.stop - begin, self._depth)
            m.submodules[f"bits_{begin}"] = place(platform, cells)
            m.d.comb += [
                *(getattr(cells, name).eq(getattr(self, name)) for name in ("read_address", "write", "write_address")),
                cells.write_data.eq(self.write_data[part]),
                self.read_data[part].eq(cells.read_data),
            ]
        return m


class _Slice(wiring.Component):
    """Some bits of all words of a bank."""

    def __init__(self, bits: int, depth: int) -> None:
        self._depth = depth
        self.module_name = module_name("map_memory_slice", bits, depth)
        super().__init__(_ports(bits, depth))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.cells = cells = memory.Memory(shape=len(self.write_data), depth=self._depth, init=[])
        write, read = cells.write_port(), cells.read_port()
        m.d.comb += [
            write.en.eq(self.write), write.addr.eq(self.write_address), write.data.eq(self.write_data),
            read.addr.eq(self.read_address),
        ]
        m.d.sync += self.read_data.eq(read.data)
        return m


def _ports(bits: int, depth: int) -> dict[str, wiring.Member]:
    """Of a bank, or of a slice of it."""
    return {
        "read_address": In(range(depth)),
        "read_data": Out(bits),
        "write": In(1),
        "write_address": In(range(depth)),
        "write_data": In(bits),
    }


def _first(wants: Sequence[Value], values: Sequence[Value]) -> Value:
    """The value of the first port that wants; of the last one where none before it does."""
    result = values[-1]
    for want, value in reversed(list(zip(wants[:-1], values[:-1]))):
        result = Mux(want, value, result)
    return result

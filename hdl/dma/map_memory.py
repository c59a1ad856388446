"""The map memory: words of maps that stay on the chip."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In

from ..compute.pipeline import delay
from ..geometry import Geometry
from ..interfaces import MAP_READ_LATENCY, map_read_signature, map_write_signature


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
            m.submodules[f"bank_{bank}"] = cells = memory.Memory(shape=g.word_bits, depth=g.map_words // banks, init=[])
            write, read = cells.write_port(), cells.read_port()
            reading, writing = (
                [port.wants & (port.address[:select] == bank) for port in ports] for ports in (self.reads, self.writes)
            )
            word = Signal(g.word_bits, name=f"word_{bank}", reset_less=True)
            m.d.comb += [
                read.addr.eq(_first(reading, [port.address[select:] for port in self.reads])),
                write.en.eq(Cat(wanted & port.enable for wanted, port in zip(writing, self.writes)).any()),
                write.addr.eq(_first(writing, [port.address[select:] for port in self.writes])),
                write.data.eq(_first(writing, [port.data for port in self.writes])),
            ]
            m.d.sync += word.eq(read.data)
            words.append(word)
        for number, port in enumerate(self.reads):
            bank = delay(m, port.address[:select], MAP_READ_LATENCY, name=f"bank_of_{number}")
            m.d.comb += port.data.eq(Array(words)[bank] if banks > 1 else words[0])
        return m


def _first(wants: Sequence[Value], values: Sequence[Value]) -> Value:
    """The value of the first port that wants; of the last one where none before it does."""
    result = values[-1]
    for want, value in reversed(list(zip(wants[:-1], values[:-1]))):
        result = Mux(want, value, result)
    return result

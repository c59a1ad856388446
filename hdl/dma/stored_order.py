"""When STOREs are stored, in their order, though some go to DDR and some to the map memory."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..stream_registers import SkidBuffer, StreamFIFO

UNDER_WAY = 16
"""STOREs begun and not all stored, at most, beside two that are looked at."""

BEGUN = data.StructLayout({"memory": 1, "stored": 1})
"""A STORE: is something of it acknowledged by DDR, and does it give the token STORED?"""


class StoredOrder(wiring.Component):
    """Gives the token STORED of every STORE that has one, when it and all before it are stored.

    Members
    -------
    begins: `BEGUN`, of every STORE in order.
    acknowledged: a strobe: DDR has acknowledged all of the oldest STORE that is not, of those with `memory`.
    written: a strobe: likewise the map memory, of those without.
    stored: a strobe: the token.
    empty: all STOREs begun are stored.
    """

    def __init__(self) -> None:
        super().__init__({
            "begins": In(stream.Signature(BEGUN)),
            "acknowledged": In(1),
            "written": In(1),
            "stored": Out(1),
            "empty": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.begun = begun = StreamFIFO(BEGUN, UNDER_WAY)
        wiring.connect(m, wiring.flipped(self.begins), begun.source)
        m.submodules.next = following = SkidBuffer(BEGUN)
        wiring.connect(m, begun.sink, following.source)
        oldest = following.sink
        ahead = []  # by kind: STOREs done, and not yet given
        for kind, done in enumerate((self.written, self.acknowledged)):
            count = Signal(range(UNDER_WAY + 1), name=f"ahead_{kind}")
            m.d.sync += count.eq(count + done - (oldest.ready & (oldest.p.memory == kind)))
            ahead.append(count != 0)
        m.d.comb += [
            oldest.ready.eq(oldest.valid & Mux(oldest.p.memory, ahead[1], ahead[0])),
            self.empty.eq(begun.empty & following.empty),
        ]
        m.d.sync += self.stored.eq(oldest.ready & oldest.p.stored)
        return m

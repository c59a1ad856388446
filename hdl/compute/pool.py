"""Max pooling: the maximum of codes, slot by slot."""

from amaranth.hdl import Module, Mux, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import Geometry


class Maximum(wiring.Component):
    """The element-wise maximum of two activation words; combinational.

    Members
    -------
    word, best: In, Ti slots of A bits.
    first: In, take `word` whatever `best` is.
    result: Out.
    """

    def __init__(self, geometry: Geometry) -> None:
        layout = data.ArrayLayout(unsigned(geometry.activation_bits), geometry.word_channels)
        super().__init__({"word": In(layout), "best": In(layout), "first": In(1), "result": Out(layout)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for word, best, result in zip(self.word, self.best, self.result, strict=True):
            m.d.comb += result.eq(Mux(self.first | (word > best), word, best))
        return m

"""Dependency tokens: one counter a channel."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..isa import TOKEN_LIMIT


class Tokens(wiring.Component):
    """The pending tokens of every channel.

    Any number of channels are given to and taken from in one cycle. A channel with TOKEN_LIMIT tokens that is
    given another, and not taken from in the same cycle, overflows: the token is lost.

    Members
    -------
    take: bit n takes a token of `isa.Token(n)`; only of channels that are `available`.
    give: bit n gives one.
    available: bit n is high while channel n holds a token.
    overflow: high for one cycle when a token was lost.
    overflow_engine: the `isa.Engine` that gave it (the lowest if there are several).
    """

    take: In(len(isa.Token))
    give: In(len(isa.Token))
    available: Out(len(isa.Token))
    overflow: Out(1)
    overflow_engine: Out(isa.ENGINE_BITS)

    def elaborate(self, platform):
        m = Module()
        counts = Signal(data.ArrayLayout(unsigned(TOKEN_LIMIT.bit_length()), len(isa.Token)))
        fulls = Signal(len(isa.Token))
        lost = Signal(len(isa.Token))
        for token in isa.Token:
            count, available, full = counts[token], self.available[token], fulls[token]  # the latter two registers
            with m.If(self.give[token] & ~self.take[token]):
                m.d.comb += lost[token].eq(full)
                m.d.sync += available.eq(1)
                with m.If(~full):
                    m.d.sync += [count.eq(count + 1), full.eq(count == TOKEN_LIMIT - 1)]
            with m.Elif(self.take[token] & ~self.give[token]):
                m.d.sync += [count.eq(count - 1), available.eq(count != 1), full.eq(0)]

        m.d.sync += self.overflow.eq(lost.any())
        for token in sorted(isa.Token, key=lambda token: token.source, reverse=True):
            with m.If(lost[token]):
                m.d.sync += self.overflow_engine.eq(token.source)
        return m

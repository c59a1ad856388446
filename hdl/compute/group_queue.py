"""Parameters of accumulator groups in flight."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.data import Layout
from amaranth.lib.wiring import In, Out


class GroupQueue(wiring.Component):
    """A first-in first-out queue in LUT memory whose oldest entry shows at once. Its user keeps it from overflowing.

    Parameters
    ----------
    layout: of an entry.
    depth: entries, a power of two (`DrainTiming.in_flight`).

    Members
    -------
    push, entry: append an entry.
    pop: drop the oldest entry; only while `waiting`.
    waiting: there is an entry, in `head`; a register.
    """

    def __init__(self, layout: Layout, depth: int) -> None:
        self._layout = layout
        self._depth = depth
        super().__init__({
            "push": In(1),
            "entry": In(layout),
            "pop": In(1),
            "waiting": Out(1),
            "head": Out(layout),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.entries = entries = memory.Memory(shape=self._layout, depth=self._depth, init=[])
        write, read = entries.write_port(), entries.read_port(domain="comb")
        pushed, popped = Signal(range(2 * self._depth)), Signal(range(2 * self._depth))
        following = Signal.like(popped)
        m.d.comb += following.eq(popped + 1)
        m.d.sync += [
            pushed.eq(pushed + self.push),
            popped.eq(popped + self.pop),
            self.waiting.eq(self.push | Mux(self.pop, pushed != following, self.waiting)),
        ]
        m.d.comb += [
            write.addr.eq(pushed),
            write.data.eq(self.entry),
            write.en.eq(self.push),
            read.addr.eq(popped),
            self.head.eq(read.data),
        ]
        return m

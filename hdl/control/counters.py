"""The counters of a run."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .. import registers

BYTE_COUNTERS = ("READ_BYTES", "WRITE_BYTES")
BYTES_BITS = 8
"""Width of a cycle's increment of a byte counter: up to 255 bytes over all masters."""


def counts_layout() -> data.ArrayLayout:
    """The values, by position in `registers.COUNTERS`."""
    return data.ArrayLayout(32, len(registers.COUNTERS))


def events_layout() -> data.StructLayout:
    """What is counted in a cycle, by name in lower case: bytes for the byte counters, a strobe for the others."""
    return data.StructLayout({
        name.lower(): BYTES_BITS if name in BYTE_COUNTERS else 1 for name, _ in registers.COUNTERS
    })


class Counters(wiring.Component):
    """Counts events, a cycle after they happen; every counter wraps at 2^32.

    Members
    -------
    clear: sets all to 0.
    enable: count.
    events: `cycles` is an event like the others.
    values: of the counters.
    """

    clear: In(1)
    enable: In(1)
    events: In(events_layout())
    values: Out(counts_layout())

    def elaborate(self, platform):
        m = Module()
        events = Signal.like(self.events)
        with m.If(self.enable):
            m.d.sync += events.eq(self.events)
        with m.Else():
            m.d.sync += events.eq(0)
        for index, (name, _) in enumerate(registers.COUNTERS):
            m.d.sync += self.values[index].eq(self.values[index] + events[name.lower()])
        with m.If(self.clear):
            m.d.sync += [self.values.eq(0), events.eq(0)]
        return m

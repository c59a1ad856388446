"""Several reading masters on one port: the transaction's ID says whose it is."""

from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...hdl.dma.axi import Direction, axi4_master


class ReadMultiplexer(wiring.Component):
    """Addresses take turns; data go to the master that their ID names, so those of different masters may interleave.

    An address that was offered stays until it is taken. Nothing is registered: no cycle is added.

    Parameters
    ----------
    count: masters.
    data_bits, address_bits: theirs and the port's.

    Members
    -------
    masters: the masters, array of read-only AXI4.
    bus: the port: AXI4, read-only, with `arid` and `rid`.
    """

    def __init__(self, *, count: int, data_bits: int, address_bits: int) -> None:
        self._count = count
        plain = axi4_master(data_bits=data_bits, address_bits=address_bits, direction=Direction.READ)
        id_bits = max(1, (count - 1).bit_length())
        super().__init__({
            "masters": In(plain).array(count),
            "bus": Out(wiring.Signature({**plain.members, "arid": Out(id_bits), "rid": In(id_bits)})),
        })

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        bus = self.bus
        chosen = Signal(range(self._count))
        last = Signal(range(self._count))  # whose turn was last: the one after it is asked first
        held = Signal()  # an address is on the port and not taken: `last` is its master
        with m.If(held):
            m.d.comb += chosen.eq(last)
        with m.Else():
            with m.Switch(last):
                for before in range(self._count):
                    with m.Case(before):
                        for distance in reversed(range(1, self._count + 1)):
                            candidate = (before + distance) % self._count
                            with m.If(self.masters[candidate].arvalid):
                                m.d.comb += chosen.eq(candidate)
        with m.If(bus.arvalid):
            m.d.sync += [last.eq(chosen), held.eq(~bus.arready)]
        m.d.comb += bus.arid.eq(chosen)
        with m.Switch(chosen):
            for index, master in enumerate(self.masters):
                with m.Case(index):
                    m.d.comb += master.arready.eq(bus.arready)
                    for name in ("araddr", "arlen", "arsize", "arburst", "arcache", "arprot", "arvalid"):
                        m.d.comb += getattr(bus, name).eq(getattr(master, name))
        with m.Switch(bus.rid):
            for index, master in enumerate(self.masters):
                with m.Case(index):
                    m.d.comb += [master.rvalid.eq(bus.rvalid), bus.rready.eq(master.rready)]
        for master in self.masters:
            for name in ("rdata", "rresp", "rlast"):
                m.d.comb += getattr(master, name).eq(getattr(bus, name))
        return m

"""The AXI4-Lite slave: bus transactions to a simple register bus."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..dma.axi import Response, axi4_lite_slave


class RegisterWrite(data.Struct):
    """A write to the register space: valid for one cycle, and always taken."""

    valid: unsigned(1)
    word: unsigned(6)
    """Byte offset / 4; the two lowest address bits are ignored."""
    data: unsigned(32)
    strobes: unsigned(4)


class AxiLiteSlave(wiring.Component):
    """Turns AXI4-Lite into single-cycle register accesses.

    Addresses and data of a write may come in either order and any time apart; each is held until its partner is there
    and the response of the write before is taken. Reads and writes are independent. Every answer is OKAY: what an
    access had no effect on is told by registers, because an error response kills the process that wrote on Zynq.

    Members
    -------
    bus: the slave's side of AXI4-Lite, 8 address bits.
    write: a complete write, for one cycle.
    read_word: byte offset / 4 of the register being read.
    read_data: its contents, in the same cycle.
    """

    bus: Out(axi4_lite_slave(address_bits=8))
    write: Out(RegisterWrite)
    read_word: Out(6)
    read_data: In(32)

    def elaborate(self, platform):
        m = Module()
        bus = self.bus

        # Write: hold address and data until both are there.
        address_held = Signal()
        data_held = Signal()
        word = Signal(6)
        payload = Signal(32)
        strobes = Signal(4)
        m.d.comb += [
            bus.awready.eq(~address_held),
            bus.wready.eq(~data_held),
            bus.bresp.eq(Response.OKAY),
            self.write.valid.eq(address_held & data_held & ~bus.bvalid),
            self.write.word.eq(word),
            self.write.data.eq(payload),
            self.write.strobes.eq(strobes),
        ]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [address_held.eq(1), word.eq(bus.awaddr[2:])]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [data_held.eq(1), payload.eq(bus.wdata), strobes.eq(bus.wstrb)]
        with m.If(self.write.valid):
            m.d.sync += [address_held.eq(0), data_held.eq(0), bus.bvalid.eq(1)]
        with m.Elif(bus.bready):
            m.d.sync += bus.bvalid.eq(0)

        # Read: hold the address for one cycle, then the contents until they are taken.
        reading = Signal()
        m.d.comb += [
            bus.arready.eq(~reading & ~bus.rvalid),
            bus.rresp.eq(Response.OKAY),
        ]
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [reading.eq(1), self.read_word.eq(bus.araddr[2:])]
        with m.If(reading):
            m.d.sync += [reading.eq(0), bus.rvalid.eq(1), bus.rdata.eq(self.read_data)]
        with m.Elif(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        return m

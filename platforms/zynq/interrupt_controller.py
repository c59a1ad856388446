"""An interrupt controller in front of the processor, for PYNQ: from version 3 on it sees no interrupt without one."""

import enum

from amaranth.hdl import Elaboratable, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...hdl.control.axi_lite import AxiLiteSlave
from ...hdl.dma.axi import axi4_lite_slave

VLNV = "xilinx.com:ip:axi_intc:4.1"
"""What it is to software."""


class Register(enum.IntEnum):
    """Offsets of the AXI Interrupt Controller's registers (PG099)."""

    ISR = 0x00
    """Interrupts that were seen."""
    IPR = 0x04
    """… and are enabled; read-only."""
    IER = 0x08
    """Enables."""
    IAR = 0x0C
    """Write 1: acknowledge, clears the interrupt's ISR bit."""
    SIE = 0x10
    """Write 1: sets the enable."""
    CIE = 0x14
    """Write 1: clears the enable."""
    IVR = 0x18
    """Number of the pending interrupt; all ones without one."""
    MER = 0x1C
    """Bit 0: the output; bit 1: hardware interrupts."""


class InterruptController(wiring.Component):
    """The AXI Interrupt Controller with one level-sensitive, high-active input: what PYNQ and Linux use of it.

    ISR follows the input from the time on that MER's bit 1 is set, and keeps it until it is acknowledged; an input that
    is still high is seen again. Software interrupts (writes to ISR) are left out.

    Members
    -------
    lite: registers, AXI4-Lite.
    interrupt: In, from the device.
    irq: Out, to the processor.
    """

    lite: Out(axi4_lite_slave(address_bits=8))  # type: ignore[valid-type]
    interrupt: In(1)  # type: ignore[valid-type]
    irq: Out(1)  # type: ignore[valid-type]

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.slave = slave = AxiLiteSlave()
        wiring.connect(m, wiring.flipped(self.lite), slave.bus)
        seen, enabled, master, hardware = Signal(), Signal(), Signal(), Signal()
        pending = seen & enabled

        write = slave.write
        with m.If(write.valid & write.strobes[0]):
            with m.Switch(write.word << 2):
                with m.Case(Register.IER):
                    m.d.sync += enabled.eq(write.data[0])
                with m.Case(Register.IAR):
                    m.d.sync += seen.eq(seen & ~write.data[0])
                with m.Case(Register.SIE):
                    m.d.sync += enabled.eq(enabled | write.data[0])
                with m.Case(Register.CIE):
                    m.d.sync += enabled.eq(enabled & ~write.data[0])
                with m.Case(Register.MER):
                    m.d.sync += [master.eq(write.data[0]), hardware.eq(hardware | write.data[1])]
        with m.If(hardware & self.interrupt):
            m.d.sync += seen.eq(1)
        with m.Switch(slave.read_word << 2):
            with m.Case(Register.ISR):
                m.d.comb += slave.read_data.eq(seen)
            with m.Case(Register.IPR):
                m.d.comb += slave.read_data.eq(pending)
            with m.Case(Register.IER):
                m.d.comb += slave.read_data.eq(enabled)
            with m.Case(Register.IVR):
                m.d.comb += slave.read_data.eq(Mux(pending, 0, 0xFFFF_FFFF))
            with m.Case(Register.MER):
                m.d.comb += slave.read_data.eq(master | hardware << 1)
        m.d.comb += self.irq.eq(master & pending)
        return m


class LiteSplitter(wiring.Component):
    """Two AXI4-Lite slaves behind a master that keeps an address until its answer is taken, as `LiteBridge` does.

    Parameters
    ----------
    address_bits: the highest selects.

    Members
    -------
    lite: In, from the master.
    low, high: to the slaves, with 8 address bits.
    """

    def __init__(self, *, address_bits: int) -> None:
        slave = axi4_lite_slave(address_bits=8)
        super().__init__({"lite": Out(axi4_lite_slave(address_bits=address_bits)), "low": In(slave), "high": In(slave)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        for name, member in self.lite.signature.members.items():
            address = self.lite.araddr if name.startswith(("ar", "r")) else self.lite.awaddr
            master, low, high = (getattr(port, name) for port in (self.lite, self.low, self.high))
            if member.flow is Out:
                m.d.comb += master.eq(Mux(address[-1], high, low))
                continue
            for slave, chosen in ((low, ~address[-1]), (high, address[-1])):
                handshake = name.endswith(("valid", "ready"))
                m.d.comb += slave.eq(Mux(chosen, master, 0) if handshake else master)
        return m

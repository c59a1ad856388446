"""The processing systems as components: typed AXI ports, one clock, its reset, two interrupts.

Every input of the primitive is driven; what is not used is tied to its inactive level.
"""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import ClockSignal, Const, Elaboratable, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .axi import axi_master
from .primitives import PS7_INPUTS, PS8_INPUTS
from .systems import PS7, PS8, Port, ProcessingSystem


class ZynqProcessingSystem(wiring.Component):
    """What both have in common. All ports belong to `sync`, which the parent makes of `clock`.

    Parameters
    ----------
    slaves: data bits of the memory ports that are used, by port.

    Members
    -------
    (master port): Out, AXI with IDs, 32 bits of data: the processor's accesses to the fabric.
    (slave ports): In, AXI with IDs: accesses to memory.
    clock: Out, the first clock of the fabric, on a global buffer.
    reset_n: Out, asynchronous.
    interrupts: In, the first two to the processor, high-active, level.
    """

    system: ProcessingSystem
    _inputs: Mapping[str, int]
    _master_bits: tuple[int, int, int]
    """Data of the primitive, address, ID of the master port."""
    _slave_id_bits = 6

    def __init__(self, slaves: Mapping[Port, int]) -> None:
        self.slaves = dict(slaves)
        for port, bits in self.slaves.items():
            if port not in self.system.slaves:
                raise ValueError(f"{port.interface} is no memory port of {self.system.title}")
            if bits not in self.system.data_bits:
                raise ValueError(f"{port.interface} cannot have {bits} bits of data")
        _, address_bits, id_bits = self._master_bits
        axi, system = self.system.axi, self.system
        super().__init__({
            system.master.member: Out(
                axi_master(version=axi, data_bits=32, address_bits=address_bits, id_bits=id_bits)
            ),
            **{
                port.member: In(
                    axi_master(
                        version=axi, data_bits=bits, address_bits=system.address_bits, id_bits=self._slave_id_bits
                    )
                )
                for port, bits in self.slaves.items()
            },
            "clock": Out(1),
            "reset_n": Out(1),
            "interrupts": In(2),
        })

    @property
    def master(self) -> Any:
        """The interface of the master port."""
        return getattr(self, self.system.master.member)

    def slave(self, port: Port) -> Any:
        """The interface of a memory port."""
        return getattr(self, port.member)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        pins: dict[str, Value] = {
            f"i_{name}": Const(self._idle_level(name, width), width) for name, width in self._inputs.items()
        }
        self._connect(m, pins, self.system.master, self.master)
        for port in self.slaves:
            self._connect(m, pins, port, self.slave(port))
        fabric_clock = Signal()
        self._connect_system(m, pins, fabric_clock)
        keep = {"a_KEEP": "TRUE", "a_DONT_TOUCH": "TRUE"}
        m.submodules.processor = Instance(self.system.primitive, **keep, **pins)
        m.submodules.buffer = Instance("BUFG", i_I=fabric_clock, o_O=self.clock)
        return m

    def _connect(self, m: Module, pins: dict[str, Value], port: Port, bus: Any) -> None:
        """One AXI port: pins have the bus's names, with the port's prefix. Narrow data uses the lowest bytes."""
        for name, member in bus.signature.members.items():
            pin = f"{port.pins}{name.upper()}"
            signal = getattr(bus, name)
            if member.flow == In:
                wire = Signal(self._inputs[pin], name=pin.lower())
                m.d.comb += wire.eq(signal)
                pins[f"i_{pin}"] = wire
            else:
                wire = Signal(self._output_bits(name, len(signal)), name=pin.lower())
                m.d.comb += signal.eq(wire)
                pins[f"o_{pin}"] = wire
        for clock in self._port_clocks(port):
            pins[f"i_{port.pins}{clock}"] = ClockSignal()

    def _idle_level(self, name: str, width: int) -> int:
        return 0

    def _output_bits(self, name: str, bits: int) -> int:
        """Width of an AXI output pin whose signal has `bits`."""
        raise NotImplementedError

    def _port_clocks(self, port: Port) -> tuple[str, ...]:
        raise NotImplementedError

    def _connect_system(self, m: Module, pins: dict[str, Value], clock: Signal) -> None:
        """Clock, reset and interrupt."""
        raise NotImplementedError


class ProcessingSystem7(ZynqProcessingSystem):
    """PS7: `m_axi_gp0` and `s_axi_hp0` … `s_axi_hp3` (64 bits), all AXI3; FCLK0; IRQ_F2P[1:0]."""

    system = PS7
    _inputs = PS7_INPUTS
    _master_bits = (32, 32, 12)

    def _output_bits(self, name: str, bits: int) -> int:
        return 2 if name.endswith("size") else bits

    def _port_clocks(self, port: Port) -> tuple[str, ...]:
        return ("ACLK",)

    def _connect_system(self, m: Module, pins: dict[str, Value], clock: Signal) -> None:
        clocks = Signal(4, name="fclk_clk")
        resets_n = Signal(4, name="fclk_reset_n")
        interrupts = Signal(20, name="irq_f2p")
        m.d.comb += [clock.eq(clocks[0]), self.reset_n.eq(resets_n[0]), interrupts.eq(self.interrupts)]
        pins |= {"o_FCLKCLK": clocks, "o_FCLKRESETN": resets_n, "i_IRQF2P": interrupts}


class ProcessingSystem8(ZynqProcessingSystem):
    """PS8: `m_axi_hpm0_fpd`, `s_axi_hp0_fpd` … `s_axi_hp3_fpd`, `s_axi_hpc0_fpd` …, `s_axi_lpd`, all AXI4; PL_CLK0;
    pl_ps_irq0[1:0].

    Ports narrower than the primitive's 128 bits are so by configuration of the running system: PYNQ sets the widths
    from the .hwh, the device-tree overlay from its `config-afi`.
    """

    system = PS8
    _inputs = PS8_INPUTS
    _master_bits = (128, 40, 16)

    def _idle_level(self, name: str, width: int) -> int:
        return 1 if name in ("NFIQ0LPDRPU", "NFIQ1LPDRPU", "NIRQ0LPDRPU", "NIRQ1LPDRPU") else 0

    def _output_bits(self, name: str, bits: int) -> int:
        return {"rdata": 128, "wdata": 128, "wstrb": 16}.get(name, bits)

    def _port_clocks(self, port: Port) -> tuple[str, ...]:
        return ("ACLK",) if port is self.system.master else ("RCLK", "WCLK")

    def _connect_system(self, m: Module, pins: dict[str, Value], clock: Signal) -> None:
        clocks = Signal(4, name="pl_clk")
        gpio = Signal(96, name="emio_gpio_o")
        gpio_driven = Signal(96, name="emio_gpio_tn")
        interrupts = Signal(8, name="pl_ps_irq0")
        m.d.comb += [
            clock.eq(clocks[0]),
            # pl_resetn0 is the last GPIO. Until software drives it, it must not hold the fabric in reset.
            self.reset_n.eq(gpio[95] | ~gpio_driven[95]),
            interrupts.eq(self.interrupts),
        ]
        pins |= {
            "o_PLCLK": clocks, "o_EMIOGPIOO": gpio, "o_EMIOGPIOTN": gpio_driven, "i_PLPSIRQ0": interrupts,
        }  # fmt: skip


COMPONENTS = {PS7.name: ProcessingSystem7, PS8.name: ProcessingSystem8}

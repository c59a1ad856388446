"""A bitstream's top level in RTL alone: processing system, register bridge, accelerator. No pins, no block design."""

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In

from ...hdl.accelerator import TOP, accelerator_signature
from ...hdl.dma.axi import Direction
from ...hdl.geometry import Geometry
from .axi import attach
from .components import COMPONENTS
from .interrupt_controller import InterruptController, LiteSplitter
from .lite_bridge import LiteBridge
from .read_multiplexer import ReadMultiplexer
from .systems import REGISTER_WINDOW, ProcessingSystem

_LITE_BITS = (2 * REGISTER_WINDOW - 1).bit_length()


class AcceleratorInstance(wiring.Component):
    """The accelerator as an instance of its generated Verilog, the one that is simulated; ports of `Accelerator`."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(accelerator_signature(geometry))

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        ports = {
            f"{'i' if member.flow == In else 'o'}_{'__'.join(map(str, path))}": Value.cast(value)
            for path, member, value in self.signature.flatten(self)
        }
        m.submodules.accelerator = Instance(TOP, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)
        return m


class ZynqTop(Elaboratable):
    """The top level of a geometry on a processing system. It has no ports; `sync` is the system's first clock.

    Parameters
    ----------
    clock_hz: for the timing constraint.

    Raises
    ------
    BitstreamError: the geometry does not fit the system's ports.
    """

    def __init__(self, geometry: Geometry, system: ProcessingSystem, *, clock_hz: float) -> None:
        self._geometry, self._system, self._clock_hz = geometry, system, clock_hz
        self._ports = system.assign(geometry)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.accelerator = accelerator = AcceleratorInstance(self._geometry)
        masters = {port: [getattr(accelerator, name) for name in names] for port, names in self._ports.items()}
        m.submodules.system = system = COMPONENTS[self._system.name](
            {port: len(sharing[0].rdata) for port, sharing in masters.items()}
        )
        m.submodules.bridge = bridge = LiteBridge(
            system.master.signature, base=self._system.base, size=2 * REGISTER_WINDOW, lite_address_bits=_LITE_BITS
        )
        m.submodules.splitter = splitter = LiteSplitter(address_bits=_LITE_BITS)
        m.submodules.interrupts = interrupts = InterruptController()
        m.submodules.reset = ResetSynchronizer(~system.reset_n)
        m.d.comb += ClockSignal().eq(system.clock)
        if platform is not None:
            platform.add_clock_constraint(system.clock, self._clock_hz)  # type: ignore[attr-defined]

        wiring.connect(m, system.master, bridge.bus)
        wiring.connect(m, bridge.lite, splitter.lite)
        wiring.connect(m, splitter.low, accelerator.s_axi)
        wiring.connect(m, splitter.high, interrupts.lite)
        for port, sharing in masters.items():
            reader = sharing[0]
            if len(sharing) > 1:
                m.submodules[f"{port.member}_reads"] = multiplexer = ReadMultiplexer(
                    count=len(sharing), data_bits=len(reader.rdata), address_bits=len(reader.araddr)
                )
                for master, side in zip(sharing, multiplexer.masters):
                    attach(m, master, side, Direction.READ)
                reader = multiplexer.bus
            writer = next((master for master in sharing if hasattr(master, "awaddr")), sharing[0])
            attach(m, reader, system.slave(port), Direction.READ)
            attach(m, writer, system.slave(port), Direction.WRITE)
        m.d.comb += [
            interrupts.interrupt.eq(accelerator.interrupt),
            system.interrupts.eq(Cat(interrupts.irq, accelerator.interrupt)),
        ]
        return m

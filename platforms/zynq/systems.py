"""The two processing systems as data: ports, windows, clocks and interrupts, as the technical reference manuals have
them (UG585 for Zynq-7000, UG1085 for Zynq UltraScale+) and as Vivado's IP and PYNQ name them."""

import dataclasses

from ...hdl.geometry import Geometry
from ..boards import Board, Part
from ..errors import BitstreamError
from .axi import AxiVersion

REGISTER_WINDOW = 0x1_0000
"""Bytes of address space that the registers occupy in the processor's map; the register file repeats inside it. The
interrupt controller has as many, behind them."""


@dataclasses.dataclass(frozen=True)
class Port:
    """An AXI port of a processing system.

    Members
    -------
    member: of the Amaranth component.
    pins: prefix of the primitive's pins.
    interface: of Vivado's IP.
    clock: of Vivado's IP, the port's clock pin.
    segment: of the IP's address space, for slave ports: what Vivado's `assign_bd_address` is given.
    parameter: N in the IP's parameters `…SAXIGPN…`, the number in pynq's `C_SAXIGPN_DATA_WIDTH`.
    """

    member: str
    pins: str
    interface: str
    clock: str
    segment: str = ""
    parameter: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessingSystem:
    """A processing system.

    Members
    -------
    name: as device trees and messages call it.
    primitive: the cell.
    ip, ip_version: Vivado's IP, and PYNQ's type of it.
    master: the port through which registers are reached; `base` is where.
    slaves: ports to memory, in the order in which they are used.
    data_bits: widths that a slave port can be set to.
    clock_output, reset_output, interrupt_input: of the IP, for the first clock and the first interrupt.
    interrupt: hwirq of the first interrupt at the GIC: the interrupt controller's.
    pll_hz: of the PLL that the fabric's clocks are divided from.
    """

    name: str
    title: str
    primitive: str
    ip: str
    ip_version: str
    axi: AxiVersion
    address_bits: int
    master: Port
    base: int
    slaves: tuple[Port, ...]
    data_bits: tuple[int, ...]
    clock_output: str
    reset_output: str
    interrupt_input: str
    interrupt: int
    pll_hz: int

    @property
    def direct_interrupt(self) -> int:
        """hwirq of the second interrupt: the accelerator's own, for a Linux that knows nothing of the controller."""
        return self.interrupt + 1

    @property
    def vlnv(self) -> str:
        return f"xilinx.com:ip:{self.ip}:{self.ip_version}"

    def divisors(self, clock_hz: int) -> tuple[int, int]:
        """The two dividers (1 … 63 each) that give the highest clock not above `clock_hz`.

        Raises
        ------
        BitstreamError: no dividers do.
        """
        if clock_hz <= 0:
            raise BitstreamError(f"a clock of {clock_hz} Hz is not possible; it must be positive")
        smallest = -(-self.pll_hz // clock_hz)
        pairs = ((first * second, second, first) for first in range(1, 64) for second in range(1, 64))
        best = min((pair for pair in pairs if pair[0] >= smallest), default=None)
        if best is None:
            raise BitstreamError(
                f"{self.title} cannot divide {self.pll_hz / 1e6:g} MHz down to {clock_hz / 1e6:g} MHz; "
                f"at least {self.pll_hz / 63 / 63 / 1e6:.3f} MHz is possible"
            )
        _, second, first = best
        return first, second

    def clock_hz(self, wanted_hz: int) -> float:
        """The clock that `divisors` gives."""
        first, second = self.divisors(wanted_hz)
        return self.pll_hz / first / second

    def assign(self, geometry: Geometry) -> dict[Port, tuple[str, ...]]:
        """The memory masters of a geometry's accelerator at every slave port that is used.

        Where there are more masters than ports, the last masters share the first ports: reads are multiplexed. Only
        the maps' masters write, which are first and so never share a port with each other.

        Raises
        ------
        BitstreamError: a master does not fit.
        """
        masters = memory_masters(geometry)
        for name, bits in masters.items():
            if bits not in self.data_bits:
                widths = " or ".join(map(str, self.data_bits))
                raise BitstreamError(f"{name} has {bits} bits of data; the memory ports of {self.title} have {widths}")
        if geometry.maximum_burst > self.axi.longest_burst:
            raise BitstreamError(
                f"maximum_burst = {geometry.maximum_burst}: the memory ports of {self.title} are {self.axi.name}, "
                f"with bursts of at most {self.axi.longest_burst}"
            )
        if geometry.address_bits > self.address_bits:
            raise BitstreamError(
                f"address_bits = {geometry.address_bits}: the memory ports of {self.title} have {self.address_bits}"
            )
        names = list(masters)
        count = min(len(names), len(self.slaves))
        assigned = {port: tuple(names[index::count]) for index, port in enumerate(self.slaves[:count])}
        for port, sharing in assigned.items():
            if len({masters[name] for name in sharing}) > 1:
                widths = ", ".join(f"{name} with {masters[name]} bits" for name in sharing)
                raise BitstreamError(
                    f"{self.title} has {len(self.slaves)} memory ports for {len(masters)} masters, and those that "
                    f"share {port.interface} differ in width ({widths}): use fewer weight_ports"
                )
        return assigned


def memory_masters(geometry: Geometry) -> dict[str, int]:
    """Data bits of every memory master of the accelerator, by its port; the maps' first, which moves most."""
    return {
        "m_axi_maps": geometry.maps_bus_bits,
        **{f"m_axi_maps_{port}": geometry.maps_bus_bits for port in range(1, geometry.maps_ports)},
        **{f"m_axi_weights_{port}": geometry.weights_bus_bits for port in range(geometry.weight_ports)},
        "m_axi_instructions": 64,
    }


PS7 = ProcessingSystem(
    name="ps7",
    title="Zynq-7000",
    primitive="PS7",
    ip="processing_system7",
    ip_version="5.5",
    axi=AxiVersion.AXI3,
    address_bits=32,
    master=Port("m_axi_gp0", "MAXIGP0", "M_AXI_GP0", "M_AXI_GP0_ACLK"),
    base=0x43C0_0000,
    slaves=tuple(
        Port(
            f"s_axi_hp{n}", f"SAXIHP{n}", f"S_AXI_HP{n}", f"S_AXI_HP{n}_ACLK", f"S_AXI_HP{n}/HP{n}_DDR_LOWOCM", str(n)
        )
        for n in range(4)
    ),
    data_bits=(64,),
    clock_output="FCLK_CLK0",
    reset_output="FCLK_RESET0_N",
    interrupt_input="IRQ_F2P",
    interrupt=61,
    pll_hz=1_000_000_000,
)

PS8 = ProcessingSystem(
    name="ps8",
    title="Zynq UltraScale+",
    primitive="PS8",
    ip="zynq_ultra_ps_e",
    ip_version="3.5",
    axi=AxiVersion.AXI4,
    address_bits=49,
    master=Port("m_axi_hpm0_fpd", "MAXIGP0", "M_AXI_HPM0_FPD", "maxihpm0_fpd_aclk", parameter="0"),
    base=0xA000_0000,
    slaves=(
        *(
            Port(
                f"s_axi_hp{n}_fpd", f"SAXIGP{n + 2}", f"S_AXI_HP{n}_FPD", f"saxihp{n}_fpd_aclk",
                f"SAXIGP{n + 2}/HP{n}_DDR_LOW", str(n + 2),
            )
            for n in range(4)
        ),
        *(
            Port(
                f"s_axi_hpc{n}_fpd", f"SAXIGP{n}", f"S_AXI_HPC{n}_FPD", f"saxihpc{n}_fpd_aclk",
                f"SAXIGP{n}/HPC{n}_DDR_LOW", str(n),
            )
            for n in range(2)
        ),
        Port("s_axi_lpd", "SAXIGP6", "S_AXI_LPD", "saxi_lpd_aclk", "SAXIGP6/LPD_DDR_LOW", "6"),
    ),
    data_bits=(32, 64, 128),
    clock_output="pl_clk0",
    reset_output="pl_resetn0",
    interrupt_input="pl_ps_irq0",
    interrupt=121,
    pll_hz=1_500_000_000,
)


def processing_system(part: Part | None) -> ProcessingSystem:
    """The processing system inside a part.

    Raises
    ------
    BitstreamError: there is no part, or it has none.
    """
    if part is None:
        raise BitstreamError("there is no device to build for: this board exists only in simulation")
    if part.name.startswith("xc7z"):
        return PS7
    if part.name.startswith("xczu"):
        return PS8
    raise BitstreamError(f"part {part.name!r} has no processing system that is known here: xc7z… and xczu… have")


def board_system(board: Board) -> ProcessingSystem:
    """The processing system of a board.

    Raises
    ------
    BitstreamError: the board has no device, or none with a processing system.
    """
    try:
        return processing_system(board.part)
    except BitstreamError as error:
        raise BitstreamError(f"board {board.name!r}: {error}") from None

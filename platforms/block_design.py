"""The bitstream as a block design: the accelerator packaged as an IP, Vivado's own processing system and interconnects.

What PYNQ's users know: `.bit`, `.hwh` and `.xsa` of a design that opens in Vivado's IP integrator. Registers lie where
the design in RTL alone has them; an AXI interrupt controller beside them lets PYNQ's metadata parser see the interrupt.
"""

import dataclasses
from pathlib import Path

from ..hdl.accelerator import accelerator_verilog
from ..hdl.geometry import Geometry
from ..hdl.registers import REGISTERS
from .boards import Board
from .hardware_handoff import INSTANCE, VLNV
from .project import NAME, Project, claim, write
from .templating import render
from .vivado import SCRIPT
from .vivado_ip import MODULE, ip_verilog
from .zynq.axi import AxiVersion
from .zynq.systems import PS7, REGISTER_WINDOW, Port, ProcessingSystem, board_system, memory_masters


@dataclasses.dataclass(frozen=True)
class Attachment:
    """How masters reach a memory port of the processing system.

    Members
    -------
    cell: what is in between, or "" where the master's port fits the memory's.
    ip: its kind.
    """

    port: Port
    masters: tuple[str, ...]
    data_bits: int
    cell: str
    ip: str

    @property
    def links(self) -> list[tuple[str, str]]:
        """Pairs of interfaces to connect."""
        memory = f"system/{self.port.interface}"
        if not self.cell:
            return [(f"{INSTANCE}/{self.masters[0]}", memory)]
        first, last = ("S_AXI", "M_AXI") if self.ip == "axi_protocol_converter" else ("S{:02}_AXI", "M00_AXI")
        return [
            *((f"{INSTANCE}/{name}", f"{self.cell}/{first.format(n)}") for n, name in enumerate(self.masters)),
            (f"{self.cell}/{last}", memory),
        ]


def attachments(geometry: Geometry, system: ProcessingSystem) -> list[Attachment]:
    """One for each memory port that is used: nothing between AXI4 and AXI4, a protocol converter to AXI3, and a
    SmartConnect where masters share a port.

    Raises
    ------
    BitstreamError: the geometry does not fit the system's ports.
    """
    widths = memory_masters(geometry)
    result = []
    for port, masters in system.assign(geometry).items():
        converter = "axi_protocol_converter" if system.axi is AxiVersion.AXI3 else ""
        ip = "smartconnect" if len(masters) > 1 else converter
        cell = f"{port.interface.lower()}_access" if ip else ""
        result.append(Attachment(port, masters, widths[masters[0]], cell, ip))
    return result


def prepare(board: Board, geometry: Geometry, folder: Path) -> Project:
    """Writes the project; an older one in the folder is replaced file by file.

    Raises
    ------
    BitstreamError: the board or the geometry cannot be built, or `folder` holds something else.
    """
    system = board_system(board)
    clock_hz = system.clock_hz(board.clock_hz)
    between = attachments(geometry, system)
    claim(folder)
    for stale in (f"{NAME}.dts", f"{NAME}.dtbo", f"{NAME}.hwh"):  # of a design in RTL alone
        (folder / stale).unlink(missing_ok=True)
    values = {
        "name": NAME, "module": MODULE, "instance": INSTANCE, "vlnv": VLNV, "board": board, "system": system,
        "registers": REGISTERS, "window": REGISTER_WINDOW, "masters": list(memory_masters(geometry)),
        "attachments": between, "parameters": system_parameters(clock_hz, system, between), "zynq7": system is PS7,
    }  # fmt: skip
    files = {
        "accelerator.v": accelerator_verilog(geometry),
        "accelerator_ip.v": ip_verilog(geometry),
        "package_ip.tcl": render("package_ip.tcl", **values),
        f"{NAME}.tcl": render("block_design.tcl", **values),
        f"build_{NAME}.sh": SCRIPT,
    }
    write(folder, files)
    return Project(folder, board, geometry, clock_hz, tuple(files))


def system_parameters(clock_hz: float, system: ProcessingSystem, between: list[Attachment]) -> dict[str, str]:
    """Parameters of Vivado's processing-system IP that the design needs whatever the board: ports, clock, interrupt."""
    megahertz = f"{clock_hz / 1e6:.6f}"
    used = {attachment.port: attachment.data_bits for attachment in between}
    if system is PS7:
        return {
            "PCW_USE_M_AXI_GP0": "1", "PCW_USE_M_AXI_GP1": "0",
            "PCW_EN_CLK0_PORT": "1", "PCW_EN_RST0_PORT": "1", "PCW_FPGA0_PERIPHERAL_FREQMHZ": megahertz,
            "PCW_USE_FABRIC_INTERRUPT": "1", "PCW_IRQ_F2P_INTR": "1",
            **{f"PCW_USE_{port.interface}": str(int(port in used)) for port in system.slaves},
            **{f"PCW_{port.interface}_DATA_WIDTH": str(bits) for port, bits in used.items()},
        }  # fmt: skip
    return {
        "PSU__USE__M_AXI_GP0": "1", "PSU__USE__M_AXI_GP1": "0", "PSU__USE__M_AXI_GP2": "0",
        "PSU__MAXIGP0__DATA_WIDTH": "32",
        "PSU__FPGA_PL0_ENABLE": "1", "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": "IOPLL",
        "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": megahertz,
        "PSU__USE__IRQ0": "1",
        **{f"PSU__USE__S_AXI_GP{port.parameter}": str(int(port in used)) for port in system.slaves},
        **{f"PSU__SAXIGP{port.parameter}__DATA_WIDTH": str(bits) for port, bits in used.items()},
    }  # fmt: skip

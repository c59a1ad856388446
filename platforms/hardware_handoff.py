"""The hardware hand-off (.hwh) of a bitstream in RTL alone: what PYNQ reads to find registers, interrupt and clocks.

Vivado writes such a file for a block design; this one has the parts that PYNQ's parsers use, under the same names.
"""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ..hdl.geometry import Geometry
from ..hdl.registers import REGISTERS, SPACE_BYTES, Access
from .boards import Board
from .zynq import interrupt_controller
from .zynq.systems import PS7, REGISTER_WINDOW, ProcessingSystem, board_system, memory_masters

INSTANCE = "accelerator"
"""The accelerator's name: `overlay.accelerator`."""
VLNV = "intramix:hdl:accelerator:1.0"
_SYSTEM = "system"
_CONTROLLER = "interrupts"
_INTERFACE, _BLOCK = "s_axi", "registers"
_BUS = "xilinx.com:interface:aximm:1.0"
_ACCESS = {Access.READ: "read-only", Access.WRITE: "read-write", Access.COMMAND: "read-write"}


def handoff(board: Board, geometry: Geometry) -> str:
    """The hand-off of a board and geometry, as XML.

    Raises
    ------
    BitstreamError: the board has no processing system, or the geometry does not fit its ports.
    """
    system = board_system(board)
    root = Element("EDKSYSTEM", EDWVERSION="1.2", TIMESTAMP="", VIVADOVERSION="")
    part = board.part.name if board.part else ""
    SubElement(root, "SYSTEMINFO", ARCH="zynq", DEVICE=part, NAME="intramix")
    SubElement(root, "EXTERNALPORTS")
    SubElement(root, "EXTERNALINTERFACES")
    modules = SubElement(root, "MODULES")
    _accelerator(modules, system)
    _interrupt_controller(modules, system)
    _processing_system(modules, board, geometry, system)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _module(modules: Element, instance: str, vlnv: str, kind: str) -> Element:
    version = vlnv.rsplit(":", 1)[1]
    return SubElement(
        modules, "MODULE", FULLNAME=f"/{instance}", HWVERSION=version, INSTANCE=instance, IPTYPE="PERIPHERAL",
        MODCLASS="PERIPHERAL", MODTYPE=kind, VLNV=vlnv,
    )  # fmt: skip


def _registers(module: Element, base: int, registers: list[tuple[str, int, str, str]]) -> None:
    """The registers (name, offset, access, description) of a module, its window and its slave interface."""
    blocks = SubElement(SubElement(module, "ADDRESSBLOCKS"), "ADDRESSBLOCK", ACCESS="", INTERFACE=_INTERFACE,
                        NAME=_BLOCK, RANGE=str(SPACE_BYTES), USAGE="register")  # fmt: skip
    entries = SubElement(blocks, "REGISTERS")
    for name, offset, access, description in registers:
        entry = SubElement(entries, "REGISTER", NAME=name)
        for key, value in (
            ("DESCRIPTION", description), ("ADDRESS_OFFSET", f"0x{offset:02X}"), ("SIZE", "32"), ("ACCESS", access),
            ("IS_ENABLED", "true"), ("RESET_VALUE", "0"),
        ):  # fmt: skip
            SubElement(entry, "PROPERTY", NAME=key, VALUE=value)
        SubElement(entry, "FIELDS")
    parameters = SubElement(module, "PARAMETERS")
    _parameter(parameters, "C_S_AXI_BASEADDR", f"0x{base:08X}")
    _parameter(parameters, "C_S_AXI_HIGHADDR", f"0x{base + REGISTER_WINDOW - 1:08X}")
    buses = SubElement(module, "BUSINTERFACES")
    SubElement(buses, "BUSINTERFACE", BUSNAME="registers", DATAWIDTH="32", NAME=_INTERFACE, TYPE="SLAVE", VLNV=_BUS)


def _accelerator(modules: Element, system: ProcessingSystem) -> None:
    module = _module(modules, INSTANCE, VLNV, INSTANCE)
    _registers(module, system.base, [(each.name, each.offset, _ACCESS[each.access], each.doc) for each in REGISTERS])
    _port(SubElement(module, "PORTS"), "interrupt", "O", "interrupt", "accelerator_interrupt", (_CONTROLLER, "intr"))


def _interrupt_controller(modules: Element, system: ProcessingSystem) -> None:
    module = _module(modules, _CONTROLLER, interrupt_controller.VLNV, "axi_intc")
    names = [(register.name, register.value, "read-write", "") for register in interrupt_controller.Register]
    _registers(module, system.base + REGISTER_WINDOW, names)
    ports = SubElement(module, "PORTS")
    _port(ports, "intr", "I", "interrupt", "accelerator_interrupt", (INSTANCE, "interrupt"))
    _port(ports, "irq", "O", "interrupt", "interrupts_irq", (_SYSTEM, system.interrupt_input))


def _processing_system(modules: Element, board: Board, geometry: Geometry, system: ProcessingSystem) -> None:
    module = _module(modules, _SYSTEM, system.vlnv, system.ip)
    parameters = SubElement(module, "PARAMETERS")
    for name, value in _parameters(board, geometry, system).items():
        _parameter(parameters, name, value)
    ports = SubElement(module, "PORTS")
    _port(ports, system.interrupt_input, "I", "INTERRUPT", "interrupts_irq", (_CONTROLLER, "irq"))
    buses = SubElement(module, "BUSINTERFACES")
    SubElement(buses, "BUSINTERFACE", BUSNAME="registers", DATAWIDTH="32", NAME=system.master.interface, TYPE="MASTER",
               VLNV=_BUS)  # fmt: skip
    memory = SubElement(module, "MEMORYMAP")
    for instance, base in ((INSTANCE, system.base), (_CONTROLLER, system.base + REGISTER_WINDOW)):
        SubElement(
            memory, "MEMRANGE", ADDRESSBLOCK=_BLOCK, BASENAME="C_S_AXI_BASEADDR", BASEVALUE=f"0x{base:08X}",
            HIGHNAME="C_S_AXI_HIGHADDR", HIGHVALUE=f"0x{base + REGISTER_WINDOW - 1:08X}", INSTANCE=instance,
            IS_DATA="TRUE", IS_INSTRUCTION="TRUE", MASTERBUSINTERFACE=system.master.interface, MEMTYPE="REGISTER",
            SLAVEBUSINTERFACE=_INTERFACE,
        )  # fmt: skip


def _parameters(board: Board, geometry: Geometry, system: ProcessingSystem) -> dict[str, str]:
    """Clocks and port widths under the names of Vivado's IP; the clocks that are not used are off."""
    first, second = system.divisors(board.clock_hz)
    result = {}
    for clock in range(4):
        divisors = (first, second) if clock == 0 else (1, 1)
        if system is PS7:
            result[f"PCW_FPGA_FCLK{clock}_ENABLE"] = str(int(clock == 0))
            result[f"PCW_FCLK{clock}_PERIPHERAL_CLKSRC"] = "IO PLL"
            for index, divisor in enumerate(divisors):
                result[f"PCW_FCLK{clock}_PERIPHERAL_DIVISOR{index}"] = str(divisor)
        else:
            result[f"PSU__FPGA_PL{clock}_ENABLE"] = str(int(clock == 0))
            result[f"PSU__CRL_APB__PL{clock}_REF_CTRL__SRCSEL"] = "IOPLL"
            for index, divisor in enumerate(divisors):
                result[f"PSU__CRL_APB__PL{clock}_REF_CTRL__DIVISOR{index}"] = str(divisor)
    masters = memory_masters(geometry)
    if system is not PS7:
        result[f"C_MAXIGP{system.master.parameter}_DATA_WIDTH"] = "32"
    for port, names in system.assign(geometry).items():
        kind = "S_AXI_HP" if system is PS7 else "SAXIGP"
        result[f"C_{kind}{port.parameter}_DATA_WIDTH"] = str(masters[names[0]])
    return result


def _parameter(parent: Element, name: str, value: str) -> None:
    SubElement(parent, "PARAMETER", NAME=name, VALUE=value)


def _port(parent: Element, name: str, direction: str, kind: str, signal: str, other: tuple[str, str]) -> None:
    port = SubElement(parent, "PORT", DIR=direction, NAME=name, SIGIS=kind, SIGNAME=signal)
    SubElement(SubElement(port, "CONNECTIONS"), "CONNECTION", INSTANCE=other[0], PORT=other[1])

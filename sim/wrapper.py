"""A Verilog shell around the accelerator for cocotb: AXI4 bus models want ID signals, the accelerator has none."""

from collections.abc import Iterator

from ..hdl.dma.axi import Direction, axi4_lite_slave, axi4_master
from ..hdl.geometry import Geometry
from ..hdl.registers import SPACE_BYTES
from .accelerator import TOP
from .ports import MasterPort, master_ports

WRAPPER = "accelerator_testbench"
"""Name of the shell's module."""

_IDS = {"ar": ("output", "arid"), "r": ("input", "rid"), "aw": ("output", "awid"), "b": ("input", "bid")}


def wrapper_text(geometry: Geometry) -> str:
    """Verilog of a module that has the accelerator's ports, and ID signals of one bit (always 0) at each master.

    The accelerator's `m_axi_maps__araddr` is `m_axi_maps_araddr` here: AXI's usual names, for bus models to find.
    """
    ports, connections, assigns = ["input clk", "input rst", "output interrupt"], [], []
    connections += [f".{name}({name})" for name in ("clk", "rst", "interrupt")]
    for bus, signal, width, outwards in _signals(geometry):
        direction = "output" if outwards else "input"
        extent = f"[{width - 1}:0] " if width > 1 else ""
        ports.append(f"{direction} {extent}{bus}_{signal}")
        connections.append(f".{bus}__{signal}({bus}_{signal})")
    for port in master_ports(geometry):
        for channel, (direction, signal) in _IDS.items():
            if port.read if channel in ("ar", "r") else port.write:
                ports.append(f"{direction} {port.name}_{signal}")
                if direction == "output":
                    assigns.append(f"    assign {port.name}_{signal} = 1'b0;\n")
    listed = ",\n    ".join(ports)
    return (
        f"module {WRAPPER} (\n    {listed}\n);\n{''.join(assigns)}    {TOP} dut (\n        "
        + ",\n        ".join(connections)
        + "\n    );\nendmodule\n"
    )


def _signals(geometry: Geometry) -> Iterator[tuple[str, str, int, bool]]:
    """Bus, signal, width, and whether the accelerator drives it."""
    slave = axi4_lite_slave(address_bits=(SPACE_BYTES - 1).bit_length())
    for name, member in slave.members.items():
        yield "s_axi", name, member.shape, member.flow.name == "Out"
    for port in master_ports(geometry):
        signature = axi4_master(
            data_bits=port.data_bits, address_bits=geometry.address_bits, direction=_direction(port)
        )
        for name, member in signature.members.items():
            yield port.name, name, member.shape, member.flow.name == "Out"


def _direction(port: MasterPort) -> Direction:
    both = {Direction.READ: port.read, Direction.WRITE: port.write}
    return Direction(sum(direction.value for direction, has in both.items() if has))

"""The accelerator as Vivado's IP packager reads it: interfaces marked, single underscores, active-low reset."""

from amaranth.hdl import Shape
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ..hdl.accelerator import TOP, accelerator_signature
from ..hdl.geometry import Geometry
from .zynq.systems import REGISTER_WINDOW, memory_masters

MODULE = "intramix_accelerator"
"""Top module of the IP."""
REGISTERS = "s_axi"
"""Its slave interface."""
OUTSTANDING = 16
"""Bursts that a master has under way, at most; interconnects size their queues by it."""
_WINDOW_BITS = (REGISTER_WINDOW - 1).bit_length()


def ip_verilog(geometry: Geometry) -> str:
    """The IP's top module: the generated accelerator behind ports with Vivado's interface attributes."""
    interfaces: dict[str, wiring.Signature] = {
        name: member.signature
        for name, member in accelerator_signature(geometry).members.items()
        if member.is_signature
    }
    clocking = f"ASSOCIATED_BUSIF {':'.join(interfaces)}, ASSOCIATED_RESET aresetn"
    ports = [
        _port("aclk", "input", 1, "signal:clock", "aclk CLK", clocking),
        _port("aresetn", "input", 1, "signal:reset", "aresetn RST", "POLARITY ACTIVE_LOW"),
        _port("interrupt", "output", 1, "signal:interrupt", "interrupt INTERRUPT", "SENSITIVITY LEVEL_HIGH"),
    ]
    links = [".clk(aclk)", ".rst(reset)", ".interrupt(interrupt)"]
    for name, signature in interfaces.items():
        parameters = _parameters(geometry, name, signature)
        for index, (signal, member) in enumerate(signature.members.items()):
            bits, part = Shape.cast(member.shape).width, ""
            if name == REGISTERS and signal.endswith("addr"):  # the register file repeats inside its window
                bits, part = _WINDOW_BITS, f"[{bits - 1}:0]"
            direction = "input" if member.flow == In else "output"
            role = f"{name} {signal.upper()}"
            first = parameters if index == 0 else ""  # an interface's parameters stand at one of its ports
            ports.append(_port(f"{name}_{signal}", direction, bits, "interface:aximm", role, first))
            links.append(f".{name}__{signal}({name}_{signal}{part})")
    return (
        f"// The accelerator's ports as Vivado's IP packager and IP integrator name them.\nmodule {MODULE} (\n"
        + ",\n".join(ports)
        + "\n);\n  reg reset = 1'b1;\n  always @(posedge aclk) reset <= ~aresetn;\n\n"
        + f"  {TOP} core (\n    "
        + ",\n    ".join(links)
        + "\n  );\nendmodule\n"
    )


def _parameters(geometry: Geometry, name: str, signature: wiring.Signature) -> str:
    if name == REGISTERS:
        return f"PROTOCOL AXI4LITE, DATA_WIDTH 32, ADDR_WIDTH {_WINDOW_BITS}, ID_WIDTH 0, HAS_BURST 0"
    mode = "READ_WRITE" if "awaddr" in signature.members else "READ_ONLY"
    return (
        f"PROTOCOL AXI4, DATA_WIDTH {memory_masters(geometry)[name]}, ADDR_WIDTH {geometry.address_bits}, ID_WIDTH 0, "
        f"READ_WRITE_MODE {mode}, MAX_BURST_LENGTH {geometry.maximum_burst}, SUPPORTS_NARROW_BURST 0, "
        f"NUM_READ_OUTSTANDING {OUTSTANDING}, NUM_WRITE_OUTSTANDING {OUTSTANDING}"
    )


def _port(name: str, direction: str, bits: int, kind: str, role: str, parameters: str) -> str:
    """A port's declaration, its attributes above it; `role`: its interface and its signal there."""
    vector = f"[{bits - 1}:0] " if bits > 1 else ""
    lines = [f'  (* X_INTERFACE_INFO = "xilinx.com:{kind}:1.0 {role}" *)', f"  {direction} wire {vector}{name}"]
    if parameters:
        interface = role.split()[0]
        lines.insert(1, f'  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME {interface}, {parameters}" *)')
    return "\n".join(lines)

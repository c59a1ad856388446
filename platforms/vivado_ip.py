"""The accelerator as Vivado's IP packager reads it: interfaces marked, single underscores, active-low reset."""

from collections.abc import Iterator

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
    buses = ":".join(interfaces)
    ports = [
        *_port("aclk", "input", 1, "clock", "CLK", f"ASSOCIATED_BUSIF {buses}, ASSOCIATED_RESET aresetn"),
        *_port("aresetn", "input", 1, "reset", "RST", "POLARITY ACTIVE_LOW"),
        *_port("interrupt", "output", 1, "interrupt", "INTERRUPT", "SENSITIVITY LEVEL_HIGH"),
    ]
    links = ["    .clk(aclk),", "    .rst(reset),", "    .interrupt(interrupt),"]
    for name, signature in interfaces.items():
        parameters = f"XIL_INTERFACENAME {name}, {_parameters(geometry, name, signature)}"
        for signal, member in signature.members.items():
            bits, part = Shape.cast(member.shape).width, ""
            if name == REGISTERS and signal.endswith("addr"):  # the register file repeats inside its window
                bits, part = _WINDOW_BITS, f"[{bits - 1}:0]"
            mark = f'  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 {name} {signal.upper()}" *)'
            ports += [f'  (* X_INTERFACE_PARAMETER = "{parameters}" *)'] if parameters else []
            parameters = ""
            ports += [mark, _declaration(f"{name}_{signal}", "input" if member.flow == In else "output", bits)]
            links.append(f"    .{name}__{signal}({name}_{signal}{part}),")
    lines = [
        "// The accelerator's ports as Vivado's IP packager and IP integrator name them.",
        f"module {MODULE} (",
        *ports,
        ");",
        "  reg reset = 1'b1;",
        "  always @(posedge aclk) reset <= ~aresetn;",
        "",
        f"  {TOP} core (",
        *links,
        "  );",
        "endmodule",
    ]
    for last in (lines.index(");") - 1, len(lines) - 3):
        lines[last] = lines[last].rstrip(",")
    return "\n".join(lines) + "\n"


def _parameters(geometry: Geometry, name: str, signature: wiring.Signature) -> str:
    if name == REGISTERS:
        return f"PROTOCOL AXI4LITE, DATA_WIDTH 32, ADDR_WIDTH {_WINDOW_BITS}, ID_WIDTH 0, HAS_BURST 0"
    mode = "READ_WRITE" if "awaddr" in signature.members else "READ_ONLY"
    return (
        f"PROTOCOL AXI4, DATA_WIDTH {memory_masters(geometry)[name]}, ADDR_WIDTH {geometry.address_bits}, ID_WIDTH 0, "
        f"READ_WRITE_MODE {mode}, MAX_BURST_LENGTH {geometry.maximum_burst}, SUPPORTS_NARROW_BURST 0, "
        f"NUM_READ_OUTSTANDING {OUTSTANDING}, NUM_WRITE_OUTSTANDING {OUTSTANDING}"
    )


def _port(name: str, direction: str, bits: int, kind: str, signal: str, parameters: str) -> Iterator[str]:
    yield f'  (* X_INTERFACE_INFO = "xilinx.com:signal:{kind}:1.0 {name} {signal}" *)'
    yield f'  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME {name}, {parameters}" *)'
    yield _declaration(name, direction, bits)


def _declaration(name: str, direction: str, bits: int) -> str:
    vector = f"[{bits - 1}:0] " if bits > 1 else ""
    return f"  {direction} wire {vector}{name},"

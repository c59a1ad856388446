"""Device-tree overlays: what a Linux without PYNQ needs to load the bitstream and to see the interrupt."""

from ..hdl.geometry import Geometry
from .zynq.systems import PS7, REGISTER_WINDOW, ProcessingSystem, memory_masters

_AFI_WIDTH = {128: 0, 64: 1, 32: 2}
"""AFIFM's FABRIC_WIDTH (UG1085)."""
_PS8_MASTER_32_BITS = 0
"""FPD_SLCR.AFI_FS with the first master port 32 bits wide; the second keeps its reset value by being unused."""


def overlay_source(geometry: Geometry, system: ProcessingSystem, *, name: str = "intramix") -> str:
    """The overlay's source: the file under /lib/firmware, a generic UIO node with the interrupt, port widths.

    Parameters
    ----------
    name: of the bitstream's files, without suffix.

    Raises
    ------
    BitstreamError: the geometry does not fit the system's ports.
    """
    widths = _afi_widths(geometry, system)
    cells = 1 if system is PS7 else 2
    base = f"0x{system.base:08x}" if cells == 1 else f"0x0 0x{system.base:08x}"
    size = f"0x{REGISTER_WINDOW:x}" if cells == 1 else f"0x0 0x{REGISTER_WINDOW:x}"
    return f"""/dts-v1/;
/plugin/;

&fpga_full {{
\t#address-cells = <{cells}>;
\t#size-cells = <{cells}>;
\tfirmware-name = "{name}.bin";
{widths}
\t{name}: accelerator@{system.base:x} {{
\t\tcompatible = "generic-uio";
\t\treg = <{base} {size}>;
\t\tinterrupt-parent = <&{"intc" if system is PS7 else "gic"}>;
\t\tinterrupts = <0 {system.direct_interrupt - 32} 4>;
\t}};
}};
"""


def _afi_widths(geometry: Geometry, system: ProcessingSystem) -> str:
    ports = system.assign(geometry)
    if system is PS7:
        return ""
    masters = memory_masters(geometry)
    pairs = []
    for port, names in ports.items():
        value = _AFI_WIDTH[masters[names[0]]]
        pairs += [f"<{2 * int(port.parameter)} {value}>", f"<{2 * int(port.parameter) + 1} {value}>"]
    pairs.append(f"<14 {_PS8_MASTER_32_BITS}>")
    return f"""
\tafi0: afi0 {{
\t\tcompatible = "xlnx,afi-fpga";
\t\tconfig-afi = {", ".join(pairs)};
\t}};
"""

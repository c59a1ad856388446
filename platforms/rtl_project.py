"""The bitstream in RTL alone: a Vivado project through Amaranth's vendor flow, with all that PYNQ and Linux need."""

import os
from pathlib import Path

from ..hdl.accelerator import accelerator_verilog
from ..hdl.geometry import Geometry
from .boards import Board
from .device_tree import overlay_source
from .fpga import vendor_platform
from .hardware_handoff import handoff
from .project import NAME, Project, claim, write
from .vivado import SCRIPT
from .zynq.systems import board_system
from .zynq.top import ZynqTop


def prepare(board: Board, geometry: Geometry, folder: Path) -> Project:
    """Writes the project; an older one in the folder is replaced, where it differs.

    Raises
    ------
    BitstreamError: the board or the geometry cannot be built, or `folder` holds something else.
    """
    companions = companion_files(board, geometry)
    claim(folder)
    sources = {**design_files(board, geometry, toolchain="Vivado"), f"build_{NAME}.sh": SCRIPT}
    write(folder, {**sources, **companions})
    return Project(folder, board, geometry, board_system(board).clock_hz(board.clock_hz), tuple(sources))


def design_files(board: Board, geometry: Geometry, *, toolchain: str) -> dict[str, str]:
    """The design in Verilog, `accelerator.v` and `intramix.v`, and what Amaranth's flow for a toolchain adds to it.

    Raises
    ------
    BitstreamError: the board or the geometry cannot be built.
    """
    system = board_system(board)
    top = ZynqTop(geometry, system, clock_hz=system.clock_hz(board.clock_hz))
    platform = vendor_platform(board, toolchain=toolchain)
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    platform.add_file("accelerator.v", accelerator_verilog(geometry))
    return dict(platform.prepare(top, NAME, debug_verilog=False).files)


def companion_files(board: Board, geometry: Geometry) -> dict[str, str]:
    """What belongs beside a bitstream in RTL alone: PYNQ's hand-off, and the device-tree overlay.

    Raises
    ------
    BitstreamError: the geometry does not fit the system's ports, or the board has none.
    """
    return {
        f"{NAME}.hwh": handoff(board, geometry),
        f"{NAME}.dts": overlay_source(geometry, board_system(board), name=NAME),
    }

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
from .zynq.systems import board_system
from .zynq.top import ZynqTop


def prepare(board: Board, geometry: Geometry, folder: Path) -> Project:
    """Writes the project; an older one in the folder is replaced file by file.

    Raises
    ------
    BuildError: the board or the geometry cannot be built, or `folder` holds something else.
    """
    system = board_system(board)
    clock_hz = system.clock_hz(board.clock_hz)
    top = ZynqTop(geometry, system, clock_hz=clock_hz)
    platform = vendor_platform(board)
    claim(folder)
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    platform.add_file("accelerator.v", accelerator_verilog(geometry))
    plan = platform.prepare(top, NAME, debug_verilog=False)
    write(folder, plan.files)
    write(folder, {
        f"{NAME}.hwh": handoff(board, geometry), f"{NAME}.dts": overlay_source(geometry, system, name=NAME),
    })  # fmt: skip
    return Project(folder, board, geometry, clock_hz, tuple(plan.files))

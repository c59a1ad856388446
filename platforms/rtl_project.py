"""The bitstream in RTL alone: a Vivado project through Amaranth's vendor flow, with all that PYNQ and Linux need."""

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

from ..hdl.accelerator import accelerator_verilog
from ..hdl.geometry import Geometry
from .bitstream import parse_bit
from .boards import Board
from .device_tree import overlay_source
from .errors import BuildError, ToolError
from .fpga import vendor_platform
from .hardware_handoff import handoff
from .zynq.systems import board_system
from .zynq.top import ZynqTop

NAME = "intramix"
"""Of the top module and of every file of the bitstream."""
_LOG_LINES = 25


@dataclasses.dataclass(frozen=True)
class Project:
    """A prepared project.

    Members
    -------
    folder: holds the sources, `intramix.tcl`, `intramix.xdc` and `build_intramix.sh`; results come there.
    clock_hz: that the processing system gives.
    """

    folder: Path
    board: Board
    geometry: Geometry
    clock_hz: float


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
    marker = folder / f"{NAME}.tcl"
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not marker.exists())):
        raise BuildError(f"{folder} is not empty and is no project of a bitstream: name another folder")
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    platform.add_file("accelerator.v", accelerator_verilog(geometry))
    plan = platform.prepare(top, NAME, debug_verilog=False)
    plan.extract(folder)
    (folder / f"{NAME}.hwh").write_text(handoff(board, geometry))
    (folder / f"{NAME}.dts").write_text(overlay_source(geometry, system, name=NAME))
    return Project(folder, board, geometry, clock_hz)


def run(project: Project) -> Path:
    """Runs Vivado, then writes the .bin and, where `dtc` is installed, the .dtbo; returns the .bit.

    Raises
    ------
    ToolError: Vivado is missing or failed; the end of its log is in the message.
    """
    if shutil.which("vivado") is None and "AMARANTH_ENV_VIVADO" not in os.environ:
        raise ToolError(
            "vivado is not on the PATH: source its settings64.sh, or name that file in AMARANTH_ENV_VIVADO, and run "
            f"again; or take {project.folder} to a machine that has it and run build_{NAME}.sh there"
        )
    bit, log = project.folder / f"{NAME}.bit", project.folder / f"{NAME}.log"
    bit.unlink(missing_ok=True)
    outcome = subprocess.run(
        ["sh", f"build_{NAME}.sh"], cwd=project.folder, capture_output=True, text=True, check=False
    )
    if outcome.returncode or not bit.exists():
        text = log.read_text(errors="replace") if log.exists() else outcome.stdout + outcome.stderr
        tail = "\n".join(text.splitlines()[-_LOG_LINES:])
        raise ToolError(f"vivado failed (exit code {outcome.returncode}); the end of {log}:\n{tail}")
    finish(bit)
    return bit


def finish(bit: Path) -> None:
    """Writes the .bin beside a .bit, and compiles the overlay beside it if `dtc` is there.

    Raises
    ------
    BuildError: the .bit is no bitstream. ToolError: dtc failed.
    """
    bit.with_suffix(".bin").write_bytes(parse_bit(bit.read_bytes()).to_bin())
    source = bit.with_suffix(".dts")
    if source.exists() and shutil.which("dtc"):
        command = ["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", str(bit.with_suffix(".dtbo")), str(source)]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        if outcome.returncode:
            raise ToolError(f"dtc failed on {source}:\n{outcome.stderr}")

"""The bitstream in RTL alone by open tools, for small Zynq-7000 devices: yosys, nextpnr-xilinx, prjxray."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from ..hdl.geometry import Dsp, Geometry
from .boards import Board
from .errors import BitstreamError, ToolError
from .open_tools import OPENXC7, FoundTool, databases, find_tools
from .project import NAME, Project, claim, finish, write
from .remote import Remote
from .rtl_project import companion_files, design_files
from .templating import render
from .zynq.systems import board_system

_DEVICES = re.compile(r"(xc7z0(?:07s|10|20))(\w+)-(\d)")
_LOGS = (f"{NAME}_yosys.log", f"{NAME}_nextpnr.log")
_LOG_LINES = 25
_SYNTHESIS = "-family xc7 -flatten -abc9 -nosrl"
"""nextpnr-xilinx cannot place shift registers in LUTs beside LUT memories."""
_SCRIPT = """#!/bin/sh
cd "$(dirname "$0")" && exec "${MAKE:-make}" "$@"
"""


def prepare(board: Board, geometry: Geometry, folder: Path) -> Project:
    """Writes the project; an older one in the folder is replaced, where it differs.

    Raises
    ------
    BitstreamError: the board or the geometry cannot be built so, or `folder` holds something else.
    """
    companions = companion_files(board, geometry)
    device, package = _die(board)
    clock_hz = board_system(board).clock_hz(board.clock_hz)
    claim(folder)
    design = design_files(board, geometry, toolchain="Xray")
    sources = {
        "accelerator.v": design["accelerator.v"],
        f"{NAME}.v": design[f"{NAME}.v"],
        "Makefile": render(
            "Makefile", name=NAME, board=board, openxc7=OPENXC7, chip=f"{device}{package}", family="zynq7",
            megahertz=f"{clock_hz / 1e6:g}",
            synthesis=_SYNTHESIS + (" -nodsp" if geometry.dsp is Dsp.NONE else ""),
        ),
        f"build_{NAME}.sh": _SCRIPT,
    }  # fmt: skip
    write(folder, {**sources, **companions})
    return Project(folder, board, geometry, clock_hz, tuple(sources))


def run(
    project: Project, remote: Remote | None = None, *, announce: Callable[[FoundTool], None] = lambda tool: None
) -> Path:
    """Runs the steps that are not up to date; returns the .bit, with the .bin beside it.

    Parameters
    ----------
    remote: the machine that has the tools; None: this one.
    announce: told every tool that is used here, with its version.

    Raises
    ------
    ToolError: a tool or a database is missing, or a step failed; the end of the output is in the message.
    """
    output = project.folder / "script.log"
    for stale in project.folder.glob(f"{NAME}_*.rpt"):  # another tool's
        stale.unlink()
    if remote is None:
        try:
            tools = find_tools()
            variables = {tool.tool.variable: tool.command for tool in tools} | databases(*_die(project.board))
        except ToolError as error:
            raise ToolError(
                f"{error}. The project is complete in {project.folder}; run sh {project.script.name} there, on a "
                "machine that has the tools, or use --ssh USER@HOST"
            ) from None
        for tool in tools:
            announce(tool)
        make = variables.pop("MAKE")
        command = [make, *(f"{name}={value}" for name, value in variables.items())]
        with output.open("w") as stream:
            code = subprocess.run(
                command, cwd=project.folder, stdout=stream, stderr=subprocess.STDOUT, check=False
            ).returncode
    else:
        code = remote.run(project, results=(project.bit.name,), kept=_LOGS, environment={})
    if code or not project.bit.exists():
        tail = "\n".join(output.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        raise ToolError(f"the open tools failed (exit code {code}); the end of {output}:\n{tail}")
    finish(project.bit)
    return project.bit


def _die(board: Board) -> tuple[str, str]:
    """Device and package of a board's part.

    Raises
    ------
    BitstreamError: the open tools do not know it.
    """
    part = board.part.name if board.part else "none"
    match = _DEVICES.fullmatch(part)
    if match is None:
        raise BitstreamError(
            f"board {board.name!r}: the open tools build for XC7Z007S, XC7Z010 and XC7Z020, not for {part}; "
            "use --toolchain vivado"
        )
    device, package, _ = match.groups()
    return device, package

"""`intramix build`: a bitstream, or the project that makes it."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import click

from ...hdl.geometry import Dsp, Geometry
from ...platforms import block_design, open_project, rtl_project, vivado
from ...platforms.boards import Board
from ...platforms.open_tools import FoundTool
from ...platforms.project import Project
from ...platforms.remote import Remote
from ...platforms.reports import read_reports
from ...platforms.timing.records import AnalysedClock, analysed_clock
from ..figures.hardware import BuildFigures
from ..shared.console import console, errors, step
from ..shared.errors import UserError
from ..shared.options import board_options, json_option
from ..shared.output import write_figures
from .reports import print_reports, reports_figures

_PREPARE: dict[tuple[str, str], Callable[[Board, Geometry, Path], Project]] = {
    ("vivado", "rtl"): rtl_project.prepare,
    ("vivado", "block-design"): block_design.prepare,
    ("open", "rtl"): open_project.prepare,
}


@click.command()
@board_options("pynq-z2")
@click.option("--toolchain", type=click.Choice(["vivado", "open"]), default="vivado", show_default=True,
              help="What makes the bitstream. vivado: AMD's tool, for every board. open: yosys, nextpnr-xilinx and "
                   "prjxray, for XC7Z020 and smaller parts.")
@click.option("--flow", type=click.Choice(["rtl", "block-design"]), default="rtl", show_default=True,
              help="How Vivado gets the design. rtl: as Verilog with the processing system instantiated in it. "
                   "block-design: as an IP in a block design of the IP integrator, which also gives an .xsa.")
@click.option("--clock", type=click.FloatRange(min=1), metavar="MHZ",
              help="Clock of the accelerator (default: the board's, see `intramix boards`).")
@click.option("--prepare-only", is_flag=True, help="Only write the project; its script makes the bitstream later.")
@click.option("--ssh", "host", metavar="USER@HOST",
              help="Run the tool on this machine instead; files travel there and back by ssh.")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="FOLDER",
              help="Folder that receives the project and its results.")
@json_option
def build(
    board: Board, geometry: Geometry, toolchain: str, flow: str, clock: float | None, prepare_only: bool,
    host: str | None, output: Path, json_path: Path | None,
) -> None:
    """Build the bitstream of a board's geometry: processing system, interconnect and accelerator.

    FOLDER receives intramix.bit, intramix.bin and intramix.hwh, ready for PYNQ's Overlay and Linux' FPGA manager, with
    a device-tree overlay (--flow rtl) or an .xsa (--flow block-design); with --prepare-only all that makes them, and
    build_intramix.sh, which runs the tool.
    """
    started = time.monotonic()
    if (toolchain, flow) not in _PREPARE:
        raise UserError(f"--toolchain {toolchain} knows no {flow}: block designs are Vivado's; use --flow rtl")
    if toolchain == "open" and geometry.dsp is not Dsp.NONE:
        errors.print(
            "[yellow]warning:[/] this geometry has DSPs, whose products open place and route was reported to get wrong "
            "(openXC7/nextpnr-xilinx#159); --board pynq-z2-lut has none"
        )
    remote = Remote(host) if host and not prepare_only else None
    if clock is not None:
        board = dataclasses.replace(board, clock_hz=round(clock * 1e6))
    with step("Write the project") as note:
        note("the first run compiles yosys itself: up to 2 minutes")
        project = _PREPARE[toolchain, flow](board, geometry, output)
        note("")
    prepared = time.monotonic() - started
    asked = "" if project.clock_hz == board.clock_hz else f" (of {board.clock_hz / 1e6:g} asked for)"
    part = board.part.name if board.part else ""
    console.print(f"{output}: {part}, {project.clock_hz / 1e6:g} MHz{asked}, prepared in {prepared:.1f} s")
    expected = analysed_clock(geometry, board.part)
    _warn_of_clock(project, expected)
    bitstream = reports = None
    tools: list[FoundTool] = []
    if prepare_only:
        console.print(f"  sh {project.script}    makes the bitstream", soft_wrap=True)
    else:
        bitstream = str(_run(project, toolchain, remote, tools))
        console.print(f"  {bitstream}, .bin, .hwh", soft_wrap=True)
        found = read_reports(output)
        print_reports(found)
        reports = reports_figures(found)
    figures = BuildFigures(
        board=board.name, part=part, toolchain=toolchain, flow=flow, clock_hz=project.clock_hz,
        expected_clock_hz=None if expected is None else round(expected.clock_hz),
        signature=f"0x{geometry.signature:08x}", prepare_seconds=round(prepared, 2),
        tools={tool.tool.names[0]: tool.version for tool in tools}, bitstream=bitstream, reports=reports,
        seconds=round(time.monotonic() - started, 2),
    )  # fmt: skip
    write_figures(json_path, figures)


def _warn_of_clock(project: Project, expected: AnalysedClock | None) -> None:
    """Says whether the clock is one that the timing analysis allows."""
    megahertz = project.clock_hz / 1e6
    if expected is None:
        console.print(
            f"  whether the paths allow {megahertz:g} MHz is not on record: `intramix timing` analyses them in minutes",
            soft_wrap=True,
        )
    elif project.clock_hz > expected.clock_hz:
        errors.print(
            f"[yellow]warning:[/] {megahertz:g} MHz is above the {expected.clock_hz / 1e6:.0f} MHz that the timing "
            f"analysis allows (longest path {expected.worst_ns:g} ns, docs/timing.md): the tool may miss it; "
            f"--clock {int(expected.clock_hz / 1e6)} should be met",
            soft_wrap=True,
        )


def _run(project: Project, toolchain: str, remote: Remote | None, tools: list[FoundTool]) -> Path:
    """Makes the bitstream; every tool that is found here is printed and appended to `tools`."""
    where = f" on {remote.host}" if remote else ""
    if toolchain == "vivado":
        with step(f"Run Vivado{where}"):
            return vivado.run(project, remote)

    def announce(tool: FoundTool) -> None:
        tools.append(tool)
        console.print(f"  {tool.tool.names[0]}: {tool.version}", soft_wrap=True)

    with step(f"Run the open tools{where}") as note:
        note(f"steps whose inputs did not change are not repeated; output: {project.folder / 'script.log'}")
        return open_project.run(project, remote, announce=announce)

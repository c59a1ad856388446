"""`intramix build`: a bitstream, or the project that makes it."""

import dataclasses
import time
from pathlib import Path

import click

from ..hdl.geometry import Geometry
from ..platforms import block_design, rtl_project, vivado
from ..platforms.boards import Board
from ..platforms.remote import Remote
from ..platforms.reports import read_reports
from .console import console, step
from .options import board_options, json_option
from .output import write_json
from .reports import print_reports, reports_json

_FLOWS = {"rtl": rtl_project.prepare, "block-design": block_design.prepare}


@click.command()
@board_options("pynq-z2")
@click.option("--toolchain", type=click.Choice(["vivado"]), default="vivado", show_default=True,
              help="What turns the RTL into a bitstream.")
@click.option("--flow", type=click.Choice(list(_FLOWS)), default="rtl", show_default=True,
              help="rtl: no block design; block-design: an IP in Vivado's IP integrator, with an .xsa.")
@click.option("--clock", type=click.FloatRange(min=1), metavar="MHZ",
              help="Clock of the accelerator, if not the board's.")
@click.option("--prepare-only", is_flag=True, help="Write the project and do not run the tool.")
@click.option("--ssh", "host", metavar="USER@HOST", help="Run the tool on another machine; files travel by ssh.")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="FOLDER",
              help="Folder for the project and its results.")
@json_option
def build(
    board: Board, geometry: Geometry, toolchain: str, flow: str, clock: float | None, prepare_only: bool,
    host: str | None, output: Path,
    json_path: Path | None,
) -> None:
    """Build the bitstream of a board's geometry: processing system, interconnect and accelerator.

    FOLDER receives intramix.bit, intramix.bin and intramix.hwh, ready for PYNQ's Overlay and Linux' FPGA manager, with
    a device-tree overlay (--flow rtl) or an .xsa (--flow block-design); with --prepare-only all that makes them, and
    build_intramix.sh, which runs the tool.
    """
    started = time.monotonic()
    remote = Remote(host) if host and not prepare_only else None
    if clock is not None:
        board = dataclasses.replace(board, clock_hz=round(clock * 1e6))
    with step("Write the project") as note:
        note("the first run compiles yosys itself: up to 2 minutes")
        project = _FLOWS[flow](board, geometry, output)
    prepared = time.monotonic() - started
    asked = "" if project.clock_hz == board.clock_hz else f" (of {board.clock_hz / 1e6:g} asked for)"
    part = board.part.name if board.part else ""
    console.print(f"{output}: {part}, {project.clock_hz / 1e6:g} MHz{asked}, prepared in {prepared:.1f} s")
    figures = {
        "board": board.name, "part": part, "toolchain": toolchain, "flow": flow, "clock_hz": project.clock_hz,
        "signature": f"0x{geometry.signature:08x}", "prepare_seconds": round(prepared, 2), "bitstream": None,
        "reports": None,
    }  # fmt: skip
    if prepare_only:
        console.print(f"  sh {project.script}    makes the bitstream, with Vivado", soft_wrap=True)
    else:
        with step(f"Run Vivado on {host}" if host else "Run Vivado"):
            figures["bitstream"] = str(vivado.run(project, remote))
        console.print(f"  {figures['bitstream']}, .bin, .hwh", soft_wrap=True)
        found = read_reports(output)
        print_reports(found)
        figures["reports"] = reports_json(found)
    figures["seconds"] = round(time.monotonic() - started, 2)
    if json_path:
        write_json(json_path, figures)

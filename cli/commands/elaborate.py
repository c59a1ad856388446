"""`intramix elaborate`: the accelerator as Verilog."""

import time
from pathlib import Path

import click

from ...files import write_whole
from ...hdl.accelerator import accelerator_verilog
from ...hdl.geometry import Geometry
from ...platforms.boards import Board
from ..figures.hardware import ElaborateFigures
from ..shared.console import console, step
from ..shared.options import board_options, json_option
from ..shared.output import write_figures


@click.command()
@board_options("pynq-z2")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="FOLDER",
              help="Folder that receives accelerator.v.")
@json_option
def elaborate(board: Board, geometry: Geometry, output: Path, json_path: Path | None) -> None:
    """Write the accelerator of a board's geometry as Verilog."""
    started = time.monotonic()
    with step("Generate Verilog") as note:
        note("the first run compiles yosys itself: up to 2 minutes")
        verilog = accelerator_verilog(geometry)
    seconds = time.monotonic() - started
    path = output / "accelerator.v"
    write_whole(path, verilog)
    lines = verilog.splitlines()
    figures = ElaborateFigures(
        board=board.name,
        geometry=geometry.to_dict(),
        signature=f"0x{geometry.signature:08x}",
        verilog=str(path),
        lines=len(lines),
        modules=sum(line.startswith("module ") for line in lines),
        seconds=round(seconds, 2),
    )
    console.print(
        f"{path}: {figures.lines:,} lines, {figures.modules} modules, signature {figures.signature}, "
        f"{geometry.macs_per_cycle:,} MACs a cycle, {seconds:.1f} s"
    )
    write_figures(json_path, figures)

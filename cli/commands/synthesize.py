"""`intramix synthesize`: what a geometry occupies."""

import dataclasses
import time
from pathlib import Path

import click

from ...hdl.accelerator import accelerator_verilog
from ...hdl.geometry import Dsp, Geometry
from ...platforms.boards import LUT_LIMIT, Board
from ...platforms.synthesis import synthesize as run_yosys
from ..figures.hardware import BlockFigures, PartLimits, SynthesizeFigures
from ..shared.console import bar, step
from ..shared.options import board_options, json_option
from ..shared.output import write_figures
from ..shared.tables import block_table


@click.command()
@board_options("pynq-z2")
@click.option("--depth", type=click.IntRange(1, 6), default=2, show_default=True,
              help="Levels of the design's hierarchy that the table shows.")
@json_option
def synthesize(board: Board, geometry: Geometry, depth: int, json_path: Path | None) -> None:
    """Count a geometry's LUTs, flip-flops, DSPs and BRAMs with yosys, per block, and say whether it fits the part.

    Takes minutes, about four for `small` and many more for a board: yosys works on one core. The bar counts its stages
    and the modules that it has mapped to LUTs.
    """
    started = time.monotonic()
    with step("Generate Verilog"):
        verilog = accelerator_verilog(geometry)
    family = board.part.family if board.part else "xc7"
    with bar(f"Synthesise for {family} with yosys") as advance:
        report = run_yosys(
            verilog, top="accelerator", family=family, depth=depth, dsp=geometry.dsp is not Dsp.NONE, progress=advance
        )
    limits = None
    if part := board.part:
        limits = PartLimits(lut=part.lut, ff=part.ff, dsp=part.dsp, bram36=part.bram36, lut_share=LUT_LIMIT)
    figures = SynthesizeFigures(
        board=board.name,
        geometry=geometry.to_dict(),
        part=board.part.name if board.part else None,
        tool=report.tool,
        **dataclasses.asdict(report.total),
        limits=limits,
        fits=report.total.fits(board.part) if board.part else None,
        blocks=tuple(
            BlockFigures(path=block.path, count=block.count, **dataclasses.asdict(block.resources))
            for block in report.blocks
        ),
        seconds=round(time.monotonic() - started, 1),
    )
    block_table(figures)
    write_figures(json_path, figures)

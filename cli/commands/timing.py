"""`intramix timing`: the clock that a geometry's netlist allows."""

import json
import tempfile
import time
from pathlib import Path

import click

from ...files import write_whole
from ...hdl.accelerator import accelerator_verilog
from ...hdl.geometry import Dsp, Geometry, GeometryError
from ...platforms.boards import Board
from ...platforms.synthesis import write_netlist
from ...platforms.timing.analysis import TimingReport, analyse
from ...platforms.timing.delays import SpeedGrade, speed_grade
from ...platforms.timing.netlist import load
from ..figures.timing import ClockFigures
from ..shared.console import bar, console, step, table
from ..shared.errors import UserError
from ..shared.options import board_options, json_option
from ..shared.output import write_figures

LIMIT_NS = {"7-series": 6.67, "UltraScale+": 4.0}
"""What endpoints are held against unless `--limit` says otherwise: 150 MHz and 250 MHz."""

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@board_options("pynq-z2")
@click.option("--geometry", "geometry_path", type=_FILE, metavar="FILE",
              help="A geometry as JSON (`elaborate --json` writes one) instead of the board's preset.")
@click.option("--limit", "limit_ns", type=float, metavar="NS",
              help="Clock period to hold the paths against, in nanoseconds (6.67 for 7-series, 4.0 for UltraScale+).")
@click.option("--clock", type=float, metavar="MHZ", help="The same as a clock in MHz.")
@click.option("--netlist", type=_FILE, metavar="FILE",
              help="A netlist by yosys' write_json: analysed if it is there, else made and kept there.")
@click.option("--paths", type=click.IntRange(1), default=10, show_default=True, help="Longest paths to show.")
@click.option("--depth", type=click.IntRange(1, 4), default=2, show_default=True,
              help="Levels of the hierarchy in a block.")
@click.option("--report", type=_FILE, metavar="FILE",
              help="HTML file with the blocks as bars, and every shown path net by net.")
@json_option
def timing(
    board: Board, geometry: Geometry, geometry_path: Path | None, limit_ns: float | None, clock: float | None,
    netlist: Path | None, paths: int, depth: int, report: Path | None, json_path: Path | None,
) -> None:
    """Estimate the clock that a geometry allows: the longest register-to-register path of every block.

    Yosys maps the accelerator to the part's cells (minutes); its netlist is then analysed with the delays of the part's
    speed grade, a net by its fan-out. Nothing is placed or routed: docs/timing.md says how far this is from a routed
    design.
    """
    started = time.monotonic()
    if geometry_path is not None:
        geometry = _geometry(geometry_path)
    grade = speed_grade(board.part)
    limit_ns = _limit(limit_ns, clock, grade)
    if netlist is not None and netlist.exists():
        result = _analyse(netlist, grade, limit_ns, paths, depth)
    else:
        with tempfile.TemporaryDirectory() as folder:
            made = netlist or Path(folder, "netlist.json")
            _synthesise(board, geometry, made)
            result = _analyse(made, grade, limit_ns, paths, depth)
    figures = ClockFigures.of(
        result, board=board.name, geometry=geometry.to_dict(), part=board.part.name if board.part else None,
        seconds=round(time.monotonic() - started, 1),
    )
    _print(figures)
    if report is not None:
        from ..report.timing import render_timing

        write_whole(report, render_timing(figures))
        console.print(f"[bold]{report}[/] has the paths, net by net.")
    write_figures(json_path, figures)


def _geometry(path: Path) -> Geometry:
    try:
        fields = json.loads(path.read_text())
        return Geometry.from_dict(fields.get("geometry", fields))
    except GeometryError:
        raise
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path} is no geometry: {error}; `intramix elaborate --json FILE` writes one") from None


def _limit(limit_ns: float | None, clock: float | None, grade: SpeedGrade) -> float:
    if limit_ns is not None and clock is not None:
        raise UserError("--limit and --clock say the same: give one of them")
    if clock is not None:
        if not clock > 0:
            raise UserError(f"--clock {clock:g}: a clock has more than 0 MHz")
        return 1e3 / clock
    return LIMIT_NS[grade.name.partition(",")[0]] if limit_ns is None else limit_ns


def _synthesise(board: Board, geometry: Geometry, path: Path) -> None:
    family = board.part.family if board.part else "xc7"
    with step("Generate Verilog"):
        verilog = accelerator_verilog(geometry)
    with bar(f"Synthesise for {family} with yosys") as advance:
        write_netlist(
            verilog, path, top="accelerator", family=family, dsp=geometry.dsp is not Dsp.NONE, progress=advance
        )


def _analyse(path: Path, grade: SpeedGrade, limit_ns: float, paths: int, depth: int) -> TimingReport:
    with step("Analyse its paths"):
        return analyse(load(path, top=None, grade=grade), limit_ns=limit_ns, depth=depth, paths=paths)


def _print(figures: ClockFigures) -> None:
    limit = f"{figures.limit_ns:g} ns"
    rows = [
        [
            block.name, f"{block.worst_ns:.2f}", f"{1e3 / block.worst_ns:.0f}", str(block.path.levels),
            str(max(step.fanout for step in block.path.steps)),
            f"[red]{block.endpoints_over_limit:,}[/]" if block.endpoints_over_limit else "0", f"{block.endpoints:,}",
        ]
        for block in figures.blocks
    ]  # fmt: skip
    columns = [
        ("block", "left"), ("ns", "right"), ("MHz", "right"), ("levels", "right"), ("largest fan-out", "right"),
        (f"over {limit}", "right"), ("endpoints", "right"),
    ]  # fmt: skip
    table(f"{figures.board}, {figures.grade}: longest path of each block", columns, rows,
          spare=("endpoints", "largest fan-out", "levels"))
    for path in figures.paths:
        console.print(f"[bold]{path.ns:6.2f} ns[/]  {path.start} → {path.end}  ({path.levels} levels)", soft_wrap=True)
    verdict = (
        f"[bold red]{figures.endpoints_over_limit:,} of {figures.endpoints:,} endpoints are above {limit}[/]"
        if figures.endpoints_over_limit
        else f"[green]no endpoint of {figures.endpoints:,} is above {limit}[/]"
    )
    console.print(f"[bold]{figures.worst_ns:.2f} ns[/], {figures.clock_hz / 1e6:.0f} MHz expected · {verdict}")
    kind = "calibrated on placed and routed blocks" if figures.calibrated else "not calibrated on a routed design"
    console.print(f"[dim]neither placed nor routed; delays of {figures.grade}, {kind}[/]")

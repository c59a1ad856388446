"""`intramix profile`: where a frame's cycles go, by layer and by engine."""

from collections.abc import Callable
from pathlib import Path

import click

from ...compiler.program.log_records import selftest_codes
from ...files import write_whole
from ...program import CompiledProgram
from ...runtime.figures.profile import ProfileFigures, profile_figures
from ..shared.console import console, table
from ..shared.device import device_options, load_images, run_images
from ..shared.errors import UserError
from ..shared.output import write_figures
from ..shared.tables import frames, percent, show_latency


@click.command()
@device_options
@click.option("--data", metavar="FILE|NAME",
              help="Images to run, as for `intramix run` (default: those of the self-test).")
@click.option("--images", "limit", type=click.IntRange(1), metavar="N",
              help="Run the first N images and show the mean of the runs (default: as many images as one run "
                   "computes).")
@click.option("--report", "report_path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write a page (HTML) with the tables and plots.")
def profile(
    program: CompiledProgram, opened: Callable, data: str | None, limit: int | None, report_path: Path | None,
    json_path: Path | None,
) -> None:
    """Show the cycles of every layer of PROGRAM, and what the engines waited for.

    A layer's cycles run from the moment when the array has done all steps of the layers before it to the moment when it
    has done this one's, by the stamps that the accelerator leaves in the log; layers of a turn, whose steps alternate,
    share theirs in proportion to their steps. `waiting` is its cycles without a step of the array. The counters are of
    the whole run, a frame or the batch that PROGRAM computes at once: an engine that is busy nearly all the time is
    what bounds it.

    \b
    In simulation:  intramix profile net.imp --board pynq-z2 --report profile.html
    On a board:     intramix profile --device pynq --overlay intramix.bit net.imp
    """
    images = load_images(data, limit or program.program.batch).images if data else selftest_codes(program.program.input)
    with opened() as driver:
        if not driver.device.kind.measures_cycles:
            raise UserError(
                "the interpreter measures no cycles, so there is nothing to profile: take --device sim, or --device "
                "pynq on a board; `intramix compile --estimate` has the cycle model's estimate in seconds"
            )
        result = run_images(driver, images)
    figures = profile_figures(program.program, result)
    _print(figures)
    if report_path:
        from ..report.run import render_profile

        write_whole(report_path, render_profile(figures))
        console.print(f"wrote {report_path}")
    write_figures(json_path, figures)


def _print(figures: ProfileFigures) -> None:
    run = figures.cycles_per_run
    rows = [
        [str(layer.number), layer.title, layer.kind, f"{layer.cycles:,.0f}", percent(layer.cycles / run),
         f"{layer.steps:,}", f"{layer.waiting_cycles:,.0f}", percent(layer.array_utilisation),
         f"{layer.read_bytes:,}", f"{layer.write_bytes:,}"]
        for layer in figures.layers
    ]  # fmt: skip
    columns = [("#", "right"), ("layer", "left"), ("kind", "left"), ("cycles", "right"), ("of the run", "right"),
               ("steps", "right"), ("waiting", "right"), ("array", "right"), ("bytes read", "right"),
               ("written", "right")]  # fmt: skip
    table(f"{figures.network}, per {frames(figures.batch)}", columns, rows,
          spare=("written", "bytes read", "kind", "steps", "of the run"))
    rows = [
        [engine.engine, what, f"{cycles:,.0f}", percent(cycles / run)]
        for engine in figures.engines for what, cycles in engine.cycles.items()
    ]  # fmt: skip
    table("Engines", [("engine", "left"), ("cycles in which it", "left"), ("cycles", "right"), ("", "right")], rows)
    console.print(
        f"[bold]{figures.cycles_per_frame:,.0f}[/] cycles a frame · "
        f"[bold]{figures.frames_per_second:,.1f}[/] frames/s at {figures.clock_hz / 1e6:g} MHz · "
        f"array {percent(figures.array_utilisation)}"
    )
    show_latency(figures)

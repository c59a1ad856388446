"""`intramix profile`: where a frame's cycles go, by layer and by engine."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ...compiler.program.log_records import selftest_codes
from ...compiler.program.program import Program
from ...runtime.figures import engine_figures, layer_figures, mean_cycles, run_figures
from ..shared.console import console, table
from ..shared.device import device_options, load_images, run_images
from ..shared.errors import UserError
from ..shared.output import write_json, write_whole
from ..shared.tables import frames, layer_name, percent, show_latency


@click.command()
@device_options
@click.option("--data", metavar="FILE|NAME", help="Images, as for `intramix run`. (the image of the self-test)")
@click.option("--images", "limit", type=click.IntRange(1), metavar="N",
              help="Images to average over, in whole batches. (as many as a run computes)")
@click.option("--report", "report_path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write an HTML report with plots.")
def profile(
    program: Program, opened: Callable, data: str | None, limit: int | None, report_path: Path | None,
    json_path: Path | None,
) -> None:
    """Show the cycles of every layer of PROGRAM, and what the engines waited for.

    A layer's cycles run from the last word stored by the layer before to its own, by the stamps that the accelerator
    leaves in the log. `waiting` is its cycles without a step of the array. The counters are of the whole run, a frame
    or the batch that PROGRAM computes at once: an engine that is busy nearly all the time is what bounds it.

    \b
    In simulation:  intramix profile net.imp --board pynq-z2 --report profile.html
    On a board:     intramix profile --device pynq --overlay intramix.bit net.imp
    """
    images = load_images(data, program, limit or program.batch)[0] if data else selftest_codes(program.input)
    with opened() as driver:
        if not driver.device.kind.measures_cycles:
            raise UserError(
                "the interpreter measures no cycles, so there is nothing to profile: take --device sim, or --device "
                "pynq on a board; `intramix compile --estimate` has the cycle model's estimate in seconds"
            )
        result = run_images(driver, images)
    layers = layer_figures(program, mean_cycles(program, result.runs), {}, {})
    for layer in layers:
        layer["waiting_cycles"] = max(layer["cycles"] - layer["steps"], 0)
    figures = run_figures(program, layers, result.runs, images=result.images, clock_hz=result.clock_hz)
    figures["engines"] = engine_figures([run.counters for run in result.runs])
    _print(figures)
    if report_path:
        from ..report.run import render_profile

        write_whole(report_path, render_profile(figures))
        console.print(f"wrote {report_path}")
    if json_path:
        write_json(json_path, figures)


def _print(figures: Mapping[str, Any]) -> None:
    run = figures["cycles_per_run"]
    rows = [
        [str(layer["number"]), layer_name(layer["name"], layer["on_load"]), layer["kind"], f"{layer['cycles']:,.0f}",
         percent(layer["cycles"] / run), f"{layer['steps']:,}", f"{layer['waiting_cycles']:,.0f}",
         percent(layer["array_utilisation"]), f"{layer['read_bytes']:,}", f"{layer['write_bytes']:,}"]
        for layer in figures["layers"]
    ]  # fmt: skip
    columns = [("#", "right"), ("layer", "left"), ("kind", "left"), ("cycles", "right"), ("of the run", "right"),
               ("steps", "right"), ("waiting", "right"), ("array", "right"), ("bytes read", "right"),
               ("written", "right")]  # fmt: skip
    table(f"{figures['network']}, per {frames(figures['batch'])}", columns, rows)
    rows = [
        [engine["engine"], what, f"{cycles:,.0f}", percent(cycles / run)]
        for engine in figures["engines"] for what, cycles in engine["cycles"].items()
    ]  # fmt: skip
    table("Engines", [("engine", "left"), ("cycles in which it", "left"), ("cycles", "right"), ("", "right")], rows)
    console.print(
        f"[bold]{figures['cycles_per_frame']:,.0f}[/] cycles a frame · "
        f"[bold]{figures['frames_per_second']:,.1f}[/] frames/s at {figures['clock_hz'] / 1e6:g} MHz · "
        f"array {percent(figures['array_utilisation'])}"
    )
    show_latency(figures)

"""`intramix simulate`: a program on the simulated accelerator."""

import time
from pathlib import Path
from typing import Any

import click

from ...compiler.compile import compile_graph
from ...hdl.geometry import Geometry
from ...platforms.boards import Board
from ...quant.data.data import load_data
from ...quant.graph import fileformat as model_file
from ...quant.network.export import image_codes
from ...runtime.waves import Watch
from ..report.run import render
from ..shared.console import console, step
from ..shared.errors import EXIT_MISMATCH, UserError
from ..shared.explanation import show_explain_command
from ..shared.options import batch_option, board_options, json_option
from ..shared.output import write_json, write_whole
from ..shared.tables import layer_table, totals
from ..shared.verification import accuracy_of, build, check, conditions_of, figures_of, verdict
from ..shared.waves import chosen_window, watched_device


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@board_options("small")
@click.option("--data", required=True, metavar="NAME|FILE", help="`digits`, or an .npz with images and labels.")
@click.option("--images", type=click.IntRange(1), default=10, show_default=True, help="Test images to run.")
@batch_option
@click.option("--efficiency", type=click.FloatRange(0, 1, min_open=True), default=0.75, show_default=True,
              help="Share of the memory's peak rate that is granted.")
@click.option("--latency", type=click.IntRange(1), default=40, show_default=True, help="Cycles of read latency.")
@click.option("--stalls", type=click.FloatRange(0, 0.9), default=0.0, show_default=True,
              help="Probability of a random stall, on every bus channel in every cycle.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the stalls.")
@click.option("--trace", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write waves (VCD) of the first run, or of a part of it. The size is said first; the simulator is "
                   "built anew for it.")
@click.option("--trace-cycles", metavar="FIRST:END", help="With --trace: only these cycles of the run.")
@click.option("--trace-layer", metavar="NAME", help="With --trace: only while the array computes this layer.")
@click.option("--report", "report_path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write an HTML report.")
@json_option
def simulate(
    model: Path, board: Board, geometry: Geometry, data: str, images: int, batch: int, efficiency: float,
    latency: int, stalls: float, seed: int, trace: Path | None, trace_cycles: str | None, trace_layer: str | None,
    report_path: Path | None, json_path: Path | None,
) -> None:
    """Run MODEL (an .imx file of `intramix quantize`) on the simulated RTL and compare every value of every layer.

    Exit code 3: a value differs.
    """
    graph = model_file.load(model)
    dataset = load_data(data)
    chosen = dataset.test_images[:images]
    seconds: dict[str, float] = {}
    started = time.monotonic()
    with step("Compile"):
        program = compile_graph(graph, geometry, batch=batch, keep_maps=True)
    seconds["compile"] = time.monotonic() - started
    conditions = conditions_of(
        board, {"efficiency": efficiency, "latency_cycles": latency, "stall_probability": stalls, "seed": seed}
    )
    started = time.monotonic()
    if trace:
        watch = Watch(chosen_window(program, trace_cycles, trace_layer), trace)
        device = watched_device(program, board, watch, conditions=conditions)
    elif trace_cycles or trace_layer:
        raise UserError("--trace-cycles and --trace-layer say which part of a run --trace FILE is to hold")
    else:
        device = build(program, conditions)
    seconds["build"] = time.monotonic() - started
    report, seconds["simulate"] = check(device, program, graph, image_codes(chosen))
    figures: dict[str, Any] = figures_of(
        program, board, conditions, report, simulated_cycles=device.cycles, seconds=seconds["simulate"]
    )
    figures["accuracy"] = None
    if dataset.test_labels is not None and len(graph.outputs) == 1:
        figures["accuracy"] = {"rtl": accuracy_of(report, graph.outputs[0], dataset.test_labels[:images].numpy())}
    figures["seconds"] = {stage: round(value, 2) for stage, value in seconds.items()}
    layer_table(figures)
    totals(figures)
    passed = verdict(report)
    if report_path:
        write_whole(report_path, render(figures))
        console.print(f"wrote {report_path}")
    if json_path:
        write_json(json_path, figures)
    if not passed:
        show_explain_command(model, report, data=data)
        raise click.exceptions.Exit(EXIT_MISMATCH)

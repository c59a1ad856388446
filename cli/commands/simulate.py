"""`intramix simulate`: a program on the simulated accelerator."""

import dataclasses
import math
import time
from pathlib import Path

import click

from ...files import write_whole
from ...hdl.geometry import Geometry
from ...model import QuantizedModel
from ...platforms.boards import Board
from ...quant.data.data import load_data
from ...runtime.figures.simulation import AccuracyFigures
from ...runtime.waves import Watch
from ..report.run import render
from ..shared.console import console, step
from ..shared.device import images_option
from ..shared.errors import EXIT_MISMATCH, UserError
from ..shared.explanation import show_explain_command
from ..shared.labels import check_labels
from ..shared.options import batch_option, board_options, json_option
from ..shared.output import write_figures
from ..shared.schemes import warn_of_model
from ..shared.simulation import build, check, verdict
from ..shared.tables import layer_table, percent, totals
from ..shared.waves import chosen_window, watched_device


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@board_options("pynq-z2", model="model")
@click.option("--data", required=True, metavar="NAME|FILE",
              help="Where the images come from: a data set's name, such as `digits`, or an .npz of `images` and maybe "
                   "`labels`, of which the fifth that `intramix quantize` keeps for tests is run, or of "
                   "`train_images`, `test_images` and maybe labels of both.")
@images_option
@batch_option
@click.option("--efficiency", type=click.FloatRange(0, 1, min_open=True), default=0.75, show_default=True,
              help="Share of the memory's peak rate that the simulated memory grants.")
@click.option("--latency", type=click.IntRange(1), default=40, show_default=True,
              help="Cycles from a read's address to its first data in the simulated memory.")
@click.option("--stalls", type=click.FloatRange(0, 0.9), default=0.0, show_default=True,
              help="Probability that the simulated memory holds a bus channel back for a cycle, on every channel in "
                   "every cycle.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the random stalls.")
@click.option("--trace", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the waves of all signals (VCD) of the first run, or of a part of it, to this file. How large "
                   "it will be is said first, and the simulator is built anew for it.")
@click.option("--trace-cycles", metavar="FIRST:END", help="With --trace: write only these cycles of the run.")
@click.option("--trace-layer", metavar="NAME",
              help="With --trace: write only the cycles in which the array computes this layer.")
@click.option("--report", "report_path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write a page (HTML) with the layers, plots and conditions.")
@json_option
def simulate(
    model: Path, board: Board, geometry: Geometry, data: str, limit: int, batch: int, efficiency: float,
    latency: int, stalls: float, seed: int, trace: Path | None, trace_cycles: str | None, trace_layer: str | None,
    report_path: Path | None, json_path: Path | None,
) -> None:
    """Run MODEL (an .imx file of `intramix quantize`) on the simulated RTL and compare every value of every layer.

    Exit code 3: a value differs.
    """
    quantized = QuantizedModel.load(model, board=board, geometry=geometry)
    dataset = load_data(data)
    chosen = dataset.test_images[:limit]
    seconds: dict[str, float] = {}
    started = time.monotonic()
    with step("Compile"):
        program = quantized.compile(batch=batch, selftest=False)
    seconds["compile"] = time.monotonic() - started
    warn_of_model(quantized, program.program)
    tensors = quantized.graph.tensors
    if len(quantized.graph.outputs) == 1 and dataset.image_shape == tensors[quantized.graph.input].shape:
        scores = tensors[quantized.graph.outputs[0]]
        check_labels(dataset.name, dataset.test_labels, math.prod(scores.shape))
    conditions = program.conditions(
        efficiency=efficiency, latency_cycles=latency, stall_probability=stalls, seed=seed
    )
    started = time.monotonic()
    if trace:
        watch = Watch(chosen_window(program.program, trace_cycles, trace_layer), trace)
        device = watched_device(program, watch, conditions=conditions)
    elif trace_cycles or trace_layer:
        raise UserError("--trace-cycles and --trace-layer say which part of a run --trace FILE is to hold")
    else:
        device = build(program, conditions)
    seconds["build"] = time.monotonic() - started
    simulation = check(program, quantized.graph, chosen, device)
    seconds["simulate"] = simulation.seconds
    accuracy = None
    if dataset.test_labels is not None and len(quantized.graph.outputs) == 1:
        labels = dataset.test_labels[:limit]
        accuracy = AccuracyFigures(
            float=None, quantized=None, integer=float((quantized.predict(chosen) == labels.numpy()).mean()),
            rtl=simulation.accuracy(labels),
        )  # fmt: skip
    figures = dataclasses.replace(
        simulation.figures, accuracy=accuracy, seconds={stage: round(value, 2) for stage, value in seconds.items()}
    )
    layer_table(figures)
    totals(figures)
    if accuracy:
        console.print(f"accuracy: rtl {percent(accuracy.rtl)} · integer model {percent(accuracy.integer)} of the same "
                      f"{len(chosen):,} of {len(dataset.test_images):,} test images")  # fmt: skip
    passed = verdict(simulation.report)
    if report_path:
        write_whole(report_path, render(figures))
        console.print(f"wrote {report_path}")
    write_figures(json_path, figures)
    if not passed:
        show_explain_command(model, simulation.report, data=data)
        raise click.exceptions.Exit(EXIT_MISMATCH)

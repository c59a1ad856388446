"""`intramix run`: images through a program, on a board or in simulation."""

import math
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from ...program import CompiledProgram
from ...runtime.device import DeviceKind
from ...runtime.figures.run import PredictionFigures, prediction_figures
from ..shared.console import console, table
from ..shared.device import device_options, images_option, load_images, run_images
from ..shared.labels import check_labels
from ..shared.output import write_figures
from ..shared.schemes import warn_of_schemes
from ..shared.tables import counted, percent, show_latency


@click.command()
@device_options
@click.option("--data", required=True, metavar="FILE|NAME",
              help="Images: an .npz of `images` (N × C × H × W, uint8, or floats in 0 … 1) and maybe `labels`, of "
                   "which the fifth that `intramix quantize` keeps for tests is run, or of `test_images` and maybe "
                   "`test_labels`, of which all are; an .npy, all of it; or a data set's name, such as `digits`.")
@images_option
@click.option("--show", type=click.IntRange(0), default=10, show_default=True,
              help="Print the predictions of so many images.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.npz",
              help="Write the real values of every output to this file, an array an output.")
def run(
    program: CompiledProgram, opened: Callable, data: str, limit: int, show: int, output: Path | None,
    json_path: Path | None,
) -> None:
    """Run images through PROGRAM (an .imp file of `intramix compile`) and print predictions and frames a second.

    \b
    In simulation:  intramix run net.imp --data images.npz --images 4
    In software:    intramix run --device interpreted net.imp --data images.npz
    On a board:     intramix run --device pynq --overlay intramix.bit net.imp --data images.npz

    While a frame, or the batch that PROGRAM computes at once, goes on, the host prepares the next and reads the one
    before. Frames/s by the accelerator's clock leave the host out, and are those of full batches; on a board, frames/s
    with the driver count everything.
    """
    whole = load_images(data, None)
    images, labels = whole.images[:limit], None if whole.labels is None else whole.labels[:limit]
    console.print(f"{data}: {len(images):,} of {len(whole.images):,} test images (--images N for another number)")
    warn_of_schemes(program.program)
    if len(program.program.outputs) == 1 and images.shape[1:] == program.program.input.shape[-3:]:
        check_labels(data, labels, math.prod(program.program.outputs[0].shape[-3:]))
    with opened() as driver:
        result = run_images(driver, images, counters=False)
        kind = driver.device.kind
    figures = prediction_figures(program.program, result, labels, kind=kind)
    _print_predictions(figures, labels, show)
    _print_speed(figures, kind)
    if figures.accuracy is not None:
        console.print(f"accuracy {percent(figures.accuracy)} of {counted(len(images), 'image')}")
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        np.savez(output, **result.outputs)  # type: ignore[arg-type]
        console.print(f"wrote {output}")
    write_figures(json_path, figures)


def _print_speed(figures: PredictionFigures, kind: DeviceKind) -> None:
    speed = figures.speed
    if speed is None:
        console.print("cycles and frames/s: not measured, the instructions were interpreted")
        return
    rate = f"[bold]{speed.frames_per_second:,.1f}[/] frames/s at {speed.clock_hz / 1e6:g} MHz"
    console.print(f"[bold]{speed.cycles_per_frame:,.0f}[/] cycles a frame · {rate}, the accelerator alone"
                  + (", simulated" if kind is DeviceKind.SIMULATED else ""))
    show_latency(speed)
    if figures.host_frames_per_second is not None:
        console.print(f"[bold]{figures.host_frames_per_second:,.1f}[/] frames/s with the driver")


def _print_predictions(figures: PredictionFigures, labels: np.ndarray | None, show: int) -> None:
    predictions = figures.predictions or ()
    columns = [("image", "right"), ("class", "right")] + ([("label", "right")] if labels is not None else [])
    rows = [
        [str(index), str(predictions[index]), *([] if labels is None else [str(labels[index])])]
        for index in range(min(show, len(predictions)))
    ]
    if rows:
        table(f"{figures.network}: {len(rows)} of {len(predictions)} predictions", columns, rows)

"""`intramix run`: images through a program, on a board or in simulation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from ...compiler.program.program import Program
from ...runtime.device import DeviceKind
from ...runtime.figures import speed_figures, unmeasured
from ...runtime.results import RunResult
from ..shared.console import console, table
from ..shared.device import device_options, load_images, run_images
from ..shared.output import write_json
from ..shared.tables import percent, show_latency


@click.command()
@device_options
@click.option("--data", required=True, metavar="FILE|NAME",
              help="Images: an .npy, or an .npz of `images` (N × C × H × W, uint8 codes or real values) and maybe "
                   "`labels`; or a data set's name, such as `digits`.")
@click.option("--images", "limit", type=click.IntRange(1), metavar="N", help="Run only the first N.")
@click.option("--show", type=click.IntRange(0), default=10, show_default=True, help="Predictions to print.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.npz",
              help="Write every output as real values, an array per output.")
def run(
    program: Program, opened: Callable, data: str, limit: int | None, show: int, output: Path | None,
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
    images, labels = load_images(data, program, limit)
    with opened() as driver:
        result = run_images(driver, images, counters=False)
        kind = driver.device.kind
    figures = _figures(program, result, labels, kind)
    if figures["predictions"] is not None:
        _print_predictions(figures, labels, show)
    _print_speed(figures, kind)
    if figures["accuracy"] is not None:
        console.print(f"accuracy {percent(figures['accuracy'])} of {len(images)} images")
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        np.savez(output, **result.outputs)  # type: ignore[arg-type]
        console.print(f"wrote {output}")
    if json_path:
        write_json(json_path, figures)


def _figures(
    program: Program, result: RunResult, labels: np.ndarray | None, kind: DeviceKind
) -> dict[str, Any]:
    name = program.outputs[0].name
    scores = result.codes[name]
    predictions = None
    if len(program.outputs) == 1 and scores.shape[2:] == (1, 1):
        predictions = scores.reshape(len(scores), -1).argmax(axis=1)
    accuracy = None
    if predictions is not None and labels is not None:
        accuracy = float((predictions == labels).mean())
    measured = kind.measures_cycles
    return {
        "network": program.name,
        "device": kind.value,
        "images": result.images,
        **(speed_figures(program, result.runs, clock_hz=result.clock_hz) if measured else unmeasured(program)),
        "host_frames_per_second": None if kind.is_software else result.images / result.seconds,
        "host_seconds": result.seconds,
        "predictions": None if predictions is None else predictions.tolist(),
        "accuracy": accuracy,
        "outputs": {output.name: list(result.codes[output.name].shape) for output in program.outputs},
    }


def _print_speed(figures: dict[str, Any], kind: DeviceKind) -> None:
    if not kind.measures_cycles:
        console.print("cycles and frames/s: not measured, the instructions were interpreted")
        return
    speed = f"[bold]{figures['frames_per_second']:,.1f}[/] frames/s at {figures['clock_hz'] / 1e6:g} MHz"
    console.print(f"[bold]{figures['cycles_per_frame']:,.0f}[/] cycles a frame · {speed}, the accelerator alone"
                  + (", simulated" if kind is DeviceKind.SIMULATED else ""))
    show_latency(figures)
    if not kind.is_software:
        console.print(f"[bold]{figures['host_frames_per_second']:,.1f}[/] frames/s with the driver")


def _print_predictions(figures: dict[str, Any], labels: np.ndarray | None, show: int) -> None:
    predictions = figures["predictions"]
    columns = [("image", "right"), ("class", "right")] + ([("label", "right")] if labels is not None else [])
    rows = [
        [str(index), str(predictions[index]), *([] if labels is None else [str(labels[index])])]
        for index in range(min(show, len(predictions)))
    ]
    if rows:
        table(f"{figures['network']}: {len(rows)} of {len(predictions)} predictions", columns, rows)

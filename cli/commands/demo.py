"""`intramix demo`: the whole way, from training to bit-exact RTL."""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ...files import write_whole
from ...hdl.geometry import Geometry
from ...platforms.boards import Board
from ..shared.console import console, step
from ..shared.errors import EXIT_MISMATCH
from ..shared.options import board_options, json_option
from ..shared.output import write_figures
from ..shared.tables import counted, layer_table, percent, totals

FLOAT_EPOCHS = 16
FLOAT_LEARNING_RATE = 5e-3
QUANTIZED_EPOCHS = 8
QUANTIZED_LEARNING_RATE = 1e-3


@click.command()
@board_options("small")
@click.option("--images", type=click.IntRange(1), default=100, show_default=True,
              help="Run so many of the test images through the simulated accelerator.")
@click.option("--method", type=click.Choice(("variance", "output-error")), default="output-error", show_default=True,
              help="How every filter is given its number format (docs/quantization.md).")
@click.option("--float-epochs", type=click.IntRange(1), default=FLOAT_EPOCHS, show_default=True,
              help="Epochs of training before the network is quantized.")
@click.option("--epochs", type=click.IntRange(0), default=QUANTIZED_EPOCHS, show_default=True,
              help="Epochs of fine-tuning after it is quantized.")
@click.option("--seed", type=int, default=0, show_default=True,
              help="Seed of the weights and of the order of the images.")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("build/demo"),
              show_default=True, metavar="FOLDER",
              help="Folder that receives the model, the program, its listing and the report.")
@json_option
def demo(
    board: Board, geometry: Geometry, images: int, method: str, float_epochs: int, epochs: int, seed: int,
    output: Path, json_path: Path | None,
) -> None:
    """Train a small residual CNN, quantize it, compile it, generate its accelerator and run it in RTL simulation.

    Filters of one layer get different precisions and number schemes. Every stored value of every layer of every image
    is compared with the integer model's. `--board pynq-z2` does it with that board's full array (2,048 MACs a cycle).

    Exit code 3: a value differs.
    """
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        seconds[stage] = round(time.monotonic() - started, 2)

    with step("Load PyTorch"):
        import torch

        from ...lanes import plan_for
        from ...quant.data.data import load_data
        from ...quant.models import load_model
        from ...quant.training.train import TrainingOptions
        from ...runtime.figures.simulation import AccuracyFigures
        from ..report.run import render
        from ..shared.simulation import build, check, verdict
        from ..shared.training import quantize_with_progress, train_float
        from ..shared.training_log import TrainingLog

    torch.set_num_threads(1)  # for a net this small a second thread costs more than it brings
    data = load_data("digits")
    assert data.test_labels is not None
    torch.manual_seed(seed)
    model = load_model("demo", channels=1, classes=10)
    log = TrainingLog()
    with timed("train"):
        options = TrainingOptions(epochs=float_epochs, learning_rate=FLOAT_LEARNING_RATE, seed=seed)
        float_accuracy = train_float(model, data, options, log)
    console.print(f"  float accuracy {percent(float_accuracy)} on {counted(len(data.test_images), 'test image')}")
    with timed("quantize"):
        options = TrainingOptions(epochs=epochs, learning_rate=QUANTIZED_LEARNING_RATE, seed=seed)
        plan = plan_for(geometry, method=method, training=options, name="demo")
        quantized = quantize_with_progress(model, data, board, geometry, plan, log=log)
    assert quantized.quantization is not None
    integer_accuracy = quantized.quantization.integer_accuracy
    assert integer_accuracy is not None
    console.print(f"  integer accuracy {percent(integer_accuracy)} on them, "
                  "with 8-bit, Fixed-4 and LUT-lane filters in a layer")
    with timed("compile"), step("Compile"):
        program = quantized.compile(selftest=False)
    quantized.save(output / "demo.imx")
    program.save(output / "demo.imp")
    write_whole(output / "listing.txt", program.listing())
    with timed("build"):
        device = build(program)
    labels = data.test_labels[:images]
    with timed("simulate"):
        simulation = check(program, quantized.graph, data.test_images[:images], device)
    rtl = simulation.accuracy(labels)
    integer = float((quantized.predict(data.test_images[:images]) == labels.numpy()).mean())
    figures = dataclasses.replace(
        simulation.figures, seconds=seconds,
        accuracy=AccuracyFigures(float=float_accuracy, quantized=integer_accuracy, integer=integer, rtl=rtl),
    )  # fmt: skip
    layer_table(figures)
    totals(figures)
    console.print(
        f"accuracy: float {percent(float_accuracy)} · quantized {percent(integer_accuracy)} of {len(data.test_images)} "
        f"test images · rtl {percent(rtl)} · integer model {percent(integer)} of the "
        f"{counted(len(labels), 'image')} run"
    )
    passed = verdict(simulation.report)
    write_whole(output / "report.html", render(figures, history=log.entries()))
    write_figures(json_path, figures)
    console.print(f"[bold]{output / 'report.html'}[/] has the plots; {output} the model, the program and its listing.")
    if not passed:
        raise click.exceptions.Exit(EXIT_MISMATCH)

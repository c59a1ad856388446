"""`intramix demo`: the whole way, from training to bit-exact RTL."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ...hdl.geometry import Geometry
from ...platforms.boards import Board
from ..shared.console import console, step
from ..shared.errors import EXIT_MISMATCH
from ..shared.options import board_options, json_option
from ..shared.output import write_json, write_whole
from ..shared.tables import layer_table, percent, totals

FLOAT_EPOCHS = 16
FLOAT_LEARNING_RATE = 5e-3
QUANTIZED_EPOCHS = 8
QUANTIZED_LEARNING_RATE = 1e-3


@click.command()
@board_options("small")
@click.option("--images", type=click.IntRange(1), default=100, show_default=True, help="Test images through the RTL.")
@click.option("--method", type=click.Choice(("variance", "output-error")), default="output-error", show_default=True,
              help="How filters are given their formats.")
@click.option("--float-epochs", type=click.IntRange(1), default=FLOAT_EPOCHS, show_default=True)
@click.option("--epochs", type=click.IntRange(0), default=QUANTIZED_EPOCHS, show_default=True,
              help="Epochs of fine-tuning with quantization.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("build/demo"),
              show_default=True, metavar="FOLDER", help="Folder for the model, the program, the listing, the report.")
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

        from ...compiler.compile import compile_graph
        from ...compiler.program.fileformat import save as save_program
        from ...compiler.program.listing import listing
        from ...quant.data.data import load_data
        from ...quant.graph.fileformat import save as save_model
        from ...quant.models import load_model
        from ...quant.network.export import image_codes
        from ...quant.training.train import TrainingOptions
        from ..report.run import render
        from ..shared.training import quantize_for, train_float
        from ..shared.training_log import TrainingLog
        from ..shared.verification import accuracy_of, build, check, conditions_of, figures_of, verdict

    torch.set_num_threads(1)  # for a net this small a second thread costs more than it brings
    data = load_data("digits")
    assert data.test_labels is not None
    torch.manual_seed(seed)
    model = load_model("demo", channels=1, classes=10)
    log = TrainingLog()
    with timed("train"):
        options = TrainingOptions(epochs=float_epochs, learning_rate=FLOAT_LEARNING_RATE, seed=seed)
        float_accuracy = train_float(model, data, options, log)
    console.print(f"  float accuracy {percent(float_accuracy)} on {len(data.test_images)} test images")
    with timed("quantize"):
        options = TrainingOptions(epochs=epochs, learning_rate=QUANTIZED_LEARNING_RATE, seed=seed)
        result = quantize_for(model, data, geometry, method=method, options=options, name="demo", log=log)
    assert result.integer_accuracy is not None
    console.print(
        f"  integer accuracy {percent(result.integer_accuracy)} with 8-bit, Fixed-4 and LUT-lane filters in a layer"
    )
    with timed("compile"), step("Compile"):
        program = compile_graph(result.graph, geometry, keep_maps=True)
    output.mkdir(parents=True, exist_ok=True)
    save_model(result.graph, output / "demo.imx")
    save_program(program, output / "demo.imp")
    write_whole(output / "listing.txt", listing(program))
    conditions = conditions_of(board)
    with timed("build"):
        device = build(program, conditions)
    chosen = data.test_images[:images]
    with timed("simulate"):
        report, run_seconds = check(device, program, result.graph, image_codes(chosen))
    figures = figures_of(program, board, conditions, report, simulated_cycles=device.cycles, seconds=run_seconds)
    labels = data.test_labels[:images].numpy()
    figures["accuracy"] = {
        "float": float_accuracy,
        "quantized": result.integer_accuracy,
        "rtl": accuracy_of(report, result.graph.outputs[0], labels),
    }
    figures["seconds"] = seconds
    layer_table(figures)
    totals(figures)
    console.print(
        " · ".join(f"{name} {percent(value)}" for name, value in figures["accuracy"].items())
        + f" [dim](accuracy; rtl: of the {len(labels)} images run)[/]"
    )
    passed = verdict(report)
    write_whole(output / "report.html", render(figures, history=log.entries()))
    if json_path:
        write_json(json_path, figures)
    console.print(f"[bold]{output / 'report.html'}[/] has the plots; {output} the model, the program and its listing.")
    if not passed:
        raise click.exceptions.Exit(EXIT_MISMATCH)

"""`intramix quantize`: a PyTorch model into an integer model."""

import time
from pathlib import Path

import click
from click.core import ParameterSource

from ..compiler.lanes import LUT_FORMATS
from ..hdl.geometry import Geometry
from ..platforms.boards import Board
from ..quant.allocation import Budget
from ..quant.assign import LaneMix
from ..quant.data import load_data
from ..quant.fileformat import save
from ..quant.layer_report import layer_reports
from ..quant.methods import METHODS, find_method
from ..quant.models import ZOO, fold_normalisation, load_model
from ..quant.models.weights import IMAGENET
from ..quant.preflight import inspect_model
from ..quant.train import TrainingOptions
from .console import console
from .errors import UserError
from .lanes import lane_mix
from .options import LUT_SCHEMES, board_options, json_option
from .output import write_json, write_whole
from .quantization_report import layer_figures, render_quantization, show_findings, show_layers, show_narrowed
from .tables import percent
from .training import History, quantize_for, train_float

REPORT_IMAGES = 16
"""Images that the layers' distance from the float model is measured with."""


@click.command()
@click.argument("model")
@board_options("pynq-z2")
@click.option("--data", required=True, metavar="NAME|FILE|FOLDER",
              help="`digits`, `procedural`, an .npz with images (and labels), CIFAR-10's or an ImageNet-style folder.")
@click.option("--image-size", type=click.IntRange(8), help="Of procedural (32) and of image files (224).")
@click.option("--images-per-class", type=click.IntRange(1), help="At most, of procedural and of image files.")
@click.option("--classes", type=click.IntRange(1), help="Scores of the model (default: the data's classes).")
@click.option("--weights", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="State dict of the float model, .pth or .safetensors.")
@click.option("--normalisation", type=click.Choice(("none", "imagenet")), default="none", show_default=True,
              help="Of the images that the weights were trained with; it is folded into the first convolution.")
@click.option("--method", type=click.Choice(METHODS), default="variance", show_default=True,
              help="How filters are given their formats.")
@click.option("--ratio", metavar="A:B:C",
              help="Fixed-8 : Fixed-4 : LUT-lane filters of every layer (default: the lanes of the board's tile).")
@click.option("--budget", metavar="KIND=LIMIT",
              help="For hbp and hawq-v3: size, bit-operations or latency, as in size=60% (of 8 bits everywhere).")
@click.option("--bits", "hidden_bits", type=click.IntRange(2, 8),
              help="Bits of hidden activations (default: the geometry's slot).")
@click.option("--float-epochs", type=click.IntRange(0), default=0, show_default=True,
              help="Epochs of float training first, for a model that is not trained.")
@click.option("--epochs", type=click.IntRange(0),
              help="Epochs of fine-tuning; 0 only calibrates (default: the method's; film-qnn's is 150).")
@click.option("--learning-rate", type=float, help="Of the fine-tuning (default: the method's).")
@click.option("--batch-size", type=click.IntRange(1), help="Of the fine-tuning (default: the method's).")
@click.option("--refine", is_flag=True,
              help="With --epochs 0: round weights by the layers' outputs, and correct biases.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE",
              help="Integer model (.imx) to write.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also write a page (HTML) with every operator and layer, and the bits of every channel.")
@json_option
def quantize(
    model: str, board: Board, geometry: Geometry, data: str, image_size: int | None, images_per_class: int | None,
    classes: int | None, weights: Path | None, normalisation: str, method: str, ratio: str | None, budget: str | None,
    hidden_bits: int | None, float_epochs: int, epochs: int | None, learning_rate: float | None,
    batch_size: int | None, refine: bool, seed: int, output: Path, report: Path | None, json_path: Path | None,
) -> None:
    """Quantize MODEL for a board's lanes: filters of one layer in different precisions and schemes.

    MODEL is package.module:callable (a file in the working directory counts as importable), or one of the zoo: demo,
    resnet-small, mobilenet-small, resnet18, resnet34, resnet50, vgg16, vgg16_bn, mobilenet_v2.
    """
    import torch

    started = time.monotonic()
    options = find_method(method).options(
        epochs=epochs, learning_rate=learning_rate, batch_size=batch_size, seed=seed
    )
    geometry = _with_scheme(geometry, board, method)
    limit = Budget.parse(budget) if budget else None
    mix_given = LaneMix.parse(ratio, LUT_FORMATS[geometry.lut_scheme]).on(lane_mix(geometry)) if ratio else None
    dataset = load_data(data, image_size=image_size, images_per_class=images_per_class)
    if dataset.train_labels is None and (options.epochs or float_epochs):
        raise UserError(f"data {data} has no labels to train with: add labels, or use --epochs 0 to calibrate only")
    classes = classes or (10 if dataset.train_labels is None else int(dataset.train_labels.max()) + 1)
    torch.manual_seed(seed)
    network = load_model(model, channels=dataset.image_shape[0], classes=classes, weights=weights)
    if normalisation == "imagenet":
        fold_normalisation(network, *IMAGENET)
    history = History()
    if float_epochs:
        train_float(network, dataset, TrainingOptions(epochs=float_epochs, seed=seed), history)
    name = model if model in ZOO else model.rpartition(":")[2]
    findings = inspect_model(network, dataset.image_shape)
    show_findings(findings, whole=bool(report))
    result = quantize_for(
        network, dataset, geometry, activation_bits=hidden_bits, method=method, ratio=mix_given, budget=limit,
        options=options, refined=refine, name=name, history=history,
    )  # fmt: skip
    output.parent.mkdir(parents=True, exist_ok=True)
    save(result.graph, output)
    accuracy = {
        "float": result.float_accuracy, "quantized": result.quantized_accuracy, "integer": result.integer_accuracy,
    }  # fmt: skip
    layers = layer_reports(result.network, result.graph, dataset.test_images[:REPORT_IMAGES])
    show_layers(f"{name}, {method}", layers)
    show_narrowed(result.narrowed, geometry.accumulator_bits)
    console.print(" · ".join(f"{key} {percent(value)}" for key, value in accuracy.items() if value is not None))
    console.print(f"wrote {output}")
    if report:
        write_whole(report, render_quantization(f"{name}, {method}, {board.name}", findings, layers, accuracy))
        console.print(f"[bold]{report}[/] has every operator and layer, and the bits of every channel.")
    if json_path:
        write_json(json_path, {
            "network": name,
            "method": method,
            "board": board.name,
            "activation_bits": hidden_bits or geometry.activation_bits,
            "accuracy": accuracy,
            "narrowed": [
                {"layer": each.layer, "filters": each.filters, "given": each.given.name, "taken": each.taken.name}
                for each in result.narrowed
            ],
            "layers": [layer_figures(entry) for entry in layers],
            "seconds": round(time.monotonic() - started, 2),
        })


def _with_scheme(geometry: Geometry, board: Board, method: str) -> Geometry:
    """The geometry with LUT lanes for the method's scheme, unless the person chose a scheme."""
    kind = find_method(method).lut_format
    chosen = click.get_current_context().get_parameter_source("lut_scheme")
    if kind is None or chosen is ParameterSource.COMMANDLINE or LUT_FORMATS[geometry.lut_scheme] == kind:
        return geometry
    console.print(f"{method} has {kind.name} in the LUT lanes: give --lut-scheme {kind.name} to the other commands too")
    return board.geometry_for(activation_bits=geometry.activation_bits, lut_scheme=LUT_SCHEMES[kind.name])

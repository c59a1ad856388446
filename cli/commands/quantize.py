"""`intramix quantize`: a PyTorch model into an integer model."""

import dataclasses
import time
from pathlib import Path
from typing import Any, ClassVar

import click
from click.core import ParameterSource

from ...compiler.compile import compile_graph
from ...compiler.place.lanes import LUT_FORMATS
from ...files import write_whole
from ...hdl.geometry import Geometry
from ...lanes import lane_mix, plan_for, scheme_of
from ...platforms.boards import Board
from ...quant.assignment.budget import Budget
from ...quant.assignment.kept import KeptLayers
from ...quant.assignment.lane_mix import LaneMix
from ...quant.assignment.methods import METHODS, find_method
from ...quant.assignment.target import Target
from ...quant.data.data import Dataset, load_data
from ...quant.frontend.preflight import inspect_model
from ...quant.models import ZOO, Normalisation, Normalised, load_model, own_model
from ...quant.quantize import rehearse
from ...quant.reconstruction.options import ReconstructionOptions
from ...quant.targeting import TargetMissedError
from ...quant.training import parallel
from ...quant.training.recipe import TrainingOptions
from ..report.candidates import show_candidates
from ..report.quantization import render_quantization, show_findings
from ..report.quantized import report_quantized
from ..report.remedies import Tried
from ..shared import training_options
from ..shared.console import console, step
from ..shared.errors import UserError
from ..shared.options import SectionedCommand, board_options, json_option
from ..shared.output import write_figures
from ..shared.training import checkpoint_of, fingerprint, quantize_with_progress, train_float
from ..shared.training_log import TrainingLog
from ..shared.training_options import TrainingChoice


class _Command(SectionedCommand):
    sections: ClassVar = {
        "Model and data": ("data", "image_size", "images_per_class", "test_images", "classes", "weights",
                           "normalisation"),
        "Formats": ("board_name", "method", "ratio", "budget", "keep", "target_sqnr", "target_agreement", "hidden_bits",
                    "activation_bits", "lut_scheme", "refine", "reconstruct"),
        "Training": training_options.NAMES[: training_options.NAMES.index("device")],
        "Running it": training_options.NAMES[training_options.NAMES.index("device") :],
        "Results": ("output", "report", "json_path"),
    }  # fmt: skip


@click.command(cls=_Command)
@click.argument("model")
@board_options("pynq-z2")
@click.option("--data", required=True, metavar="NAME|FILE|FOLDER",
              help="Images and labels: a data set's name, `digits` or `procedural`; an .npz of `images` and maybe "
                   "`labels`; the folder of CIFAR-10's Python files; or a folder of image files with a folder for "
                   "each class.")
@click.option("--image-size", type=click.IntRange(8),
              help="Edge length in pixels of generated images (default 32) and to which image files are cropped "
                   "(default 224).")
@click.option("--images-per-class", type=click.IntRange(1),
              help="Use at most so many images of each class, of generated images and of image files (default: all).")
@click.option("--test-images", type=click.IntRange(1),
              help="Measure accuracy with so many of the test images, chosen at random (default: all).")
@click.option("--classes", type=click.IntRange(1),
              help="Number of scores that the model gives (default: as many as the data has classes).")
@click.option("--weights", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="File with the float model's trained weights, a state dict: .pth or .safetensors.")
@click.option("--normalisation", metavar="none|imagenet|MEANS/DEVIATIONS", default="none", show_default=True,
              help="How images were normalised when the weights were trained: (x − mean) / deviation, numbers for each "
                   "channel with commas between, or one for all. It becomes part of the weights.")
@click.option("--method", type=click.Choice(METHODS), default="variance", show_default=True,
              help="How every filter is given its number format (docs/quantization.md).")
@click.option("--ratio", metavar="A:B:C",
              help="How many filters of every layer are Fixed-8 : Fixed-4 : of the LUT lanes' format (default: as "
                   "many as the board has lanes for).")
@click.option("--budget", metavar="KIND=LIMIT", multiple=True,
              help="What the formats chosen by hbp and hawq-v3 may cost. KIND is size, bit-operations or latency, "
                   "LIMIT a share of what 8 bits everywhere cost, as in size=60%. Once for every kind (default: what "
                   "the board's own mix costs; hbp's is no slower either).")
@click.option("--keep", metavar="BITS:LAYERS",
              help="Give all filters of some layers so many bits, whatever the method gives them: 8:first,last,"
                   "depthwise, or by name, 8:stem,blocks.0.*. Layers of 8 bits take two passes, or more tiles.")
@click.option("--target-sqnr", type=float, metavar="DB",
              help="Give layers 8 bits until the scores have this SQNR against the float model's, on training images "
                   "held out from calibration: those first whose rounding makes most noise for the cycles that it "
                   "costs. Of what reaches it, the most frames/s are taken. With --epochs 0. Judged before "
                   "--reconstruct or --refine, which then go on with what was taken and are judged too.")
@click.option("--target-agreement", type=float, metavar="PERCENT",
              help="The same until so many of the float model's decisions are kept; with --target-sqnr, both.")
@click.option("--bits", "hidden_bits", type=click.IntRange(2, 8),
              help="Bits of the activations between layers (default: as many as the accelerator has for one).")
@click.option("--refine", is_flag=True,
              help="With --epochs 0, which does not train: choose the rounding of weights so that the layers' outputs "
                   "change least, and correct biases.")
@click.option("--reconstruct", is_flag=True,
              help="With --epochs 0: learn rounding, biases and ranges of activations, some layers at a time, so that "
                   "their outputs are the float model's; it needs no labels. Minutes to an hour. With --checkpoint it "
                   "can be stopped and resumed.")
@training_options.training_options
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE",
              help="File of the integer model to write (.imx).")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also write a page (HTML) with every operator and layer, and the format of every channel; the "
                   "operators are printed, too.")
@json_option
def quantize(
    model: str, board: Board, geometry: Geometry, data: str, image_size: int | None, images_per_class: int | None,
    test_images: int | None, classes: int | None, weights: Path | None, normalisation: str, method: str,
    ratio: str | None, budget: tuple[str, ...], keep: str | None, target_sqnr: float | None,
    target_agreement: float | None, hidden_bits: int | None, refine: bool, reconstruct: bool,
    training: TrainingChoice, output: Path, report: Path | None, json_path: Path | None,
) -> None:
    """Quantize MODEL for a board's lanes: filters of one layer in different precisions and schemes.

    MODEL is package.module:callable (a file in the working directory counts as importable), or one of the zoo: demo,
    resnet-tiny, resnet-small, mobilenet-tiny, mobilenet-small, resnet18, resnet34, resnet50, vgg16, vgg16_bn,
    mobilenet_v2, squeezenet1_1, densenet121.

    \b
    From nothing, in minutes:   intramix quantize resnet-tiny --data procedural --float-epochs 12 --epochs 4 -o r.imx
    From trained weights:       intramix quantize resnet18 --weights resnet18.pth --normalisation imagenet
                                    --data IMAGENET --epochs 0 --reconstruct -o r18.imx
    A long run that may stop:   … --checkpoint run/ --training-log run/log.jsonl; after Ctrl-C the same with --resume
    On 8 GPUs:                  torchrun --standalone --nproc-per-node 8 --no-python intramix quantize … --device cuda

    docs/quantization.md explains the methods, docs/imagenet.md the published recipes.
    """
    started = time.monotonic()
    limits = tuple(Budget.parse(each) for each in budget)
    kept = KeptLayers.parse(keep) if keep else None
    target = None
    if target_sqnr is not None or target_agreement is not None:
        share = None if target_agreement is None else target_agreement / 100
        target = Target(sqnr=target_sqnr, agreement=share)
    normalised = Normalisation.parse(normalisation)
    options = find_method(method).options(**training.recipe)
    device = training.device.find()
    with parallel.process_group(device):
        console.quiet = parallel.rank() > 0
        geometry = _with_scheme(geometry, board, method)
        mix_given = LaneMix.parse(ratio, LUT_FORMATS[geometry.lut_scheme]).on(lane_mix(geometry)) if ratio else None
        dataset = load_data(
            data, image_size=image_size, images_per_class=images_per_class, test_images=test_images,
            from_files=options.augmentation != "none",
        )  # fmt: skip
        network = _float_model(model, dataset, classes, weights, normalised, training, options)
        if weights is None and not training.float_epochs:
            _warn_of_untrained(model, network, options)
        log = TrainingLog(training.log)
        name = _network_name(model, network)
        conditions = {
            "model": name, "data": dataset.name, "images": len(dataset.train_images), "normalisation": normalisation,
            "weights": fingerprint(network),
        }  # fmt: skip

        def saved(phase: str) -> Any:
            return checkpoint_of(training.checkpoint, phase, resume=training.resume, conditions=conditions)

        plan = plan_for(
            geometry, method=method, ratio=mix_given, activation_bits=hidden_bits, budgets=limits, training=options,
            kept=kept, target=target, refined=refine,
            reconstruction=ReconstructionOptions() if reconstruct else None, name=name,
        )  # fmt: skip
        findings = inspect_model(network, dataset.image_shape) if report else ()
        if findings:
            show_findings(findings)
        if training.float_epochs:
            with step("Ask whether the accelerator can run it"):
                rehearse(network, dataset, plan, lambda graph: compile_graph(graph, geometry))
            chosen = {"epochs": training.float_epochs, "learning_rate": training.float_learning_rate,
                      "batch_size": training.recipe["batch_size"]}  # fmt: skip
            recipe = TrainingOptions(
                **{key: value for key, value in chosen.items() if value is not None},
                precision=options.precision, augmentation=options.augmentation, seed=options.seed,
            )  # fmt: skip
            train_float(network, dataset, recipe, log, checkpoint=saved("float"), device=training.device)
        conditions |= {
            "weights": fingerprint(network), "method": method, "board": board.name, "ratio": ratio,
            "budget": list(budget) or None, "keep": keep, "bits": hidden_bits or geometry.activation_bits,
            "lut_scheme": geometry.lut_scheme.name, "target": str(target),
        }  # fmt: skip
        try:
            quantized = quantize_with_progress(
                network, dataset, board, geometry, plan, log=log, checkpoint=saved("quantized"), device=training.device,
            )  # fmt: skip
        except TargetMissedError as missed:
            show_candidates(missed.candidates, None, method)
            raise
        if parallel.rank():
            return
    quantized.save(output)
    tried = Tried(method=method, reconstructed=reconstruct, trained=bool(options.epochs), bits=plan.activation_bits)
    reported = report_quantized(quantized, dataset.test_images, tried, name)
    console.print(f"wrote {output}")
    if training.log and log.phases:
        console.print(f"wrote {training.log} and {training.log.with_suffix('.png')}")
    if report:
        title = f"{name}, {method}, {board.name}"
        page = render_quantization(title, findings, reported.layers, reported.figures.accuracy)
        write_whole(report, page)
        console.print(f"[bold]{report}[/] has every operator and layer, and the format of every channel.")
    figures = dataclasses.replace(reported.figures, seconds=round(time.monotonic() - started, 2))
    write_figures(json_path, figures)


def _float_model(
    model: str, dataset: Dataset, classes: int | None, weights: Path | None, normalisation: Normalisation | None,
    training: TrainingChoice, options: TrainingOptions,
) -> Any:  # fmt: skip
    """The model to quantize or to train first."""
    import torch

    if dataset.train_labels is None and (options.epochs or training.float_epochs):
        raise UserError(
            f"data {dataset.name} has no labels to train with: add labels, or use --epochs 0 to calibrate only"
        )
    classes = classes or _classes_of(dataset)
    torch.manual_seed(options.seed)
    network = load_model(model, channels=dataset.image_shape[0], classes=classes, weights=weights)
    return network if normalisation is None else Normalised(network, normalisation, dataset.image_shape[0])


def _classes_of(dataset: Dataset) -> int:
    """As many as the labels say, 10 without; classes that no image has are said, since one label may be wrong."""
    if dataset.train_labels is None:
        return 10
    found = set(dataset.train_labels.unique().tolist())
    classes = int(max(found)) + 1
    if missing := classes - len(found):
        first = next(number for number in range(classes) if number not in found)
        console.print(
            f"[yellow]{dataset.name} has labels up to {classes - 1}, so {classes} classes, of which {missing} have no "
            f"image to train with (the first is {first}):[/] if a label is wrong, mend it or give --classes",
            soft_wrap=True,
        )
    return classes


def _network_name(model: str, network: Any) -> str:
    """Of the zoo's network; else of the class that the model's module defines; else of the module's file."""
    module, separator, _ = model.partition(":")
    if not separator:
        return model
    own = type(own_model(network))
    return own.__name__ if own.__module__ == module else module.rpartition(".")[2]


def _warn_of_untrained(model: str, network: Any, options: TrainingOptions) -> None:
    """Says that nothing has trained the model, as far as anyone can tell: a callable may load weights itself."""
    start = "is fine-tuned" if options.epochs else "is quantized"
    unless = "" if model in ZOO else f", unless {model} loads trained ones itself"
    console.print(
        f"[yellow]{type(own_model(network)).__name__} {start} from random weights{unless}:[/] give --weights FILE, or "
        "--float-epochs N to train it first",
        soft_wrap=True,
    )


def _with_scheme(geometry: Geometry, board: Board, method: str) -> Geometry:
    """The geometry with LUT lanes for the method's scheme, unless the person chose a scheme."""
    if click.get_current_context().get_parameter_source("lut_scheme") is ParameterSource.COMMANDLINE:
        return geometry
    found = scheme_of(method, board, geometry)
    if found is not geometry:
        name = LUT_FORMATS[found.lut_scheme].name
        console.print(f"{method} has {name} in the LUT lanes: the model remembers it, but `build` and `elaborate` need "
                      f"--lut-scheme {name}")  # fmt: skip
    return found

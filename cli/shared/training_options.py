"""The options of `quantize` that say how to train, for a person who has not trained a quantized net before."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ...quant.training.device import TrainingDevice
from ...quant.training.recipe import AUGMENTATIONS, OPTIMIZERS, PRECISIONS


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingChoice:
    """What a person chose.

    Members
    -------
    float_epochs, float_learning_rate: of the float training before.
    recipe: fields of `TrainingOptions` for the fine-tuning; None where the method's recipe decides.
    device: where to train.
    checkpoint, resume: folder to save in (None: nowhere); whether to go on from it.
    log: file for the figures of every epoch.
    """

    float_epochs: int
    float_learning_rate: float | None
    recipe: dict[str, Any]
    device: TrainingDevice
    checkpoint: Path | None
    resume: bool
    log: Path | None


_RECIPE = ("epochs", "learning_rate", "batch_size", "optimizer", "momentum", "weight_decay", "warm_up",
           "label_smoothing", "distill", "temperature", "precision", "augmentation", "seed")  # fmt: skip
_OPTIONS = (
    click.option("--float-epochs", type=click.IntRange(0), default=0, show_default=True,
                 help="Train the float model first, for so many epochs: for a model that comes without weights."),
    click.option("--float-learning-rate", type=float, help="Of the float training (default: 0.002, by Adam)."),
    click.option("--epochs", type=click.IntRange(0),
                 help="Epochs of fine-tuning with quantized weights and activations. 0 only calibrates "
                      "(default: the method's: 150 for film-qnn, else 8)."),
    click.option("--learning-rate", type=float,
                 help="The highest of the fine-tuning. It rises over the warm-up, then falls as half a cosine to 0. If "
                      "the loss jumps at the start, halve it (default: the method's, scaled with SGD's batch size)."),
    click.option("--batch-size", type=click.IntRange(1),
                 help="Of all processes together (default: the method's: 512 for film-qnn, else 64)."),
    click.option("--optimizer", type=click.Choice(OPTIMIZERS), help="Default: the method's."),
    click.option("--momentum", type=float, help="Of sgd."),
    click.option("--weight-decay", type=float, help="Of weights, not of biases and ranges."),
    click.option("--warm-up", type=float, metavar="EPOCHS", help="Over which the learning rate rises."),
    click.option("--label-smoothing", type=float, help="0 … 1; 0.1 in film-qnn's recipe."),
    click.option("--distill", type=float, metavar="ALPHA",
                 help="Learn from the float model's scores too: the loss is (1 − ALPHA) · cross entropy + ALPHA · T² · "
                      "their divergence (default: 0)."),
    click.option("--temperature", type=float, metavar="T", help="That softens both scores for --distill (default: 4)."),
    click.option("--augment", "augmentation", type=click.Choice(AUGMENTATIONS),
                 help="standard: random crops and flips of the training images, as for ImageNet and CIFAR-10. Not for "
                      "classes that a mirror changes, such as digits (default: none)."),
    click.option("--precision", type=click.Choice(PRECISIONS),
                 help="bf16: convolutions of the training in bfloat16, faster where the processor has it. Weights "
                      "stay in float32; the integer model is made the same way (default: float32)."),
    click.option("--seed", type=int, default=0, show_default=True,
                 help="The same seed gives the same model, bit for bit, on the same machine."),
    click.option("--device", default="auto", show_default=True, metavar="NAME",
                 help="Where to train: cpu, cuda, cuda:1; auto takes a GPU if there is one."),
    click.option("--workers", type=click.IntRange(0), default=0, show_default=True,
                 help="Processes that read and crop images, for every training process; several for a folder."),
    click.option("--checkpoint", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
                 help="Save the training there after every epoch, and on Ctrl-C."),
    click.option("--resume", is_flag=True,
                 help="Go on from the checkpoint (or start, if there is none). The result is bit for bit that of a run "
                      "that was never stopped."),
    click.option("--training-log", "log", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                 help="Figures of every epoch as JSON lines: loss, accuracy, learning rate, share of the filters whose "
                      "format changed. Their curves go beside it, as .png."),
)  # fmt: skip
NAMES = (*_RECIPE, "float_epochs", "float_learning_rate", "device", "workers", "checkpoint", "resume", "log")


def training_options(command: Callable) -> Callable:
    """Adds the options; the command receives `training`, a `TrainingChoice`."""

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> Any:
        chosen = {name: arguments.pop(name) for name in NAMES}
        if chosen["resume"] and chosen["checkpoint"] is None:
            raise click.UsageError("--resume goes on from a checkpoint: give --checkpoint FOLDER too")
        device = TrainingDevice(name=chosen["device"], workers=chosen["workers"])
        rest = {name: chosen[name] for name in NAMES if name not in (*_RECIPE, "device", "workers")}
        recipe = {name: chosen[name] for name in _RECIPE}
        return command(training=TrainingChoice(recipe=recipe, device=device, **rest), **arguments)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped

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
                 help="Train the float model first, for so many epochs. For a model that comes without weights."),
    click.option("--float-learning-rate", type=float,
                 help="Highest learning rate of the float training (default: 0.002, by Adam)."),
    click.option("--epochs", type=click.IntRange(0),
                 help="Epochs of fine-tuning with quantized weights and activations; 0 does not train but only "
                      "calibrates (default: 150 for film-qnn, 8 for the other methods)."),
    click.option("--learning-rate", type=float,
                 help="Highest learning rate of the fine-tuning: it rises to it over the warm-up, then falls as half a "
                      "cosine to 0. If the loss jumps at the start, halve it (default: the method's, scaled with SGD's "
                      "batch size)."),
    click.option("--batch-size", type=click.IntRange(1),
                 help="Images of a training step, of all processes together (default: 512 for film-qnn, 64 for the "
                      "other methods)."),
    click.option("--optimizer", type=click.Choice(OPTIMIZERS),
                 help="What updates the weights (default: the method's choice)."),
    click.option("--momentum", type=float, help="Momentum of the optimizer sgd (default: the method's)."),
    click.option("--weight-decay", type=float,
                 help="Weight decay of the weights; biases and activation ranges have none (default: the method's)."),
    click.option("--warm-up", type=float, metavar="EPOCHS",
                 help="Epochs over which the learning rate rises at the start (default: the method's)."),
    click.option("--label-smoothing", type=float,
                 help="Label smoothing, 0 … 1 (default: 0.1 for film-qnn, 0 for the other methods)."),
    click.option("--distill", type=float, metavar="ALPHA",
                 help="Learn from the float model's scores too: the loss is (1 − ALPHA) · cross entropy + ALPHA · T² · "
                      "their divergence (default: 0)."),
    click.option("--temperature", type=float, metavar="T",
                 help="Temperature by which both scores are divided for --distill (default: 4)."),
    click.option("--augment", "augmentation", type=click.Choice(AUGMENTATIONS),
                 help="How training images are varied. standard: random crops and flips, as for ImageNet and "
                      "CIFAR-10; not for classes that a mirror changes, such as digits (default: none)."),
    click.option("--precision", type=click.Choice(PRECISIONS),
                 help="Arithmetic of the training's convolutions. bf16: bfloat16, faster where the processor has it; "
                      "weights stay in float32, and the integer model is made in the same way (default: float32)."),
    click.option("--seed", type=int, default=0, show_default=True,
                 help="Seed of weights and of the order of images. The same seed gives the same model, bit for bit, "
                      "on the same machine."),
    click.option("--device", default="auto", show_default=True, metavar="NAME",
                 help="Where to train: cpu, cuda, cuda:1 and so on; auto takes a GPU if there is one."),
    click.option("--workers", type=click.IntRange(0), default=0, show_default=True,
                 help="Processes that read and crop images, for every training process; take several for a folder of "
                      "image files."),
    click.option("--checkpoint", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
                 help="Save the training in this folder after every epoch, and on Ctrl-C."),
    click.option("--resume", is_flag=True,
                 help="Go on from the checkpoint, or start if there is none. The result is bit for bit that of a run "
                      "that was never stopped."),
    click.option("--training-log", "log", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                 help="Write the figures of every epoch to this file as JSON lines: loss, accuracy, learning rate, "
                      "share of the filters whose format changed. Their curves are written beside it, as .png."),
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

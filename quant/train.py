"""Training of the float model, and of the quantized network (quantization-aware fine-tuning). Deterministic by seed."""

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .model import image_values


class TrainingError(ValueError):
    """Training that cannot start or that went wrong; the message names what, where and a remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train.

    Parameters
    ----------
    epochs, batch_size: at least 0; at least 1.
    learning_rate: the highest; it rises linearly over `warm_up` epochs, then falls as half a cosine to 0.
    optimizer: `adam` or `sgd` (with `momentum`, Nesterov).
    weight_decay: on weights of two dimensions or more only.
    label_smoothing: 0 … 1.
    seed: of the order of images and of dropout.

    Raises
    ------
    TrainingError: a value is out of range.
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 2e-3
    optimizer: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warm_up: float = 1.0
    label_smoothing: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for field, value, legal in (
            ("epochs", self.epochs, self.epochs >= 0),
            ("batch_size", self.batch_size, self.batch_size >= 1),
            ("learning_rate", self.learning_rate, 0 < self.learning_rate < math.inf),
            ("momentum", self.momentum, 0 <= self.momentum < 1),
            ("weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf),
            ("warm_up", self.warm_up, 0 <= self.warm_up < math.inf),
            ("label_smoothing", self.label_smoothing, 0 <= self.label_smoothing < 1),
            ("optimizer", self.optimizer, self.optimizer in ("adam", "sgd")),
        ):
            if not legal:
                raise TrainingError(f"training option {field} is out of range: {value!r}")


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where training is, after a step: counts from 1; `loss` is the step's."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float


ProgressCallback = Callable[[Progress], None]


def train(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    options: TrainingOptions,
    *,
    progress: ProgressCallback | None = None,
    before_epoch: Callable[[int], None] | None = None,
) -> list[float]:
    """Trains a model in place with cross entropy, and leaves it in eval mode.

    Parameters
    ----------
    model: gives scores, N × classes, for float images.
    images, labels: uint8 (or float in 0 … 1) N × C × H × W; int64 N.
    before_epoch: called with the epoch's number, from 1 (re-assignment of formats).

    Returns
    -------
    The mean loss of each epoch.

    Raises
    ------
    TrainingError: labels that do not fit the images or the model's scores; a loss that is not finite.
    """
    if len(images) != len(labels) or not len(images):
        raise TrainingError(f"{len(images)} images and {len(labels)} labels: there must be as many, and at least one")
    optimizer = _optimizer(model, options)
    steps = -(-len(images) // options.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(options, steps))
    losses = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        for epoch in range(1, options.epochs + 1):
            if before_epoch is not None:
                before_epoch(epoch)
            model.train()
            total = 0.0
            for step, chosen in enumerate(torch.randperm(len(images)).split(options.batch_size), start=1):
                scores = model(image_values(images[chosen]))
                _check_scores(scores, labels)
                loss = functional.cross_entropy(scores, labels[chosen], label_smoothing=options.label_smoothing)
                value = loss.item()
                if not math.isfinite(value):
                    raise TrainingError(
                        f"the loss is {value} in epoch {epoch}, step {step}; use a learning rate below "
                        f"{options.learning_rate:g}, or check the data"
                    )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                total += value * len(chosen)
                if progress is not None:
                    progress(Progress(epoch, options.epochs, step, steps, value))
            losses.append(total / len(images))
    model.eval()
    return losses


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, *, batch: int = 64) -> Tensor:
    """The model's scores in eval mode (float, N × classes)."""
    model.eval()
    return torch.cat([model(image_values(part)) for part in images.split(batch)])


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose largest score is their label's."""
    return float((predict(model, images).argmax(dim=1) == labels).double().mean())


def _optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [entry for entry in parameters if entry.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [entry for entry in parameters if entry.ndim < 2], "weight_decay": 0.0},
    ]
    if options.optimizer == "adam":
        return torch.optim.AdamW(groups, lr=options.learning_rate)
    return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum, nesterov=options.momentum > 0)


def _schedule(options: TrainingOptions, steps: int) -> Callable[[int], float]:
    total = max(1, options.epochs * steps)
    rise = min(total - 1, round(options.warm_up * steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / (total - rise)))

    return factor


def _check_scores(scores: Tensor, labels: Tensor) -> None:
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise TrainingError(f"the model must give scores N × classes to be trained, not {found}")
    if scores.shape[1] <= int(labels.max()):
        raise TrainingError(f"the labels go up to {int(labels.max())}, but the model gives {scores.shape[1]} scores")

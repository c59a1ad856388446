"""What training minimises, and by what steps; scores and weights that it cannot go on with."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .recipe import TrainingError, TrainingOptions


def optimizer(parameters: Sequence[nn.Parameter], options: TrainingOptions) -> torch.optim.Optimizer:
    groups = [
        {"params": [entry for entry in parameters if entry.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [entry for entry in parameters if entry.ndim < 2], "weight_decay": 0.0},
    ]
    if options.optimizer == "adam":
        return torch.optim.AdamW(groups, lr=options.learning_rate)
    return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum, nesterov=options.momentum > 0)


def divergence(scores: Tensor, target: Tensor, temperature: float) -> Tensor:
    """T² · KL(target ‖ scores), both softened by T, summed over images."""
    found, wanted = (functional.log_softmax(entry / temperature, dim=1) for entry in (scores, target))
    return temperature**2 * functional.kl_div(found, wanted, reduction="sum", log_target=True)


def not_finite(model: nn.Module) -> str | None:
    """The first tensor of a model with values that are not finite, in words; None if all are finite."""
    for key, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            path, _, field = key.rpartition(".")
            name = getattr(model.get_submodule(path), "name", path)
            bad = int((~torch.isfinite(tensor)).sum())
            return f"{field} of {name!r} has {bad} of {tensor.numel()} values that are not finite"
    return None


def check_scores(scores: Tensor, labels: Tensor) -> None:
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise TrainingError(f"the model must give scores N × classes to be trained, not {found}")
    if scores.shape[1] <= int(labels.max()):
        raise TrainingError(f"the labels go up to {int(labels.max())}, but the model gives {scores.shape[1]} scores")

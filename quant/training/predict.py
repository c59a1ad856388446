"""A model's scores and its accuracy on images."""

import contextlib

import torch
from torch import Tensor, nn

from ..models.normalised import own_model
from ..network.model import image_values


class PredictionError(ValueError):
    """A model that cannot be run on several images; the message names it, the reason and a remedy."""


def evaluate(model: nn.Module) -> nn.Module:
    """Puts a model in eval mode."""
    with contextlib.suppress(NotImplementedError):  # of torch.export's own modules, which keep the mode they had
        model.eval()
    return model


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, *, batch: int = 64) -> Tensor:
    """The model's scores in eval mode (float, N × classes), computed where its parameters are, in their precision.

    Raises
    ------
    PredictionError: the model cannot compute several images at once.
    """
    evaluate(model)
    device = next((parameter.device for parameter in model.parameters()), images.device)
    parts = [_scores(model, image_values(part.to(device))) for part in images.split(batch)]
    return torch.cat(parts).float().to(images.device)


def scores(model: nn.Module, images: Tensor, *, singly: bool = False) -> Tensor:
    """As `predict`, but N × scores whatever their shape; `singly`: one image at a time, if the model takes no more."""
    try:
        return predict(model, images).flatten(1)
    except PredictionError:
        if not singly:
            raise
        return predict(model, images, batch=1).flatten(1)


def in_precision_of(model: nn.Module, values: Tensor) -> Tensor:
    """Values in the floating-point type of a model's parameters."""
    return values.to(next((it.dtype for it in model.parameters() if it.is_floating_point()), values.dtype))


def _scores(model: nn.Module, values: Tensor) -> Tensor:
    try:
        scores = model(in_precision_of(model, values))
    except Exception as error:  # whatever the model's own code raises
        if len(values) == 1 or not _computes(model, values[:1]):
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PredictionError(_not_at_once(model, len(values), f"it raised {reason}")) from error
    if not isinstance(scores, Tensor) or len(scores) != len(values):
        found = tuple(scores.shape) if isinstance(scores, Tensor) else f"a {type(scores).__name__}"
        raise PredictionError(_not_at_once(model, len(values), f"it gave {found}"))
    return scores


def _computes(model: nn.Module, values: Tensor) -> bool:
    try:
        model(in_precision_of(model, values))
    except Exception:
        return False
    return True


def _not_at_once(model: nn.Module, images: int, reason: str) -> str:
    return (
        f"{type(own_model(model)).__name__} cannot compute {images} images at once: {reason}; it must take "
        "N × C × H × W and give N × classes: by x.flatten(1) instead of x.view(1, -1), or exported for any batch"
    )


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose largest score is their label's; raises as `predict`."""
    return float((predict(model, images).argmax(dim=1) == labels).double().mean())

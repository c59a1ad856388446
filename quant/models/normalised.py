"""A model for normalised images as one for images of 0 … 1."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .errors import ModelError


@dataclasses.dataclass(frozen=True)
class Normalisation:
    """(x − mean) / deviation for images x of 0 … 1: what was done to the images that a model was trained on.

    Members
    -------
    mean, deviation: one for each channel of the images, or one for all; a deviation is above 0.

    Raises
    ------
    ModelError: they are not finite, not as many, or a deviation is not above 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        numbers = torch.tensor((*self.mean, *self.deviation), dtype=torch.float64)
        if not self.mean or len(self.deviation) not in (1, len(self.mean)) or not bool(torch.isfinite(numbers).all()):
            raise ModelError(
                f"normalisation: there must be finite numbers, as many deviations as means or one for all, not means "
                f"{self.mean} and deviations {self.deviation}"
            )
        if min(self.deviation) <= 0:
            raise ModelError(f"normalisation: deviations must be above 0, not {self.deviation}")

    @classmethod
    def parse(cls, text: str) -> "Normalisation | None":
        """None of `none`; ImageNet's of `imagenet`; else MEANS/DEVIATIONS, numbers with commas between, as in 0.5/0.5.

        Raises
        ------
        ModelError: it is none of these.
        """
        if text in NORMALISATIONS:
            return NORMALISATIONS[text]
        try:
            mean, deviation = (tuple(float(number) for number in part.split(",")) for part in text.split("/"))
        except ValueError:
            raise ModelError(
                f"normalisation {text!r} must be {', '.join(NORMALISATIONS)} or MEANS/DEVIATIONS, for instance 0.5/0.5 "
                "or 0.485,0.456,0.406/0.229,0.224,0.225"
            ) from None
        return cls(mean, deviation)


NORMALISATIONS = {
    "none": None,
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""By name: of torchvision's weights `imagenet`."""


class Normalised(nn.Module):
    """A model that normalises its images, which are of 0 … 1, before its first layer.

    Captured, it has the names of the model's own layers.

    Parameters
    ----------
    model: for normalised images.
    channels: of the images.

    Raises
    ------
    ModelError: the normalisation is for another number of channels.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: nn.Module, normalisation: Normalisation, channels: int) -> None:
        super().__init__()
        if len(normalisation.mean) not in (1, channels):
            raise ModelError(
                f"normalisation of {len(normalisation.mean)} channels: the images have {channels}; give one mean and "
                "one deviation for each of their channels, or one for all"
            )
        self.model = model
        self.register_buffer("mean", _by_channel(normalisation.mean, channels), persistent=False)
        self.register_buffer("deviation", _by_channel(normalisation.deviation, channels), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.model((images - self.mean) / self.deviation)


def own_model(model: nn.Module) -> nn.Module:
    """The model itself, without a normalisation before it."""
    return model.model if isinstance(model, Normalised) else model


def _by_channel(numbers: Sequence[float], channels: int) -> Tensor:
    return torch.tensor(numbers).expand(channels).clone().reshape(channels, 1, 1)

"""A model's scores and its accuracy on images."""

import torch
from torch import Tensor, nn

from ..network.model import image_values


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, *, batch: int = 64) -> Tensor:
    """The model's scores in eval mode (float, N × classes), computed where its parameters are."""
    model.eval()
    device = next((parameter.device for parameter in model.parameters()), images.device)
    return torch.cat([model(image_values(part.to(device))).to(images.device) for part in images.split(batch)])


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose largest score is their label's."""
    return float((predict(model, images).argmax(dim=1) == labels).double().mean())

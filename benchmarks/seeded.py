"""Networks with seeded weights, and images for them: the same integer graph on every run, without a data set."""

import torch
from torch import nn

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.data.data import Dataset
from intramix.quant.models import load_model
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import QuantizationResult, quantize

CALIBRATION_IMAGES = 4


def generated_images(count: int, size: int, seed: int) -> torch.Tensor:
    """Smooth coloured noise at several scales: uint8, count × 3 × size × size."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(count, 3, size, size)
    for cells in (2, 7, 28, 112):
        noise = torch.rand(count, 3, min(cells, size), min(cells, size), generator=generator) - 0.5
        images += nn.functional.interpolate(noise, size=(size, size), mode="bilinear", align_corners=False)
    low, high = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
    return ((images - low) / (high - low) * 255).round().to(torch.uint8)


def quantize_seeded(
    name: str, mix: LaneMix, *, accumulator_bits: int, size: int, seed: int, images: int = 1
) -> tuple[QuantizationResult, torch.Tensor]:
    """A network of the zoo with seeded weights, quantized, and images for it.

    Parameters
    ----------
    mix, accumulator_bits: of the accelerator.
    size: edge length of an image, in pixels.
    images: how many are returned, besides those that calibrate.
    """
    torch.manual_seed(seed)
    model = load_model(name, channels=3, classes=1000)
    drawn = generated_images(CALIBRATION_IMAGES + images, size, seed)
    calibration, rest = drawn[:CALIBRATION_IMAGES], drawn[CALIBRATION_IMAGES:]
    _settle(model, calibration.float() / 255)
    data = Dataset(f"generated, seed {seed}", calibration, rest)
    plan = QuantizationPlan(lane_mix=mix, scale_method="maximum", accumulator_bits=accumulator_bits, name=name)
    return quantize(model, data, plan), rest


@torch.no_grad()
def _settle(model: nn.Module, images: torch.Tensor) -> None:
    """Gives every batch norm the statistics of these images, so that activations neither die nor explode."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean
    model.train()
    model(images)
    model.eval()

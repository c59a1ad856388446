"""What is advised where a model is hardly of use: not what was tried, and at the cost that it really has."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import intramix
from intramix.cli.report.remedies import Tried, remedies
from intramix.lanes import plan_for, scheme_of
from intramix.model import QuantizedModel
from intramix.platforms.boards import board as find_board
from intramix.quant.assignment.kept import KeptLayers

NOTHING = Tried(method="pot-4", reconstructed=False, trained=False, bits=5)
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 2, 8, 8), dtype=np.uint8)


def quantized(method: str, **choices: object) -> QuantizedModel:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 4),
    )  # fmt: skip
    board = find_board("small")
    geometry = scheme_of(method, board, board.geometry)
    plan = plan_for(geometry, method=method, **choices)  # type: ignore[arg-type]
    return intramix.quantize(network, IMAGES, board="small", plan=plan, geometry=geometry)


@pytest.fixture(scope="module")
def model() -> QuantizedModel:
    return quantized("pot-4")


def found(model: QuantizedModel, tried: Tried) -> dict[str, float]:
    """Frames a second by option."""
    images: Tensor = torch.from_numpy(IMAGES[:4])
    told: list[str] = []
    result = remedies(model, images, tried, model.cost(), told.append)
    assert told
    return {it.option: it.model_frames_per_second for it in result}


def test_what_costs_nothing_on_the_board_has_the_models_own_speed(model: QuantizedModel) -> None:
    rates, now = found(model, NOTHING), model.cost().frames_per_second
    assert next(iter(rates)) == "--reconstruct"
    assert rates["--reconstruct"] == rates["--epochs 8"] == rates["more images"] == now


def test_estimates_are_those_of_the_model_that_it_would_be(model: QuantizedModel) -> None:
    rates = found(model, NOTHING)
    assert rates["--method fixed-8"] == quantized("fixed-8").cost().frames_per_second
    assert rates["--bits 8"] == pytest.approx(quantized("pot-4", activation_bits=8).cost().frames_per_second, rel=1e-6)
    (keep,) = (option for option in rates if option.startswith("--keep"))
    kept = quantized("pot-4", kept=KeptLayers.parse(keep.removeprefix("--keep ")))
    assert rates[keep] == kept.cost().frames_per_second < model.cost().frames_per_second


def test_what_was_tried_is_not_advised(model: QuantizedModel) -> None:
    everything = Tried(method="fixed-8", reconstructed=True, trained=True, bits=8)
    rates = found(model, everything)
    assert not any(option.startswith(("--reconstruct", "--bits", "--epochs", "--method")) for option in rates)
    once = found(model, dataclasses.replace(NOTHING, reconstructed=True))
    assert "--reconstruct" not in once
    assert "--epochs 8" in once


def test_nothing_is_raised_where_all_have_8_bits() -> None:
    tried = Tried(method="fixed-8", reconstructed=False, trained=False, bits=8)
    assert not any(option.startswith("--keep") for option in found(quantized("fixed-8"), tried))

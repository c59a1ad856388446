"""From float model to integer graph on real data: accuracy, mix in every layer, agreement."""

import copy
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.assignment.methods import find_method
from intramix.quant.data.data import Dataset, load_data
from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4
from intramix.quant.graph.graph import Convolution
from intramix.quant.models import load_model
from intramix.quant.network.quantizers import QuantizationError
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import QuantizationCallbacks, quantize
from intramix.quant.training.predict import accuracy
from intramix.quant.training.progress import TrainingProgress
from intramix.quant.training.train import TrainingOptions, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data("digits")


@pytest.fixture(scope="module")
def trained(digits: Dataset) -> nn.Module:
    torch.manual_seed(0)
    model = load_model("demo")
    train(model, digits.train_images, digits.train_labels, TrainingOptions(epochs=8, learning_rate=5e-3))
    return model


def test_float_accuracy(trained: nn.Module, digits: Dataset) -> None:
    assert accuracy(trained, digits.test_images, digits.test_labels) >= 0.97


@pytest.mark.parametrize(
    ("mix", "method"),
    [(LaneMix(1, 3, 4, SP2_4), "output-error"), (LaneMix(2, 8, 22, POT_4), "variance")],
    ids=["1:3:4 of 8, sp2", "2:8:22 of 32, pot"],
)
def test_digits_keep_their_accuracy(trained: nn.Module, digits: Dataset, mix: LaneMix, method: str) -> None:
    steps: list[TrainingProgress] = []
    before = copy.deepcopy(trained.state_dict())
    result = quantize(
        trained, digits, QuantizationPlan(lane_mix=mix, method=method, training=find_method(method).options(epochs=4)),
        callbacks=QuantizationCallbacks(progress=steps.append),
    )  # fmt: skip
    assert result.float_accuracy - result.integer_accuracy <= 0.015
    assert abs(result.quantized_accuracy - result.integer_accuracy) <= 0.01
    assert len(result.losses) == 4
    assert steps[-1].epoch == 4
    for layer in result.graph.layers:
        if isinstance(layer, Convolution):
            assert set(layer.formats) == {FIXED8, FIXED4, mix.lut_format}, layer.name
            counts = tuple(layer.formats.count(kind) for kind in (FIXED8, FIXED4, mix.lut_format))
            assert counts == mix.counts(len(layer.formats))
            assert layer.formats == result.formats[layer.name]
    sizes = np.array([np.prod(result.graph.tensors[entry.tensor].shape) for entry in result.agreement])
    assert (np.array([entry.far for entry in result.agreement]) * sizes).sum() / sizes.sum() < 0.01
    for name, value in trained.state_dict().items():
        assert torch.equal(value, before[name]), "the float model must stay as it is"


def test_calibration_without_training_is_deterministic(trained: nn.Module, digits: Dataset) -> None:
    plan = QuantizationPlan(lane_mix=LaneMix(1, 1, 0), activation_bits=8)
    results = [quantize(trained, digits, plan) for _ in range(2)]
    assert results[0].losses == ()
    assert results[0].float_accuracy - results[0].integer_accuracy <= 0.03
    for first, second in zip(results[0].graph.layers, results[1].graph.layers):
        if isinstance(first, Convolution):
            assert np.array_equal(first.weight, second.weight)
            assert np.array_equal(first.bias, second.bias)


@pytest.mark.parametrize(
    ("key", "layer", "what"),
    [
        ("block1.conv1.0.weight", "block1.conv1.0", "144 of its 2304 weights"),
        ("block1.conv1.1.running_var", "block1.conv1.0", "144 of its 2304 weights"),
        ("classifier.bias", "classifier", "1 of its 10 biases"),
    ],
)
def test_values_that_are_not_finite_are_refused_by_layer(trained: nn.Module, digits: Dataset, key: str, layer: str,
                                                         what: str) -> None:  # fmt: skip
    model = copy.deepcopy(trained)
    model.state_dict()[key][3] = float("nan")
    message = f"layer '{layer}': {what} (with batch norm folded in) are not finite; load other weights, or train"
    with pytest.raises(QuantizationError, match=re.escape(message)):
        quantize(model, digits, QuantizationPlan(lane_mix=LaneMix(1, 3, 4)))


def test_unlabelled_images_only_calibrate(trained: nn.Module, digits: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "images.npz"
    np.savez(path, images=digits.test_images[:40].numpy())
    data = load_data(path)
    plan = QuantizationPlan(lane_mix=LaneMix(1, 3, 4))
    result = quantize(trained, data, plan)
    assert result.float_accuracy is None
    assert result.integer_accuracy is None
    with pytest.raises(ValueError, match="data 'images' has no labels to fine-tune with; add labels, or use epochs=0"):
        quantize(trained, data, dataclasses.replace(plan, training=TrainingOptions(epochs=1)))


def test_stages_are_told(trained: nn.Module, digits: Dataset) -> None:
    told: list[tuple[str, int, int]] = []
    plan = QuantizationPlan(lane_mix=LaneMix(1, 3, 4, SP2_4), refined=True)
    quantize(trained, digits, plan, callbacks=QuantizationCallbacks(stage=lambda *stage: told.append(stage)))
    batches = [entry for entry in told if entry[0] == "calibrating, batches"]
    assert batches[-1] == ("calibrating, batches", len(batches), len(batches))
    assert [what for what, *_ in told if what not in ("calibrating, batches", "refining layers")] == [
        "assigning formats", "exporting", "measuring"
    ]  # fmt: skip
    assert ("refining layers", 12, 12) in told


class FixedBatch(nn.Module):
    """Takes one image only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(1, 4, 16), nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.conv(x).view(1, -1))


FOUR = LaneMix(1, 1, 2, SP2_4)


def noise(images: int = 8, **labels: torch.Tensor) -> Dataset:
    pixels = torch.randint(0, 256, (images, 1, 16, 16), dtype=torch.uint8)
    return Dataset("noise", pixels, pixels[:4], **labels)


def test_a_model_of_one_image_is_quantized_without_labels_and_named_with() -> None:
    assert quantize(FixedBatch(), noise(), QuantizationPlan(lane_mix=FOUR)).integer_accuracy is None
    labels = torch.zeros(8, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"FixedBatch cannot compute 2 images at once: .*x\.flatten\(1\) instead"):
        quantize(FixedBatch(), noise(train_labels=labels, test_labels=labels[:4]), QuantizationPlan(lane_mix=FOUR))


def test_labels_that_the_model_has_no_scores_for() -> None:
    labels = torch.full((4,), 10)
    with pytest.raises(ValueError, match="labels go up to 10, but the model gives 10 scores; give the model"):
        quantize(load_model("demo"), noise(test_labels=labels), QuantizationPlan(lane_mix=FOUR))


def test_images_of_one_colour_calibrate_nothing() -> None:
    black = torch.zeros(4, 1, 16, 16, dtype=torch.uint8)
    with pytest.raises(ValueError, match="'black': all 4 images to calibrate with have one value everywhere"):
        quantize(load_model("demo"), Dataset("black", black, black), QuantizationPlan(lane_mix=FOUR))


def test_weights_of_half_the_bits_and_exported_modules() -> None:
    """They quantize like the module in float32 that they stand for."""
    torch.manual_seed(0)
    model = load_model("demo").eval().bfloat16()
    labels = torch.zeros(4, dtype=torch.int64)
    halves = quantize(model, noise(test_labels=labels), QuantizationPlan(lane_mix=FOUR))
    assert halves.float_accuracy is not None
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(model.float(), (torch.zeros(2, 1, 16, 16),), dynamic_shapes=({0: batch},)).module()
    whole = quantize(exported, noise(test_labels=labels), QuantizationPlan(lane_mix=FOUR))
    assert [layer.weight.shape for layer in whole.graph.computing if isinstance(layer, Convolution)] == [
        layer.weight.shape for layer in halves.graph.computing if isinstance(layer, Convolution)
    ]


def test_the_accelerator_is_asked_before_anything_is_trained(digits: Dataset) -> None:
    def refuse(graph: object) -> None:
        raise ValueError("too large")

    plan = QuantizationPlan(lane_mix=FOUR, training=find_method("variance").options(epochs=2))
    steps: list[TrainingProgress] = []
    with pytest.raises(ValueError, match="too large"):
        quantize(
            load_model("demo"), digits, plan, callbacks=QuantizationCallbacks(progress=steps.append), check=refuse
        )
    assert steps == []

"""Reconstruction: nearer to the float model in every scheme, on its grid, never worse on the images held out, the same
after a stop, and the integer graph as the fake quantization."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from intramix.quant.frontend.folded_execution import run_folded
from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4, WeightFormat
from intramix.quant.graph.graph import Convolution
from intramix.quant.network.export import agreement, align_scales, export
from intramix.quant.network.model import QuantizedNetwork
from intramix.quant.network.quantizers import QuantizationError
from intramix.quant.quantize import prepare
from intramix.quant.reconstruction import reconstruct as module
from intramix.quant.reconstruction.blocks import blocks
from intramix.quant.reconstruction.options import ReconstructionOptions
from intramix.quant.reconstruction.reconstruct import reconstruct
from intramix.quant.training.checkpoint import Checkpoint, TrainingStopped
from intramix.quant.training.recipe import TrainingError

OPTIONS = ReconstructionOptions(steps=30, images=24)


class Inverted(nn.Module):
    """A stem, an inverted residual with ReLU6, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.expand, self.depthwise = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.project, self.pool, self.linear = nn.Conv2d(16, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Linear(8, 5)

    def forward(self, value: Tensor) -> Tensor:
        value = nn.functional.relu6(self.stem(value) * 4)
        inside = nn.functional.relu6(self.depthwise(nn.functional.relu6(self.expand(value))))
        value = torch.relu(value + self.project(inside))
        return self.linear(self.pool(value).flatten(1))


@pytest.fixture(scope="module")
def images() -> Tensor:
    torch.manual_seed(3)
    smooth = nn.functional.interpolate(torch.rand(40, 3, 4, 4), size=(16, 16), mode="bilinear")
    return (smooth * 255).round().to(torch.uint8)


@pytest.fixture(scope="module")
def prepared(images: Tensor) -> QuantizedNetwork:
    torch.manual_seed(0)
    return prepare(Inverted().eval(), images, activation_bits=4)


def formatted(prepared: QuantizedNetwork, *kinds: WeightFormat) -> QuantizedNetwork:
    network = copy.deepcopy(prepared)
    network.set_formats({
        name: tuple(kinds[index % len(kinds)] for index in range(len(it.weight)))
        for name, it in network.convolutions.items()
    })  # fmt: skip
    return network


def error(network: QuantizedNetwork, images: Tensor) -> float:
    name = network.graph.outputs[0]
    exact = run_folded(network.graph, images.float() / 255)[name]
    with torch.no_grad():
        return float((network.tensors(images)[name] - exact).square().sum() / exact.square().sum())


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [(FIXED4,), (SP2_4,), (POT_4,), (FIXED8, FIXED4, SP2_4, POT_4)], ids=str)
def test_nearer_to_the_float_model_on_the_grid_of_every_scheme(
    prepared: QuantizedNetwork, images: Tensor, kinds: tuple[WeightFormat, ...]
) -> None:
    network = formatted(prepared, *kinds)
    before = error(network, images[24:])
    reports = reconstruct(network, images, OPTIONS)
    assert any(report.kept for report in reports)
    assert error(network, images[24:]) < 0.9 * before  # images that it has not seen
    align_scales(network)
    graph = export(network)
    for layer in graph.layers:
        if isinstance(layer, Convolution) and layer.kind != "average_pool":
            for weights, kind in zip(layer.weight, layer.formats):
                assert np.isin(weights, kind.levels).all(), (layer.name, kind.name)
    assert max(entry.differing for entry in agreement(network, graph, images)) < 1e-3


@pytest.mark.slow
def test_what_does_not_help_is_undone(prepared: QuantizedNetwork, images: Tensor) -> None:
    network = formatted(prepared, FIXED4)
    wild = ReconstructionOptions(steps=3, images=24, learning_rate=40, bias_rate=40, range_rate=3)
    reports = reconstruct(network, images, wild)
    undone = [report for report in reports if not report.kept]
    assert undone
    untouched = formatted(prepared, FIXED4)
    for report in undone:
        for name in report.layers:
            assert np.array_equal(network.convolutions[name].codes(), untouched.convolutions[name].codes())
            assert torch.equal(network.convolutions[name].bias, untouched.convolutions[name].bias)
            assert network.quantizer(name).range() == untouched.quantizer(name).range()
    assert all(report.after < report.before for report in reports if report.kept)


def test_no_steps_change_no_code(prepared: QuantizedNetwork, images: Tensor) -> None:
    network, untouched = formatted(prepared, SP2_4), formatted(prepared, SP2_4)
    reports = reconstruct(network, images, ReconstructionOptions(steps=0, images=8))
    assert [report.kept for report in reports] == [False] * len(blocks(network.graph))
    expected, found = untouched.codes(images), network.codes(images)
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_errors_are_those_of_plain_torch(prepared: QuantizedNetwork, images: Tensor) -> None:
    """The first block's, without steps, on every eighth image."""
    network = formatted(prepared, FIXED4)
    (first, *_) = reconstruct(network, images, ReconstructionOptions(steps=0, images=24))
    (block, *_) = blocks(network.graph)
    name, held_out = block.outputs[0], images[:24][::8]
    exact = run_folded(network.graph, held_out.float() / 255)[name]
    with torch.no_grad():
        found = network.tensors(held_out)[name]
    expected = ((found - exact) ** 2).sum() / (exact**2).sum()
    assert first.before == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.slow
def test_a_stopped_run_ends_as_one_that_was_not(
    prepared: QuantizedNetwork, images: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ReconstructionOptions(steps=6, images=16)
    whole = formatted(prepared, FIXED4)
    told: list[tuple[int, int]] = []
    reports = reconstruct(whole, images, options, progress=lambda *it: told.append(it))
    count = len(blocks(whole.graph))
    assert told == [(step, 6 * count) for step in range(1, 6 * count + 1)]

    def stop(done: int, total: int) -> None:
        if done == 9:
            asked.requested = True

    asked: Any = module.Interruption()
    checkpoint = Checkpoint(tmp_path / "blocks.pt", resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(module, "interruption", lambda enabled: _given(asked))
        with pytest.raises(TrainingStopped, match="stopped, 1 blocks are done"):
            reconstruct(formatted(prepared, FIXED4), images, options, checkpoint=checkpoint, progress=stop)
    resumed = formatted(prepared, FIXED4)
    assert reconstruct(resumed, images, options, checkpoint=checkpoint) == reports
    for name, value in whole.state_dict().items():
        if isinstance(value, Tensor):
            assert torch.equal(value, resumed.state_dict()[name]), name
    with pytest.raises(TrainingError, match="was made with reconstruction"):
        reconstruct(resumed, images, ReconstructionOptions(steps=5, images=16), checkpoint=checkpoint)


class _given:
    """A context that gives what it was made with."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __enter__(self) -> Any:
        return self.value

    def __exit__(self, *_: object) -> None:
        pass


def test_too_few_images_and_numbers_outside_their_range(prepared: QuantizedNetwork, images: Tensor) -> None:
    with pytest.raises(QuantizationError, match="needs at least two images"):
        reconstruct(formatted(prepared, FIXED4), images[:1])
    with pytest.raises(ValueError, match="steps must be at least 0, not -1"):
        ReconstructionOptions(steps=-1)
    with pytest.raises(ValueError, match="bias_rate must be at least 0, not nan"):
        ReconstructionOptions(bias_rate=float("nan"))

"""Refinement: between the nearest levels and the best of all, means corrected, and better networks."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.data.data import Dataset, load_data
from intramix.quant.frontend.folded_execution import run_folded
from intramix.quant.graph.formats import FIXED4, POT_4, SP2_4
from intramix.quant.graph.graph import Convolution
from intramix.quant.models import load_model
from intramix.quant.network.export import align_scales, export
from intramix.quant.network.layer_report import layer_reports
from intramix.quant.network.quantized_convolution import QuantizedConvolution
from intramix.quant.network.quantizers import QuantizationError, weight_codes, weight_scale
from intramix.quant.network.refine import refine, round_compensated
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import prepare, quantize
from intramix.quant.training.train import TrainingOptions, train

pytestmark = pytest.mark.slow

FORMATS = (FIXED4, SP2_4, POT_4, FIXED4)


def loss(weight: Tensor, moments: Tensor, row: int, rounded: np.ndarray) -> float:
    difference = weight[row].double().numpy() - rounded
    return float(difference @ moments.numpy() @ difference)


def test_between_the_nearest_levels_and_the_best() -> None:
    total = np.zeros(3)
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(4, 5, generator=generator)
        inputs = torch.randn(5, 60, generator=generator) * 0.4 + torch.randn(1, 60, generator=generator).abs()
        moments = (inputs @ inputs.T / 60).double()
        scale = weight_scale(weight, FORMATS)
        result = round_compensated(weight, moments, scale, FORMATS).numpy()
        nearest = (weight_codes(weight, scale, FORMATS) * scale[:, None]).numpy()
        for row, kind in enumerate(FORMATS):
            levels = kind.levels * float(scale[row])
            assert set(np.round(result[row] / float(scale[row]))) <= set(kind.levels)
            # Every choice among the three levels next to each weight.
            near = [levels[np.argsort(abs(levels - value))[:3]] for value in weight[row].numpy()]

            best = min(loss(weight, moments, row, np.array(choice)) for choice in itertools.product(*near))
            losses = np.array([best, *(loss(weight, moments, row, it[row]) for it in (result, nearest))])
            assert losses[0] <= losses[1] * 1.001
            total += losses
    assert total[1] < 0.75 * total[2], total


def test_independent_inputs_keep_the_nearest_levels() -> None:
    weight = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    scale = weight_scale(weight, FORMATS)
    result = round_compensated(weight, torch.eye(7, dtype=torch.float64).expand(4, 7, 7) * 2, scale, FORMATS)
    torch.testing.assert_close(result, weight_codes(weight, scale, FORMATS) * scale[:, None])


@pytest.fixture(scope="module")
def digits() -> tuple[nn.Module, Dataset]:
    data = load_data("digits")
    torch.manual_seed(0)
    model = load_model("demo")
    train(model, data.train_images, data.train_labels, TrainingOptions(epochs=4, learning_rate=5e-3))
    return model, data


def test_codes_stay_and_means_agree(digits: tuple[nn.Module, Dataset]) -> None:
    model, data = digits
    images = data.train_images[:48]
    network = prepare(model, data.train_images)
    network.set_formats({name: (FIXED4,) * len(it.weight) for name, it in network.convolutions.items()})
    steps: list[tuple[int, int]] = []
    refine(network, images, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (12, 12)
    codes = {name: it.codes() for name, it in network.convolutions.items()}
    align_scales(network)
    for layer in export(network).layers:
        if isinstance(layer, Convolution):
            assert np.array_equal(layer.weight, codes[layer.name]), layer.name
    # A layer that nothing clips: the mean of the scores is the float model's but for rounding of the output.
    name = network.graph.outputs[0]
    expected = run_folded(network.graph, images.float() / 255)[name].mean(0)
    found = network.tensors(images)[name].detach().mean(0)
    assert (expected - found).abs().max() < 0.6 * network.quantizer(name).scale


def test_refined_networks_are_nearer_to_the_float_model(digits: tuple[nn.Module, Dataset]) -> None:
    model, data = digits
    plans = (QuantizationPlan(lane_mix=LaneMix(0, 1, 1), refined=refined) for refined in (False, True))
    results = [quantize(model, data, plan) for plan in plans]
    plain, refined = (layer_reports(it.network, it.graph, data.test_images[:32]) for it in results)
    assert refined[-1].sqnr > plain[-1].sqnr + 2
    assert results[1].integer_accuracy >= results[0].integer_accuracy


def test_layers_that_get_no_nearer_stay_as_they_were(
    digits: tuple[nn.Module, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judged on images that they are not rounded by, one layer after the other."""
    model, data = digits
    network = prepare(model, data.train_images)
    layers = [name for name, it in network.convolutions.items() if not it.layer.exact]
    before = {name: copy.deepcopy(it.state_dict()) for name, it in network.convolutions.items()}
    spoilt = layers[1::2]

    def rounded(module: QuantizedConvolution, value: Tensor) -> None:
        if module.name in spoilt:
            module.weight.mul_(0.8)
        else:
            module.weight.copy_(module.layer.weight)

    monkeypatch.setattr("intramix.quant.network.refine._round_weights", rounded)
    refine(network, data.train_images[:48])
    for name in spoilt:
        module = network.convolutions[name]
        assert torch.equal(module.weight, before[name]["weight"]), name
        assert torch.equal(module.bias, before[name]["bias"]), name
    assert any(not torch.equal(network.convolutions[name].bias, before[name]["bias"]) for name in layers)


@pytest.mark.parametrize("bits", [5, 8])
def test_fixed_8_is_made_no_worse(digits: tuple[nn.Module, Dataset], bits: int) -> None:
    """There is hardly any rounding to mend, and the biases fit few images."""
    model, data = digits
    plans = (
        QuantizationPlan(lane_mix=LaneMix(1, 0, 0), method="fixed-8", activation_bits=bits, refined=refined)
        for refined in (False, True)
    )
    plain, refined = (quantize(model, data, plan).fidelity for plan in plans)
    assert plain is not None
    assert refined is not None
    assert refined.sqnr > plain.sqnr - 0.1


def test_refinement_needs_images() -> None:
    data = Dataset(
        "two", torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8), torch.zeros(2).long(), torch.zeros(2).long()
    )
    with pytest.raises(QuantizationError, match="needs at least one image"):
        refine(prepare(load_model("demo").eval(), data.train_images), data.train_images[:0])

"""The quantized network: bits, zero points, shared quantizers, and refusals."""

import pytest
import torch
from torch import nn

from intramix.quant.frontend.capture import capture
from intramix.quant.frontend.fold import fold
from intramix.quant.frontend.folded_execution import run_folded
from intramix.quant.graph.formats import FIXED4, FIXED8
from intramix.quant.models import Demo
from intramix.quant.network.model import QuantizedNetwork, image_values
from intramix.quant.network.quantizers import QuantizationError

pytestmark = pytest.mark.slow

SHAPE = (1, 16, 16)
IMAGES = torch.randint(0, 256, (6, *SHAPE), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


@pytest.fixture
def network() -> QuantizedNetwork:
    torch.manual_seed(0)
    made = QuantizedNetwork(fold(capture(Demo(), SHAPE)))
    made.calibrate(IMAGES)
    return made


def test_bits_and_zero_points(network: QuantizedNetwork) -> None:
    bits = {name: network.quantizer(name).bits for name in network.graph.shapes}
    eight = {"input", "block2.shortcut.0", "classifier"}
    assert {name for name, count in bits.items() if count == 8} == eight
    assert set(bits.values()) == {5, 8}
    signed = {"block2.shortcut.0", "block3.project.0", "pool", "average", "classifier"}
    assert {name for name in bits if network.quantizer(name).signed} == signed
    assert all(network.quantizer(name).zero_point == 0 for name in bits if name not in signed)
    assert network.quantizer("block3.project.0").zero_point > 0


def test_max_pool_shares_its_inputs_quantizer(network: QuantizedNetwork) -> None:
    assert network.quantizer("pool") is network.quantizer("block3.project.0")


def test_values_lie_on_the_grids(network: QuantizedNetwork) -> None:
    tensors, codes = network.tensors(IMAGES), network.codes(IMAGES)
    assert (codes["input"] == IMAGES.numpy()).all()
    for name, value in tensors.items():
        quantizer = network.quantizer(name)
        assert codes[name].min() >= 0
        assert codes[name].max() <= quantizer.maximum
        expected = (torch.from_numpy(codes[name]) - quantizer.zero_point) * quantizer.scale
        torch.testing.assert_close(value.detach(), expected.float(), rtol=1e-4, atol=1e-5)


def test_eight_bits_everywhere_approximates_the_float_model() -> None:
    torch.manual_seed(0)
    graph = fold(capture(Demo(), SHAPE))
    network = QuantizedNetwork(graph, activation_bits=8)
    network.calibrate(IMAGES)
    expected = run_folded(graph, image_values(IMAGES))
    for name, value in network.tensors(IMAGES).items():
        error = (value - expected[name]).square().mean() / expected[name].square().mean()
        assert error < 1e-2, name


def test_gradients_reach_every_trained_weight_and_range(network: QuantizedNetwork) -> None:
    network(IMAGES).square().sum().backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
    trained = [module.layer.name for module in network.convolutions.values() if module.weight.requires_grad]
    assert "average" not in trained
    assert len(trained) == 10
    assert all(network.convolutions[name].weight.grad.abs().sum() > 0 for name in trained)


def test_chosen_bits(network: QuantizedNetwork) -> None:
    made = QuantizedNetwork(network.graph, activation_bits=4, tensor_bits={"average": 8, "pool": 6})
    assert made.quantizer("average").bits == 8
    assert made.quantizer("block3.project.0").bits == 6
    assert made.quantizer("stem.0.0").bits == 4


def test_chosen_bits_of_unknown_tensor(network: QuantizedNetwork) -> None:
    with pytest.raises(QuantizationError, match=r"tensor_bits names 'stem'; .* chosen are stem\.0\.0, "):
        QuantizedNetwork(network.graph, tensor_bits={"stem": 4})


def test_padded_tensor_that_can_be_negative() -> None:
    """It is padded with the value 0, which is one of its codes."""
    torch.manual_seed(0)
    network = QuantizedNetwork(fold(capture(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1)), SHAPE)))
    network.calibrate(IMAGES)
    quantizer = network.quantizer("0")
    assert 0 < quantizer.zero_point < quantizer.maximum
    layer = network.convolutions["1"]
    codes = torch.from_numpy(network.codes(IMAGES)["0"]).double()
    padded = nn.functional.pad(codes - quantizer.zero_point, (1, 1, 1, 1)) * quantizer.scale
    weight = torch.from_numpy(layer.codes()) * layer.scale.double().reshape(-1, 1, 1, 1)
    expected = nn.functional.conv2d(padded, weight, layer.bias.double())
    found = network.codes(IMAGES)["1"]
    assert found.shape == expected.shape == (6, 4, 14, 14)
    assert (found == network.quantizer("1").codes(expected).numpy()).mean() > 0.999


def test_running_before_calibration() -> None:
    network = QuantizedNetwork(fold(capture(nn.Conv2d(1, 2, 3), (1, 8, 8))))
    with pytest.raises(QuantizationError, match="tensor 'conv2d' has no range yet; call calibrate"):
        network(torch.zeros(1, 1, 8, 8))


def test_formats_of_wrong_length(network: QuantizedNetwork) -> None:
    with pytest.raises(QuantizationError, match=r"layer 'classifier' has 10 filters, but 2 formats"):
        network.set_formats({"classifier": (FIXED4, FIXED8)})


@pytest.mark.parametrize("bits", [1, 9])
def test_activation_bits_out_of_range(network: QuantizedNetwork, bits: int) -> None:
    with pytest.raises(ValueError, match="bits must be 2 … 8"):
        QuantizedNetwork(network.graph, activation_bits=bits)

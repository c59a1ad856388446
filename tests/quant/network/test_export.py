"""Export: the integers are as precise as they can be, and mean what the fake-quantized network computes."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.assignment.methods import assign
from intramix.quant.graph.executor import execute
from intramix.quant.graph.formats import FIXED4, POT_4, SP2_4
from intramix.quant.graph.graph import (
    BIAS_BITS,
    MAXIMUM_SHIFT,
    MULTIPLIER_BITS,
    Convolution,
    IntegerGraph,
    Layer,
    MaxPool,
    TensorType,
)
from intramix.quant.models import Demo, Normalisation, Normalised
from intramix.quant.network.export import agreement, align_scales, export, image_codes, integer_scores, requantization
from intramix.quant.network.model import QuantizedNetwork
from intramix.quant.network.quantizers import QuantizationError
from intramix.quant.quantize import prepare

pytestmark = pytest.mark.slow

positive = st.floats(0.003, 10)



@given(
    scales=st.lists(positive, min_size=1, max_size=4),
    biases=st.data(),
    tensors=st.tuples(positive, positive, positive),
    zeros=st.tuples(st.integers(0, 31), st.integers(0, 31), st.integers(0, 255)),
)
@settings(max_examples=150, deadline=None)
def test_requantization_is_the_most_precise_that_fits(
    scales: list, biases: st.DataObject, tensors: tuple, zeros: tuple
) -> None:
    bias = np.array([biases.draw(st.floats(-50, 50)) for _ in scales])
    weight = np.arange(len(scales) * 3).reshape(len(scales), 3, 1, 1) - 4
    source, target, residual = (
        TensorType(name, 3, 1, 1, 8, scale, zero) for name, scale, zero in zip("abc", tensors, zeros)
    )
    made = requantization("x", weight, np.array(scales), bias, source=source, target=target, residual=residual)

    def fits(shift: int) -> bool:
        limit, half = 1 << (MULTIPLIER_BITS - 1), (1 << shift) >> 1
        residual_times = round(residual.scale / target.scale * 2**shift)
        total_ok = residual_times < limit
        for row, scale in enumerate(scales):
            times = round(source.scale * scale / target.scale * 2**shift)
            addend = round((bias[row] / target.scale + target.zero_point) * 2**shift)
            addend -= times * source.zero_point * int(weight[row].sum()) + residual_times * residual.zero_point
            total_ok &= times < limit and -(1 << (BIAS_BITS - 1)) <= addend + half < 1 << (BIAS_BITS - 1)
        return total_ok

    assert fits(made.shift)
    assert made.shift == MAXIMUM_SHIFT or not fits(made.shift + 1)
    # The integers give the real value of docs/numbers.md, to the precision of their rounding.
    codes, r = np.array([5, 200, 31]), 17
    unit = 1 << made.shift
    for row, scale in enumerate(scales):
        total = (weight[row].ravel() * codes).sum() * made.multiplier[row] + r * made.residual_multiplier
        found = Fraction(int(total + made.bias[row]), unit)
        real = source.scale * scale * float((weight[row].ravel() * (codes - source.zero_point)).sum())
        real += bias[row] + residual.scale * (r - residual.zero_point)
        slack = (np.abs(weight[row].ravel() * (codes - source.zero_point)).sum() + 255 + 1) / unit
        assert abs(float(found) - (real / target.scale + target.zero_point)) <= slack * 0.51 + 1e-6 * abs(float(found))


def test_scales_too_far_apart() -> None:
    source, target = TensorType("a", 1, 1, 1, 8, 1.0), TensorType("b", 1, 1, 1, 8, 1e-6)
    with pytest.raises(QuantizationError, match=r"layer 'x': its scales are too far apart.*largest factor 1e\+06"):
        requantization("x", np.ones((1, 1, 1, 1), np.int64), np.ones(1), np.zeros(1), source=source, target=target)


def test_filter_of_zeros_does_not_cost_precision() -> None:
    source, target = TensorType("a", 1, 1, 1, 8, 0.1), TensorType("b", 2, 1, 1, 8, 0.1)
    weight = np.array([[[[0]]], [[[7]]]])
    made = requantization("x", weight, np.array([1e9, 0.01]), np.zeros(2), source=source, target=target)
    assert made.multiplier[0] == 0
    assert made.multiplier[1] >= 1 << (MULTIPLIER_BITS - 2)


class Everything(nn.Module):
    """Signed maps, zero points on input, residual and output, stand-alone adds and norms, a channel multiplier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.wide, self.narrow = nn.Conv2d(6, 12, (3, 2), groups=6), nn.Conv2d(12, 6, 1)
        self.side = nn.Conv2d(6, 6, (3, 2))
        self.linear = nn.Linear(6 * 4 * 4, 5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stem(x)
        y = self.norm(x) + x  # x and y can be negative
        z = functional.relu6(self.wide(y))
        z = self.narrow(z) + self.side(y)
        pooled = functional.avg_pool2d(z, 2)
        return self.linear(torch.flatten(functional.max_pool2d(z, 3, 2, 1, ceil_mode=False), 1)), pooled


def everything() -> nn.Module:
    torch.manual_seed(5)
    model = Everything().eval()
    model.norm.running_var.fill_(0.3)
    model.norm.weight.data = torch.tensor([1.0, -1.0, 0.5, 2.0, -0.2, 0.0])
    return model


Case = tuple[QuantizedNetwork, IntegerGraph, torch.Tensor]


def exported(model: nn.Module, shape: tuple[int, int, int], mix: LaneMix) -> Case:
    images = torch.rand(16, *shape, generator=torch.Generator().manual_seed(1))
    network = prepare(model, images)
    network.set_formats(assign(network, mix, method="output-error", images=images))
    align_scales(network)
    return network, export(network), images


@pytest.fixture(scope="module", params=["demo", "everything", "normalised"])
def case(request: pytest.FixtureRequest) -> Case:
    if request.param == "demo":
        torch.manual_seed(0)
        return exported(Demo().eval(), (1, 16, 16), LaneMix(1, 3, 4, POT_4))
    model = everything()
    if request.param == "normalised":
        model = Normalised(model, Normalisation((0.4, 0.61), (0.25, 0.3)), 2)
    return exported(model, (2, 9, 8), LaneMix(1, 1, 1, SP2_4))


def test_the_border_of_a_normalised_image_is_its_mean() -> None:
    _, graph, _ = exported(
        Normalised(everything(), Normalisation((0.4, 0.61), (0.25, 0.3)), 2), (2, 9, 8), LaneMix(1, 1, 1, SP2_4)
    )
    assert graph.tensors[graph.input].border == (round(0.4 * 255), round(0.61 * 255))


def surrounded(codes: torch.Tensor, layer: Layer, tensor: TensorType) -> torch.Tensor:
    """N × C × H × W codes with those that the layer sees outside of the map."""
    edges = (layer.padding.left, layer.padding.right, layer.padding.top, layer.padding.bottom)
    code = 0 if isinstance(layer, MaxPool) else tensor.zero_point
    around = tensor.border or [code] * tensor.channels
    return torch.stack([functional.pad(plane, edges, value=code) for plane, code in zip(codes.unbind(1), around)], 1)


def as_real(codes: torch.Tensor, tensor: TensorType) -> torch.Tensor:
    return (codes.double() - tensor.zero_point) * tensor.scale


def test_integer_graph_agrees_with_fake_quantization(case: Case) -> None:
    network, graph, images = case
    report = agreement(network, graph, images)
    assert {entry.tensor for entry in report} == set(graph.tensors) - {graph.input}
    sizes = np.array([np.prod(graph.tensors[entry.tensor].shape) for entry in report])
    far = np.array([entry.far for entry in report])
    assert (far * sizes).sum() / sizes.sum() < 0.01, report
    scores, expected = integer_scores(graph, images), network(images)
    expected = (expected[0] if isinstance(expected, tuple) else expected).detach().numpy()
    assert np.abs(scores - expected).max() < 0.2 * np.abs(expected).max()


def test_each_layer_agrees_given_equal_inputs(case: Case) -> None:
    """Per layer from the executor's own input codes, in float64: at most rounding ties differ."""
    network, graph, images = case
    codes = execute(graph, image_codes(images))
    for layer in graph.layers:
        if not isinstance(layer, Convolution):
            continue
        module, target = network.convolutions[layer.name], graph.tensors[layer.output]

        weight = torch.from_numpy(layer.weight).double() * module.scale.double()[:, None, None, None]
        source = graph.tensors[layer.input]
        value = as_real(surrounded(torch.from_numpy(codes[layer.input]), layer, source), source)
        value = functional.conv2d(value, weight, module.bias.detach().double(), layer.stride, groups=layer.groups)
        if layer.residual is not None:
            value = value + as_real(torch.from_numpy(codes[layer.residual]), graph.tensors[layer.residual])
        expected = torch.floor(value / target.scale + 0.5) + target.zero_point
        expected = expected.clamp(0, target.maximum).numpy()
        distance = np.abs(expected - codes[layer.output])
        assert distance.max() <= 1, layer.name
        assert (distance > 0).mean() < 0.001, layer.name


def test_integer_graph_equals_plain_torch_integers(case: Case) -> None:
    _, graph, images = case
    found = execute(graph, image_codes(images))
    values = {graph.input: torch.from_numpy(image_codes(images).astype(np.int64))}
    for layer in graph.layers:
        value = surrounded(values[layer.input], layer, graph.tensors[layer.input])
        if isinstance(layer, Convolution):
            weight = torch.from_numpy(layer.weight)
            total = functional.conv2d(value.double(), weight.double(), None, layer.stride, groups=layer.groups).long()
            total = total * torch.from_numpy(layer.multiplier)[:, None, None]
            total += torch.from_numpy(layer.bias)[:, None, None] + ((1 << layer.shift) >> 1)
            if layer.residual is not None:
                total += values[layer.residual] * layer.residual_multiplier
            value = torch.div(total, 1 << layer.shift, rounding_mode="floor")
            value = value.clamp(0, graph.tensors[layer.output].maximum)
        else:
            value = functional.max_pool2d(value.double(), layer.kernel, layer.stride).long()
        values[layer.output] = value
        assert np.array_equal(value.numpy(), found[layer.output]), layer.name


def test_aligned_scales_stay_close_and_are_exact() -> None:
    torch.manual_seed(0)
    network = prepare(Demo().eval(), torch.rand(4, 1, 8, 8))
    before = {name: module.scale.clone() for name, module in network.convolutions.items()}
    align_scales(network)
    graph = export(network)
    for layer in graph.layers:
        if isinstance(layer, Convolution):
            scale = network.convolutions[layer.name].scale
            factor = scale.double().numpy() * graph.tensors[layer.input].scale / graph.tensors[layer.output].scale
            np.testing.assert_allclose(factor * 2.0**layer.shift, layer.multiplier, rtol=1e-6)
            change = (scale - before[layer.name]).abs().numpy() / scale.numpy() * layer.multiplier
            assert change.max() <= 0.501, layer.name


def test_image_codes_round_half_up() -> None:
    assert image_codes(torch.tensor([0.0, 0.5 / 255, 0.49 / 255, 1.0, 2.0])).tolist() == [0, 1, 0, 255, 255]
    assert image_codes(torch.tensor([7], dtype=torch.uint8)).tolist() == [7]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda network: network.convolutions["block1.conv1.0"].weight.data.fill_(float("nan")),
         "layer 'block1.conv1.0': its weights are not all finite"),
        (lambda network: network.convolutions["classifier"].bias.data.fill_(float("inf")),
         "layer 'classifier': its biases are not all finite"),
        (lambda network: network.quantizer("stem.0.0").log_high.data.fill_(float("nan")),
         "layer 'stem.0.0': the scale of its output is nan"),
        (lambda network: network.convolutions["classifier"].scale.fill_(float("nan")),
         "layer 'classifier': its weight scales are not all finite"),
    ],
)  # fmt: skip
def test_values_that_are_not_finite_name_the_layer(spoil: object, message: str) -> None:
    torch.manual_seed(0)
    network = prepare(Demo().eval(), torch.rand(4, 1, 8, 8))
    spoil(network)  # type: ignore[operator]
    with pytest.raises(QuantizationError, match=message):
        export(network)


def test_aligned_networks_differ_in_no_code_however_deep() -> None:
    """Sums that lie exactly between two codes are as common as 2^−S; 12 residual layers would spread each of them."""

    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Conv2d(3 if not index else 8, 8, 3, padding=1) for index in range(12))

        def forward(self, value: torch.Tensor) -> torch.Tensor:
            value = torch.relu(self.layers[0](value))
            for layer in self.layers[1:]:
                value = torch.relu(value + layer(value))
            return value

    torch.manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 20, 20), dtype=torch.uint8)
    network = prepare(Deep().eval(), images, activation_bits=5)
    network.set_formats({name: (FIXED4,) * len(it.weight) for name, it in network.convolutions.items()})
    align_scales(network)
    assert all(entry.differing == 0 for entry in agreement(network, export(network), images))

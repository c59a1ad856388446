"""Sensitivity: against dense Hessians of the original module, and against plain loops."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from intramix.quant.assignment.sensitivity import (
    EXACT_CLASSES,
    hessian_eigenvalues,
    hessian_traces,
    output_errors,
    trained,
    weight_errors,
    weight_variances,
)
from intramix.quant.graph.formats import FIXED4, SP2_4
from intramix.quant.models import Demo
from intramix.quant.network.model import QuantizedNetwork
from intramix.quant.network.quantizers import QuantizationError
from intramix.quant.quantize import prepare

pytestmark = pytest.mark.slow

COUNT, CLASSES = 20, 3


class Tiny(nn.Module):
    """Without batch norm, so that the folded weights are the module's own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Linear(4 * 2 * 2, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.first(x))
        y = functional.relu(self.second(y) + y)
        return self.last(self.pool(y).flatten(1))


@pytest.fixture(scope="module")
def case() -> tuple[nn.Module, QuantizedNetwork, Tensor, Tensor]:
    torch.manual_seed(5)
    model = Tiny().double().eval()
    images = torch.rand(COUNT, 1, 4, 4)
    labels = torch.randint(0, CLASSES, (COUNT,))
    return model, prepare(model, images).double(), images, labels


def blocks(
    model: nn.Module, images: Tensor, labels: Tensor, names: tuple[str, ...] = ("first", "second", "last")
) -> dict[str, Tensor]:
    """The dense Hessian of the module's loss, cut into each filter's block: filters × n × n."""
    result = {}
    for name in names:
        weight = model.get_submodule(name).weight.detach()

        def loss(changed: Tensor, name: str = name) -> Tensor:
            scores = torch.func.functional_call(model, {f"{name}.weight": changed}, (images.double(),))
            return functional.cross_entropy(scores, labels)

        size = weight[0].numel()
        dense = torch.autograd.functional.hessian(loss, weight).reshape(len(weight), size, len(weight), size)
        result[name] = torch.stack([dense[k, :, k] for k in range(len(weight))])
    return result


def test_eigenvalues_are_those_of_the_dense_blocks(case: tuple) -> None:
    model, network, images, labels = case
    found = hessian_eigenvalues(network, images, iterations=200)
    for name, dense in blocks(model, images, labels).items():
        torch.testing.assert_close(found[name], torch.linalg.eigvalsh(dense)[:, -1], rtol=1e-6, atol=1e-12)


def test_few_iterations_rank_alike(case: tuple) -> None:
    model, network, images, labels = case
    found = hessian_eigenvalues(network, images)
    for name, dense in blocks(model, images, labels).items():
        torch.testing.assert_close(found[name], torch.linalg.eigvalsh(dense)[:, -1], rtol=0.05, atol=1e-9)


def test_traces_are_those_of_the_dense_blocks(case: tuple) -> None:
    model, network, images, labels = case
    samples = 400
    found = hessian_traces(network, images, samples=samples)
    for name, dense in blocks(model, images, labels).items():
        diagonal = dense.diagonal(dim1=1, dim2=2)
        # Var(v·Hv) = 2 (‖H‖² − ‖diag H‖²) for v of ±1 (Avron and Toledo, 2011).
        error = (2 * (dense.square().sum((1, 2)) - diagonal.square().sum(1)) / samples).sqrt()
        assert ((found[name] - diagonal.sum(1)).abs() < 4.5 * error + 1e-12).all(), name


class Wide(nn.Module):
    """More classes than are summed exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.last = nn.Linear(4 * 4 * 4, 20)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(functional.relu6(self.first(x)).flatten(1))


def test_drawn_classes_come_close() -> None:
    torch.manual_seed(2)
    model = Wide().double().eval()
    model.last.weight.data *= 8
    images = torch.rand(10, 1, 4, 4)
    network = prepare(model, images).double()
    assert EXACT_CLASSES < 20
    dense = blocks(model, images, torch.arange(10), ("first",))["first"]
    found = hessian_traces(network, images.repeat(60, 1, 1, 1), samples=40)["first"]
    torch.testing.assert_close(found, dense.diagonal(dim1=1, dim2=2).sum(1), rtol=0.15, atol=0.0)


def test_same_seed_same_values(case: tuple) -> None:
    _, network, images, _ = case
    for measure in (hessian_eigenvalues, hessian_traces):
        first, again = measure(network, images, seed=3), measure(network, images, seed=3)
        other = measure(network, images, seed=4)
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)


def test_batches_do_not_matter(case: tuple) -> None:
    """20 images are two batches; twice the same 20 have the same mean loss."""
    _, network, images, _ = case
    told: list[tuple[int, int]] = []
    once = hessian_traces(network, images, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 16) for done in range(1, 17)]
    twice = hessian_traces(network, images.repeat(2, 1, 1, 1))
    for name in once:
        torch.testing.assert_close(once[name], twice[name], rtol=1e-9, atol=1e-12)


def test_weights_and_gradients_stay_as_they_are(case: tuple) -> None:
    _, network, images, _ = case
    before = {name: module.weight.detach().clone() for name, module in network.convolutions.items()}
    hessian_traces(network, images, samples=1)
    for name, module in network.convolutions.items():
        assert torch.equal(module.weight, before[name])
        assert module.weight.grad is None


def test_every_filter_of_a_real_network_has_a_value() -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8)
    network = prepare(Demo().eval(), images)
    for found in (hessian_eigenvalues(network, images, iterations=2), hessian_traces(network, images)):
        assert found.keys() == trained(network).keys()
        assert all(len(values) == len(network.convolutions[name].weight) for name, values in found.items())
    assert "average" not in trained(network)


def test_weight_measures_by_plain_loops(case: tuple) -> None:
    model, network, _, _ = case
    variances, errors = weight_variances(network), weight_errors(network, SP2_4)
    for name in ("first", "second", "last"):
        weight = model.get_submodule(name).weight.detach().flatten(1).numpy()
        np.testing.assert_allclose(variances[name], [row.var() for row in weight], rtol=1e-6)
        for index, row in enumerate(weight):
            best = min(
                sum(min(abs(value - level * scale) for level in SP2_4.levels) ** 2 for value in row)
                for scale in abs(row).max() / 8 * np.append(np.linspace(0.4, 1, 40, endpoint=False), 1)
            )
            assert errors[name][index].item() == pytest.approx(best, rel=1e-4)


def test_output_errors_share_out_the_power_of_the_map() -> None:
    torch.manual_seed(1)
    model = nn.Conv2d(3, 5, 1, bias=False)
    images = torch.rand(4, 3, 4, 4)
    network = prepare(model, images)
    name = network.graph.convolutions[0].name
    found = output_errors(network, images, [FIXED4])[FIXED4][name]
    activations = torch.floor(images * 255 + 0.5) / 255
    module = network.convolutions[name]
    network.set_formats({name: (FIXED4,) * 5})
    rounded = torch.from_numpy(module.codes()).float() * module.scale[:, None, None, None]
    error = functional.conv2d(activations, rounded - model.weight.detach()).square().sum((0, 2, 3))
    torch.testing.assert_close(found, error / functional.conv2d(activations, model.weight.detach()).square().sum())


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(1, 2, 4), nn.Conv2d(1, 3, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.left(x), self.right(x)


def test_networks_without_one_vector_of_scores(case: tuple) -> None:
    _, network, images, _ = case
    with pytest.raises(ValueError, match="samples must be at least 1, not 0"):
        hessian_traces(network, images, samples=0)
    with pytest.raises(ValueError, match="iterations must be at least 1, not 0"):
        hessian_eigenvalues(network, images, iterations=0)
    with pytest.raises(QuantizationError, match="needs at least one image"):
        hessian_traces(network, images[:0])
    with pytest.raises(QuantizationError, match=r"is a map of shape \(2, 2, 2\), but a Hessian needs scores"):
        hessian_traces(prepare(nn.Conv2d(1, 2, 3), images), images)
    with pytest.raises(QuantizationError, match="Pair has 2 outputs, but a Hessian needs one"):
        hessian_traces(prepare(Pair(), images), images)


def test_weights_that_are_not_finite(case: tuple) -> None:
    _, _, images, _ = case
    network = prepare(Tiny().eval(), images)
    network.convolutions["second"].weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(QuantizationError, match="scores are not finite; check the weights"):
        hessian_traces(network, images)

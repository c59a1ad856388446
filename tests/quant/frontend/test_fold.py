"""Folding: the folded layers compute the original module's function, in float64."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from intramix.quant.frontend.capture import capture
from intramix.quant.frontend.fold import fold
from intramix.quant.frontend.folded import FoldedConvolution, FoldedPool
from intramix.quant.frontend.folded_execution import run_folded


def prepared(model: nn.Module, seed: int = 1) -> nn.Module:
    """Random parameters and batch norm statistics, so that nothing is neutral."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.3)
            if module.affine:
                module.weight.data.copy_(torch.randn(module.num_features, generator=generator))
                module.bias.data.copy_(torch.randn(module.num_features, generator=generator))
    return model.double().eval()


def check(model: nn.Module, shape: tuple[int, int, int]) -> "tuple":
    """The folded graph, after comparing every output with the module's own."""
    model = prepared(model)
    images = torch.rand(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = copy.deepcopy(model)(images)
    graph = fold(capture(model, shape))
    tensors = run_folded(graph, images)
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert len(expected) == len(graph.outputs)
    for name, value in zip(graph.outputs, expected):
        torch.testing.assert_close(tensors[name].reshape(value.shape), value, rtol=1e-10, atol=1e-10)
    for name, signed in graph.signed.items():
        assert signed or tensors[name].min() >= 0
        assert tensors[name].shape[1:] == graph.shapes[name]
    return graph.layers


def conv_norm(inputs: int, outputs: int, kernel: int = 3, **options: object) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, bias=False, **options), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    def __init__(self, stride: int, shortcut: bool) -> None:
        super().__init__()
        self.first = conv_norm(4, 8, stride=stride, padding=1)
        self.second = conv_norm(8, 8 if shortcut else 4, padding=1)
        self.shortcut = conv_norm(4, 8, 1, stride=stride) if shortcut else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(self.relu(self.first(x)))
        y += self.shortcut(x)
        return self.relu(y)


@pytest.mark.parametrize(("stride", "shortcut"), [(1, False), (2, True)])
def test_residual_block_fuses_norms_relu_and_add(stride: int, shortcut: bool) -> None:
    layers = check(Residual(stride, shortcut), (4, 9, 9))
    assert len(layers) == (3 if shortcut else 2)
    fused = layers[-1]
    assert fused.name == "second.0"
    assert fused.residual == ("shortcut.0" if shortcut else "input")
    assert fused.relu
    assert [layer.relu for layer in layers] == [True] + [False] * shortcut + [True]


def test_linear_after_flatten_covers_the_map() -> None:
    model = nn.Sequential(
        conv_norm(2, 5, padding=1), nn.ReLU6(), nn.MaxPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(5 * 9, 7),
        nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3),
    )  # fmt: skip
    layers = check(model, (2, 6, 6))
    assert [type(layer) for layer in layers] == [FoldedConvolution, FoldedPool, FoldedConvolution, FoldedConvolution]
    assert layers[0].ceiling == 6
    assert tuple(layers[2].weight.shape) == (7, 5, 3, 3)
    assert layers[2].kind == "linear"


def test_average_pools_are_depthwise_convolutions() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(3, 2, padding=1), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
    layers = check(model, (2, 9, 9))
    assert [layer.kind for layer in layers] == ["convolution", "average_pool", "average_pool"]
    assert all(layer.exact and layer.groups == 4 for layer in layers[1:])


def test_relu_moves_before_a_max_pool() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.relu(functional.max_pool2d(self.norm(self.conv(x)), 3, 2, padding=1))

    layers = check(Pooled(), (2, 9, 9))
    assert len(layers) == 2
    assert layers[0].relu


class PreActivation(nn.Module):
    """Batch norm and ReLU before the convolution; the sum has two readers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm, self.conv = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stem(x)
        y = functional.relu(self.norm(x))
        z = self.conv(y) + x
        return z.mean((2, 3)), functional.relu(z)


def test_what_cannot_be_fused_becomes_a_pseudo_layer() -> None:
    layers = check(PreActivation(), (3, 6, 6))
    assert [layer.name for layer in layers] == ["stem", "norm", "conv", "mean", "relu_2"]
    assert [layer.exact for layer in layers] == [False, True, False, True, True]


class Sums(nn.Module):
    """Adds that no convolution can take: both operands have other readers, or are one map."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b = functional.relu(self.a(x)), functional.relu(self.b(x))
        total = a + b
        return functional.relu(total), functional.max_pool2d(total + total, 2), functional.avg_pool2d(a, 2)


def test_stand_alone_adds() -> None:
    layers = check(Sums(), (2, 8, 8))
    adds = [layer for layer in layers if layer.kind == "add"]
    assert len(adds) == 2
    assert adds[1].input == adds[1].residual == adds[0].output


class SharedThroughNeutralRelu(nn.Module):
    """ReLU of a map that is never negative is the map itself, whose other reader must not be forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(2, 2, 1), nn.AvgPool2d(2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = self.pool(x)
        return functional.relu(pooled) + self.conv(pooled).relu(), functional.max_pool2d(pooled, 2)


def test_neutral_relu_keeps_other_readers() -> None:
    check(SharedThroughNeutralRelu(), (2, 8, 8))


def test_depthwise_multiplier_same_padding_and_ceil_mode() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 6, 4, padding="same", groups=3), nn.BatchNorm2d(6, affine=False), nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(6, 6, (3, 1), stride=(2, 1), padding=(1, 0), groups=6),
    )  # fmt: skip
    layers = check(model, (3, 8, 8))
    assert (layers[0].padding.top, layers[0].padding.bottom) == (1, 2)
    assert (layers[1].padding.top, layers[1].padding.bottom) == (0, 1)


def test_module_used_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(functional.relu(self.conv(x)))

    layers = check(Twice(), (3, 5, 5))
    assert [layer.name for layer in layers] == ["conv", "conv_2"]

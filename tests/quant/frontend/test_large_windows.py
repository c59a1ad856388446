"""Pools over more rows or columns than a window has: the same function in two steps."""

import pytest
import torch
from torch import nn

from intramix.quant.frontend.capture import capture
from intramix.quant.frontend.fold import fold
from intramix.quant.frontend.folded import FoldedGraph
from intramix.quant.frontend.folded_execution import run_folded
from intramix.quant.frontend.large_windows import LARGEST_WINDOW


def kernels(graph: FoldedGraph) -> list[tuple[int, int]]:
    return [getattr(layer, "kernel", None) or tuple(layer.weight.shape[2:]) for layer in graph.layers]


@pytest.mark.parametrize("size", [(1, 300), (257, 3), (300, 290), (2, 1021)])
@pytest.mark.parametrize("pool", [nn.AdaptiveMaxPool2d(1), nn.AdaptiveAvgPool2d(1)])
@torch.no_grad()
def test_whole_maps(size: tuple[int, int], pool: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), pool).double().eval()
    images = torch.rand(2, 2, *size, dtype=torch.float64)
    graph = fold(capture(model, (2, *size)))
    assert max(max(kernel) for kernel in kernels(graph)) <= LARGEST_WINDOW
    torch.testing.assert_close(run_folded(graph, images)[graph.outputs[0]], model(images))


@torch.no_grad()
def test_whole_rows_alone() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.MaxPool2d((2, 400), (2, 1))).double().eval()
    images = torch.rand(1, 1, 6, 400, dtype=torch.float64)
    graph = fold(capture(model, (1, 6, 400)))
    assert kernels(graph)[1:] == [(2, 20), (1, 20)]
    torch.testing.assert_close(run_folded(graph, images)[graph.outputs[0]], model(images))


def test_windows_that_move_stay() -> None:
    graph = fold(capture(nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.MaxPool2d((1, 300), 1)), (1, 2, 310)))
    assert kernels(graph)[1:] == [(1, 300)]


@pytest.mark.parametrize("size", [(1, 300), (257, 2), (300, 260), (2, 600)])
@pytest.mark.parametrize("between", [nn.ReLU(), nn.Identity()])
@torch.no_grad()
def test_linear_layers_over_wide_maps(size: tuple[int, int], between: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), between, nn.Flatten(), nn.Linear(3 * size[0] * size[1], 4))
    images = torch.rand(2, 2, *size, dtype=torch.float64)
    graph = fold(capture(model.double().eval(), (2, *size)))
    assert max(max(kernel) for kernel in kernels(graph)) <= LARGEST_WINDOW
    torch.testing.assert_close(run_folded(graph, images)[graph.outputs[0]].flatten(1), model(images))


@torch.no_grad()
def test_two_linear_layers_over_a_map_have_one_that_is_spread() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.one, self.two = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 4, (1, 300)), nn.Linear(900, 5)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = torch.relu(self.conv(x))
            return self.one(x), self.two(x.flatten(1))

    graph = fold(capture(Two().eval(), (2, 1, 300)))
    assert [layer.name for layer in graph.layers] == ["conv", "conv.spread", "one", "two"]
    assert graph.sources["conv.spread"] == "conv"


@pytest.mark.parametrize("layer", [nn.Conv2d(4, 4, (1, 300), groups=4), nn.Conv2d(4, 4, (1, 290))])
def test_windows_that_are_not_spread_stay(layer: nn.Conv2d) -> None:
    graph = fold(capture(nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), layer), (1, 1, 300)))
    assert kernels(graph)[1:] == [tuple(layer.weight.shape[2:])]

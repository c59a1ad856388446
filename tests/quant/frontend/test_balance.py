"""Maps of unlike ranges side by side: brought to like ranges, and the function is the same."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from intramix.quant.frontend.balance import balance_concatenations
from intramix.quant.frontend.capture import capture
from intramix.quant.frontend.fold import fold
from intramix.quant.frontend.folded_execution import run_folded
from intramix.quant.quantize import prepare


class Branches(nn.Module):
    """relu(a), relu(k · b) side by side, and what `head` makes of them."""

    def __init__(self, k: float, head=None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 5, 1), nn.Conv2d(9, 6, 3)
        self.b.weight.data *= k
        self.b.bias.data *= k
        self.head = head or (lambda m, a, b: m.c(torch.cat([functional.relu(a), functional.relu(b)], 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self, self.a(x), self.b(x))


def balanced(model: nn.Module, images: torch.Tensor):
    graph = fold(capture(model.eval(), tuple(images.shape[1:])))
    values = run_folded(graph, images)
    factors = balance_concatenations(graph, {name: float(value.abs().max()) for name, value in values.items()})
    return graph, factors


HEADS = {
    "plain": (None, {"a"}),
    "pooled": (lambda m, a, b: m.c(functional.max_pool2d(torch.cat([a.relu(), b.relu()], 1), 2)), {"a"}),
    "pooled before": (
        lambda m, a, b: m.c(torch.cat([functional.max_pool2d(a.relu(), 3, 1, 1), b.relu()], 1)), {"a"},
    ),
    "signed": (lambda m, a, b: functional.conv2d(torch.cat([a, b], 1), m.c.weight, m.c.bias), {"a"}),
    "averaged": (lambda m, a, b: functional.avg_pool2d(torch.cat([a.relu(), b.relu()], 1), 2), {"a"}),
    "an output": (lambda m, a, b: torch.cat([a.relu(), b.relu()], 1), set()),
    "a ReLU6": (lambda m, a, b: m.c(torch.cat([functional.relu6(a), functional.relu6(b)], 1)), set()),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
@torch.no_grad()
def test_the_function_is_the_same(name: str) -> None:
    head, multiplied = HEADS[name]
    model, images = Branches(10.0, head).double(), torch.rand(4, 3, 8, 8, dtype=torch.float64)
    graph, factors = balanced(model, images)
    assert set(factors) == multiplied
    torch.testing.assert_close(run_folded(graph, images)[graph.outputs[0]], model(images))


@torch.no_grad()
def test_a_map_that_the_model_returns_is_left() -> None:
    def head(m, a, b):
        a = functional.relu(a)
        return m.c(torch.cat([a, functional.relu(b)], 1)), a

    _, factors = balanced(Branches(10.0, head), torch.rand(2, 3, 8, 8))
    assert factors == {}


@torch.no_grad()
def test_weights_that_make_up_for_the_range_take_it_whole() -> None:
    model = Branches(50.0).double()
    model.c.weight.data[:, :4] *= 1000
    images = torch.rand(4, 3, 8, 8, dtype=torch.float64)
    graph, factors = balanced(model, images)
    values = run_folded(graph, images)
    first, second = (float(values[name].max()) for name in ("a", "b"))
    assert math.isclose(first, second)
    assert factors["a"] > 30


@pytest.mark.parametrize("k", [10.0, 100.0])
def test_a_small_branch_keeps_codes(k: float) -> None:
    """Of the 31 codes above 0 of a shared scale it had 4 (k = 10) and 1 (k = 100)."""
    images = torch.rand(32, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    network = prepare(Branches(k), images)
    codes = network.codes(images[:8])["a"]
    assert codes.max() >= (10 if k == 10 else 3)

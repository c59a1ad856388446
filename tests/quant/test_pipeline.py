"""Random modules all the way: capture and folding are exact, the integer graph follows fake quantization."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.assignment.methods import assign
from intramix.quant.frontend.capture import capture
from intramix.quant.frontend.fold import fold
from intramix.quant.frontend.folded_execution import run_folded
from intramix.quant.graph.graph import Convolution
from intramix.quant.network.export import agreement, align_scales, export
from intramix.quant.quantize import prepare

pytestmark = pytest.mark.slow

SHAPE = (2, 8, 8)


class Random(nn.Module):
    """A random graph of the operators that can be captured; its plan is drawn once, from a seed.

    Every value may be read several times, so that all kinds of fusion and of failure to fuse occur. Convolutions pad
    only maps that are never negative.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        random = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.layers = nn.ModuleList()
        self.plan: list[tuple[str, int, int]] = []
        shapes, signs = [SHAPE], [False]

        def append(kind: str, sources: tuple[int, int], layer: nn.Module | None, signed: bool) -> None:
            self.plan.append((kind, *sources))
            self.layers.append(layer or nn.Identity())
            with torch.no_grad():
                values = [torch.zeros(1, *shapes[source]) for source in sources]
                shapes.append(tuple(self._compute(kind, self.layers[-1].eval(), *values).shape[1:]))
            signs.append(signed)

        for _ in range(random.integers(5, 10)):
            source = int(random.integers(max(0, len(shapes) - 3), len(shapes)))
            (channels, height, _), signed = shapes[source], signs[source]
            pairs = [k for k in range(len(shapes)) if shapes[k] == shapes[source]]
            other = int(random.choice(pairs))
            kind = random.choice(["conv", "depthwise", "norm", "relu", "add", "add", "max", "average"])
            if kind in ("conv", "depthwise"):
                kernel = int(random.integers(1, min(3, height) + 1))
                outputs = channels * int(random.integers(1, 3)) if kind == "depthwise" else int(random.integers(2, 7))
                layer: nn.Module = nn.Conv2d(
                    channels, min(outputs, 12) if kind == "conv" else channels if outputs > 12 else outputs, kernel,
                    stride=int(random.integers(1, 3)) if height > 4 else 1, padding=0 if signed else kernel // 2,
                    groups=channels if kind == "depthwise" else 1, bias=bool(random.integers(2)),
                )  # fmt: skip
                append("layer", (source, source), layer, True)
            elif kind == "norm":
                layer = nn.BatchNorm2d(channels)
                layer.running_mean.uniform_(-0.5, 0.5)
                layer.running_var.uniform_(0.3, 2)
                nn.init.normal_(layer.weight)
                nn.init.normal_(layer.bias)
                append("layer", (source, source), layer, True)
            elif kind == "relu":
                inplace = source > 0 and bool(random.integers(2))
                append("layer", (source, source), random.choice([nn.ReLU, nn.ReLU6])(inplace=inplace), False)
                signs[source] = signed and not inplace
            elif kind == "add":
                append("add", (source, other), None, signed or signs[other])
            elif height >= 2:
                pool = nn.MaxPool2d(2, ceil_mode=bool(random.integers(2))) if kind == "max" else nn.AvgPool2d(2, 1)
                append("layer", (source, source), pool, signed)
        append("layer", (len(shapes) - 1, len(shapes) - 1), nn.Conv2d(shapes[-1][0], 4, 1), True)

    @staticmethod
    def _compute(kind: str, layer: nn.Module, left: Tensor, right: Tensor) -> Tensor:
        return left + right if kind == "add" else layer(left)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        values = [x]
        for (kind, left, right), layer in zip(self.plan, self.layers):
            values.append(self._compute(kind, layer, values[left], values[right]))
        return values[-1], functional.relu(values[-2].mean((2, 3)))


@pytest.mark.parametrize("seed", range(12))
def test_random_module(seed: int) -> None:
    model = Random(seed).eval()
    images = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(seed))
    exact = copy.deepcopy(model).double()
    graph = fold(capture(exact, SHAPE))
    tensors = run_folded(graph, images.double())
    with torch.no_grad():
        expected = exact(images.double())
    for name, value in zip(graph.outputs, expected):
        torch.testing.assert_close(tensors[name].reshape(value.shape), value, rtol=1e-9, atol=1e-9)

    network = prepare(model, images)
    network.set_formats(assign(network, LaneMix(1, 2, 2), method="output-error", images=images))
    align_scales(network)
    integer = export(network)
    report = agreement(network, integer, images)
    assert all(entry.differing < 0.05 and entry.far < 0.01 for entry in report), report
    # Channels that meet share a format, at the level of the integer graph.
    for layer in integer.layers:
        if isinstance(layer, Convolution):
            meeting = [layer.input] if layer.groups == len(layer.weight) > 1 else []
            meeting += [layer.residual] if layer.residual is not None else []
            for producer in map(integer.producer, meeting):
                if isinstance(producer, Convolution):
                    assert producer.formats == layer.formats, (layer.name, producer.name)

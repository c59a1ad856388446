"""Models with signed maps that they pad, among them those that normalise their images in ways that no layer takes over:
from PyTorch to a program, every code the integer model's, and that near the float model."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from intramix.compiler.compile import compile_graph
from intramix.compiler.interpreter.interpret import run_codes
from intramix.quant.graph.executor import execute
from intramix.quant.network.export import align_scales, export, image_codes
from intramix.quant.quantize import prepare
from tests.support.geometries import SMALL

pytestmark = pytest.mark.slow

MEANS = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
GEOMETRY = dataclasses.replace(SMALL["plain"], depthwise_channels=8)


class Normalising(nn.Module):
    """Normalises its image, which several layers then read."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)

    def normalised(self, image: Tensor) -> Tensor:
        return (image - MEANS) / 0.25

    def forward(self, image: Tensor) -> Tensor:
        raise NotImplementedError


class TwoStrides(Normalising):
    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 6, 3, stride=2, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.normalised(image)
        return functional.avg_pool2d(functional.relu(self.a(x)), 2) + self.c(x)


class Depthwise(Normalising):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 6, 3, padding=1, groups=3)

    def forward(self, image: Tensor) -> Tensor:
        return self.b(functional.relu(self.a(self.normalised(image))))


class Concatenated(Normalising):
    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Conv2d(9, 4, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.normalised(image)
        return self.b(torch.cat([self.a(x), x], 1))


class MeanOutside(Normalising):
    """No code of the image is where the normalised image is 0."""

    def forward(self, image: Tensor) -> Tensor:
        return self.b(self.a(image + 1))


class InnerNorms(Normalising):
    """A batch norm of a sum, which no convolution takes over, a sum of it and one with a constant; all are padded."""

    def __init__(self) -> None:
        super().__init__()
        self.n, self.d = nn.BatchNorm2d(6), nn.Conv2d(6, 6, 5, padding=2, groups=6)

    def forward(self, image: Tensor) -> Tensor:
        x = self.a(image)
        y = self.n(x + self.b(x))
        return self.b(y + x) + self.d(y - 0.3)


MODELS = (TwoStrides, Depthwise, Concatenated, MeanOutside, InnerNorms)


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("bits", [5, 8])
def test_it_compiles_and_is_right(kind: type[Normalising], bits: int) -> None:
    torch.manual_seed(3)
    model = kind().eval()
    images = torch.rand(16, 3, 8, 10, generator=torch.Generator().manual_seed(1))
    network = prepare(model, images, activation_bits=bits)
    align_scales(network)
    graph = export(network)
    padded = [graph.tensors[layer.input] for layer in network.graph.convolutions if layer.padding]
    assert any(tensor.zero_point and tensor.name != graph.input for tensor in padded)
    program = compile_graph(graph, GEOMETRY)
    assert program.fills
    codes = image_codes(images[:2])
    for image, values in zip(codes, model(images[:2]).detach().numpy()):
        expected, found = execute(graph, image), run_codes(program, image)
        for name, stored in found.items():
            np.testing.assert_array_equal(stored, expected[name], err_msg=name)
        tensor = graph.tensors[graph.outputs[0]]
        error = tensor.scale * (expected[tensor.name].astype(int) - tensor.zero_point) - values
        assert 10 * np.log10((values**2).sum() / (error**2).sum()) > (22 if bits == 5 else 32)

"""A linear layer over a map of more columns than a window has: columns go into channels, the map keeps its codes, and
the program computes every code of the integer model."""

import numpy as np
import pytest
import torch
from torch import nn

from intramix.compiler.compile import compile_graph
from intramix.compiler.interpreter.interpret import run_codes
from intramix.quant.graph.executor import execute
from intramix.quant.network.export import align_scales, export, image_codes
from intramix.quant.quantize import prepare
from tests.support.geometries import SMALL


@pytest.mark.parametrize("name", ["plain", "one-lane", "wide-tile"])  # the others' lanes are too small, or have no more
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("between", [nn.ReLU(), nn.Identity()])
def test_it_keeps_codes_and_compiles(between: nn.Module, bits: int, name: str) -> None:
    """An odd number of columns is padded, a signed map with its zero point; 8 bits are two digits."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 2, (1, 3), padding=(0, 1)), between, nn.Flatten(), nn.Linear(2 * 257, 4)).eval()
    images = torch.rand(12, 2, 1, 257, generator=torch.Generator().manual_seed(1))
    network = prepare(model, images, activation_bits=bits)
    align_scales(network)
    graph = export(network)
    wide, spread = graph.tensors["0"], graph.tensors["0.spread"]
    assert (wide.scale, wide.zero_point, wide.bits) == (spread.scale, spread.zero_point, spread.bits)
    assert bool(wide.zero_point) is isinstance(between, nn.Identity)
    program = compile_graph(graph, SMALL[name])
    codes = image_codes(images[:2])
    for image, values in zip(codes, model(images[:2]).detach().numpy()):
        expected, found = execute(graph, image), run_codes(program, image)
        for name, stored in found.items():
            np.testing.assert_array_equal(stored, expected[name], err_msg=name)
        padded = np.full((2, 1, 258), wide.zero_point)
        padded[..., :257] = expected["0"]
        for column in range(2):
            np.testing.assert_array_equal(expected["0.spread"][column::2], padded[..., column::2])
        tensor = graph.tensors[graph.outputs[0]]
        error = tensor.scale * (expected[tensor.name].astype(int).flatten() - tensor.zero_point) - values
        assert 10 * np.log10((values**2).sum() / (error**2).sum()) > 15

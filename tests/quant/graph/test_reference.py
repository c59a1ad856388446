"""The PyTorch reference and the NumPy executor agree on every code of every tensor."""

import numpy as np
import pytest
import torch

from intramix.quant.graph.executor import execute
from intramix.quant.graph.formats import POT_4
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph, single_convolution
from intramix.quant.graph.reference import ReferenceNetwork


def assert_equal(graph, images=3):
    codes = random_codes(graph, 77, images)
    executed = execute(graph, codes)
    referred = ReferenceNetwork(graph)(torch.from_numpy(codes))
    assert set(executed) == set(referred) == set(graph.tensors)
    for name, values in referred.items():
        np.testing.assert_array_equal(executed[name], values.numpy(), err_msg=name)


@pytest.mark.parametrize("seed", range(8))
def test_random_networks(seed):
    assert_equal(random_graph(seed, blocks=12, wide_share=0.2))


@pytest.mark.parametrize("seed", [0, 4, 6, 7])
def test_random_networks_padded_with_other_codes_than_zero(seed):
    graph = random_graph(seed, blocks=12, wide_share=0.2, signed_padding=True, border=True)
    padded = [layer.input for layer in graph.layers if getattr(layer, "padding", None)]
    assert any(graph.tensors[name].zero_point for name in padded)
    assert_equal(graph)


def test_random_network_of_narrow_formats_and_powers_of_two():
    assert_equal(random_graph(100, blocks=12, mix=FormatMix(2, 3, 4, POT_4, narrow=True), activation_bits=4))


@pytest.mark.parametrize("residual_bits", [None, 5, 8])
@pytest.mark.parametrize("depthwise", [False, True])
def test_single_convolutions(depthwise, residual_bits):
    assert_equal(
        single_convolution(
            5,
            channels=6,
            filters=12,
            size=(7, 9),
            kernel=(3, 2),
            stride=(2, 1),
            padding=Padding(1, 0, 2, 1),
            depthwise=depthwise,
            residual_bits=residual_bits,
            input_bits=8,
        )
    )

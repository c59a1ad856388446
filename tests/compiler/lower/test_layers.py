"""Lowering: what a layer of each type is for the machine."""

import numpy as np
import pytest

from intramix.compiler.errors import CompileError
from intramix.compiler.lower.layers import LOWERINGS, lower
from intramix.platforms.boards import board
from intramix.quant.graph.graph import Concatenation, IntegerGraph, MaxPool, Padding, TensorType
from intramix.quant.graph.layers import LAYER_TYPES
from intramix.quant.graph.random_graph import single_convolution

GEOMETRY = board("small").geometry


def test_every_type_that_computes_has_a_lowering():
    assert set(LOWERINGS) == set(LAYER_TYPES) - {Concatenation}


def test_convolution():
    graph = single_convolution(1, stride=(2, 1), padding=Padding(1, 0, 1, 2), residual_bits=8)
    layers, fold = lower(graph, GEOMETRY, 3)
    assert fold is None
    layer = layers[1]
    assert (layer.name, layer.number, layer.images) == ("convolution", 1, 3)
    assert (layer.kernel, layer.stride, layer.pad_top, layer.pad_left) == ((3, 3), (2, 1), 1, 0)
    assert layer.residual == graph.tensors[layers[0].target.name]
    assert np.array_equal(layer.weight, graph.layers[1].weight)


def pool(bits):
    tensors = {"x": TensorType("x", 8, 6, 6, bits), "y": TensorType("y", 8, 3, 3, bits)}
    return IntegerGraph("pool", tensors, (MaxPool("p", "x", "y", (3, 3), (2, 2), Padding(1, 1)),), "x", ("y",))


def test_max_pool():
    ((layer,), _) = lower(pool(5), GEOMETRY)
    assert layer.weight is None
    assert layer.residual is None
    assert (layer.kernel, layer.stride, layer.pad_top, layer.pad_left) == ((3, 3), (2, 2), 1, 1)


def test_max_pool_of_two_digits_is_refused():
    with pytest.raises(CompileError, match=r"layer 'p'.*max pool of 8-bit codes.*activation_bits = 5"):
        lower(pool(8), GEOMETRY)

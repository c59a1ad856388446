"""A border laid around the image beforehand: a graph that pads nothing with it, and computes the same."""

import dataclasses

import numpy as np
import pytest

from intramix.quant.graph.border import laid_border, lay_border
from intramix.quant.graph.executor import execute
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import random_codes, random_graph, single_convolution


def assert_same(graph):
    laid, codes = laid_border(graph), random_codes(graph, 5, 2)
    around = lay_border(graph, codes)
    expected, found = execute(graph, codes), execute(laid, around)
    assert laid.tensors[laid.input].border == ()
    assert not any(layer.padding for layer in laid.consumers(laid.input))
    for name in graph.outputs:
        np.testing.assert_array_equal(found[name], expected[name])
    return laid


@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (4, 4)])
@pytest.mark.parametrize("padding", [Padding(), Padding(1, 1, 1, 1), Padding(0, 2, 3, 1), Padding(2, 0, 0, 0)])
def test_a_convolution(stride, padding):
    graph = single_convolution(
        1, channels=3, size=(9, 8), stride=stride, padding=padding, input_bits=8, border=(9, 250, 0)
    )
    assert_same(graph)


def test_a_network():
    assert_same(random_graph(2, border=True))


def test_windows_of_several_sizes():
    graph = single_convolution(
        3, channels=3, size=(9, 8), kernel=(5, 5), stride=(2, 2), padding=Padding(2, 2, 2, 2), border=(1, 2, 3)
    )
    (wide,) = graph.layers
    narrow = dataclasses.replace(
        wide, name="narrow", output="narrow", padding=Padding(1, 0, 1, 0), weight=wide.weight[:, :, 1:4, 2:3]
    )
    tensors = graph.tensors | {"narrow": dataclasses.replace(graph.tensors[wide.output], name="narrow")}
    both = dataclasses.replace(graph, layers=(narrow, wide), tensors=tensors, outputs=(wide.output, "narrow"))
    laid = assert_same(both)
    assert {layer.kernel for layer in laid.layers} == {(5, 5)}


def test_without_a_border_nothing_changes():
    graph = random_graph(4)
    codes = random_codes(graph, 5, 2)
    assert laid_border(graph) is graph
    assert lay_border(graph, codes) is codes

"""Random graphs are reproducible, cover what they promise, and keep channels joint and codes alive."""

import numpy as np
import pytest

from intramix.quant.graph.executor import execute
from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4
from intramix.quant.graph.graph import Concatenation, Convolution, GraphError, MaxPool, Padding
from intramix.quant.graph.random_graph import KINDS, FormatMix, random_codes, random_graph, single_convolution


def convolutions(graph):
    return [layer for layer in graph.layers if isinstance(layer, Convolution)]


def test_equal_seeds_make_equal_graphs():
    one, other = random_graph(5), random_graph(5)
    assert one.tensors == other.tensors
    for left, right in zip(convolutions(one), convolutions(other), strict=True):
        np.testing.assert_array_equal(left.weight, right.weight)
        np.testing.assert_array_equal(left.bias, right.bias)
    assert random_graph(6).tensors != one.tensors


def test_every_kind_alone_makes_a_network():
    for kind in KINDS:
        graph = random_graph(3, kinds=(kind,), blocks=2)
        codes = execute(graph, random_codes(graph, 1))
        assert codes[graph.outputs[0]].shape == graph.tensors[graph.outputs[0]].shape


def test_large_graphs_have_every_kind_of_layer():
    graphs = [random_graph(seed, blocks=12) for seed in (1, 2)]
    layers = [layer for graph in graphs for layer in convolutions(graph)]
    assert {layer.kind for layer in layers} == {"convolution", "add", "average_pool", "linear"}
    assert any(isinstance(layer, MaxPool) for graph in graphs for layer in graph.layers)
    assert all(any(isinstance(layer, Concatenation) for layer in graph.layers) for graph in graphs)
    assert any(layer.depthwise and layer.kind == "convolution" for layer in layers)
    assert any(layer.kernel == (5, 5) for layer in layers)
    assert any(layer.stride == (2, 2) for layer in layers)
    assert any(
        layer.padding.top != layer.padding.bottom or layer.padding.left != layer.padding.right for layer in layers
    )
    residuals = [graph.tensors[layer.residual] for graph in graphs for layer in convolutions(graph) if layer.residual]
    assert {tensor.bits for tensor in residuals} == {5, 8}
    assert any(tensor.zero_point for tensor in residuals)
    assert all(graph.tensors[graph.input].bits == 8 for graph in graphs)


@pytest.mark.parametrize("seed", range(6))
def test_codes_use_their_range(seed):
    graph = random_graph(seed, blocks=12, size=(24, 20))
    codes = execute(graph, random_codes(graph, 50 + seed, 4))
    for layer in convolutions(graph):
        values, maximum = codes[layer.output], graph.tensors[layer.output].maximum
        ends = ((values == 0) | (values == maximum)).mean()
        assert ends < 0.7, layer.name
        if values.size > 2000:
            assert values.max() > 0.6 * maximum, layer.name


def test_some_multipliers_are_negative_and_some_filters_clip():
    multipliers, clipped = [], 0
    for seed in range(4):
        graph = random_graph(seed)
        codes = execute(graph, random_codes(graph, seed))
        for layer in convolutions(graph):
            multipliers.extend(layer.multiplier)
            ends = np.isin(codes[layer.output], (0, graph.tensors[layer.output].maximum)).mean(axis=(1, 2))
            clipped += np.count_nonzero(ends > 0.9)
    assert 0.02 < np.mean(np.array(multipliers) < 0) < 0.3
    assert clipped > 0


CLASSES = {FIXED8: 0, FIXED4: 1, SP2_4: 2}


@pytest.mark.parametrize("seed", range(6))
def test_channels_that_meet_share_a_class(seed):
    graph = random_graph(seed, blocks=12)
    classes = {}
    for layer in graph.layers:
        if isinstance(layer, MaxPool):
            classes[layer.output] = classes[layer.input]
            continue
        if isinstance(layer, Concatenation):
            classes[layer.output] = [kind for name in layer.inputs for kind in classes[name]]
            continue
        own = classes[layer.output] = [CLASSES[kind] for kind in layer.formats]
        if layer.residual is not None:
            assert classes[layer.residual] == own
        if layer.depthwise and layer.input != graph.input:
            assert classes[layer.input] == own


def test_mix_counts_follow_the_lanes():
    layer = convolutions(single_convolution(1, filters=64, mix=FormatMix(2, 8, 22, POT_4)))[0]
    assert [layer.formats.count(kind) for kind in (FIXED8, FIXED4, POT_4)] == [4, 16, 44]
    with pytest.raises(ValueError, match="shares of at least 0, not all 0"):
        FormatMix(0, 0, 0)


def test_narrow_formats():
    layer = convolutions(single_convolution(1, filters=64, mix=FormatMix(1, 1, 0, narrow=True)))[0]
    assert {kind.bits for kind in layer.formats} == set(range(2, 9))


def test_bits_follow_the_options():
    graph = random_graph(4, blocks=12, activation_bits=4, input_bits=4, output_bits=6, wide_share=0.5)
    hidden = {graph.tensors[layer.output].bits for layer in convolutions(graph)[:-1]}
    assert hidden == {4, 8}
    assert graph.tensors[graph.input].bits == 4
    assert graph.tensors[graph.outputs[0]].bits == 6


def test_single_convolution_has_the_shape_asked_for():
    padding = Padding(1, 0, 0, 1)
    shape = {"channels": 3, "filters": 6, "size": (9, 7), "kernel": (3, 2), "stride": (2, 1), "padding": padding}
    graph = single_convolution(2, **shape, depthwise=True, residual_bits=8, output_bits=4)
    shortcut, layer = graph.layers
    assert (layer.groups, layer.kernel, layer.stride, layer.padding) == (3, (3, 2), (2, 1), padding)
    assert layer.residual == shortcut.output
    assert graph.tensors[shortcut.output].bits == 8
    assert graph.tensors[layer.output].shape == (6, 4, 7)
    assert graph.tensors[layer.output].bits == 4


def test_impossible_requests_are_refused():
    with pytest.raises(ValueError, match="kind 'lstm' is unknown; the kinds are stem"):
        random_graph(1, kinds=("lstm",))
    with pytest.raises(ValueError, match="needs at least one layer"):
        random_graph(1, kinds=())
    with pytest.raises(GraphError, match="kernel 3×3 is larger than the padded map"):
        single_convolution(1, size=(2, 2))

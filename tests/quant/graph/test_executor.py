"""The executor: max pools against loops over Python integers, batches, what is kept, and what is refused."""

import dataclasses
import itertools

import numpy as np
import pytest

from intramix.quant.graph.executor import execute
from intramix.quant.graph.graph import IntegerGraph, MaxPool, Padding, TensorType
from intramix.quant.graph.random_graph import random_codes, random_graph, single_convolution


def test_max_pool_with_padding_on_every_side():
    codes = np.random.default_rng(5).integers(0, 32, (2, 5, 6), np.uint8)
    tensor = TensorType("x", 2, 5, 6, 5, zero_point=3)
    pool = MaxPool("p", "x", "y", (3, 2), (2, 2), Padding(1, 0, 1, 2))
    graph = IntegerGraph(
        "g", {"x": tensor, "y": dataclasses.replace(tensor, name="y", height=3, width=4)}, (pool,), "x", ("y",)
    )
    found = execute(graph, codes)["y"]
    for c, y, x in itertools.product(range(2), range(3), range(4)):
        window = [
            int(codes[c, row, column])
            for row in range(2 * y - 1, 2 * y + 2)
            for column in range(2 * x, 2 * x + 2)
            if 0 <= row < 5 and 0 <= column < 6
        ]
        assert found[c, y, x] == max(window, default=0)


def test_one_image_equals_its_place_in_a_batch():
    graph = random_graph(8, blocks=12)
    codes = random_codes(graph, 9, 3)
    batch = execute(graph, codes)
    for index, image in enumerate(codes):
        single = execute(graph, image)
        for name, values in single.items():
            assert values.dtype == np.uint8
            assert values.shape == graph.tensors[name].shape
            np.testing.assert_array_equal(values, batch[name][index])


def test_keep_returns_only_what_is_wanted():
    graph = random_graph(8)
    codes = random_codes(graph, 9)
    everything = execute(graph, codes)
    kept = execute(graph, codes, keep=graph.outputs)
    assert list(kept) == list(graph.outputs)
    np.testing.assert_array_equal(kept[graph.outputs[0]], everything[graph.outputs[0]])
    with pytest.raises(ValueError, match="has no tensor 'nothing' to keep"):
        execute(graph, codes, keep=["nothing"])


def test_an_empty_batch_is_legal():
    graph = single_convolution(1)
    assert execute(graph, random_codes(graph, 1, 0))[graph.outputs[0]].shape == (0, 8, 4, 4)


def test_wrong_codes_are_refused():
    graph = single_convolution(1)
    with pytest.raises(TypeError, match="'image' must be a NumPy array of integers, not float64"):
        execute(graph, np.zeros((8, 6, 6)))
    with pytest.raises(TypeError, match="not list"):
        execute(graph, [1])
    with pytest.raises(ValueError, match=r"must have shape \(8, 6, 6\)"):
        execute(graph, np.zeros((6, 6), np.uint8))
    with pytest.raises(ValueError, match=r"must be 0 … 31, not 0 … 32"):
        execute(graph, np.eye(6, dtype=np.uint8)[None].repeat(8, 0) * 32)
    with pytest.raises(ValueError, match=r"must be 0 … 31, not -1 … 0"):
        execute(graph, -np.eye(6, dtype=np.int8)[None].repeat(8, 0))

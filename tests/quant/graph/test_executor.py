"""The executor against loops over Python integers, and its proven bounds against exhaustion."""

import dataclasses
import itertools

import numpy as np
import pytest

from intramix.quant.graph.executor import accumulate, accumulator_bound, accumulator_interval, execute, requantize
from intramix.quant.graph.formats import FIXED8
from intramix.quant.graph.graph import Convolution, IntegerGraph, MaxPool, Padding, TensorType
from intramix.quant.graph.random_graph import random_codes, random_graph, single_convolution


def convolution(weight, **fields):
    weight = np.asarray(weight, np.int64)
    filters = len(weight)
    given = {
        "multiplier": np.ones(filters, np.int64),
        "bias": np.zeros(filters, np.int64),
        "shift": 0,
        "formats": (FIXED8,) * filters,
    }
    return Convolution("c", "x", "y", weight, **(given | fields))


def loops(layer, codes):
    """Accumulators of one image by the definition, in Python integers."""
    padding = layer.padding
    height, width = codes.shape[1:]
    filters, depth, kernel_y, kernel_x = layer.weight.shape
    rows = (height + padding.top + padding.bottom - kernel_y) // layer.stride[0] + 1
    columns = (width + padding.left + padding.right - kernel_x) // layer.stride[1] + 1
    sums = np.zeros((filters, rows, columns), np.int64)
    for f, y, x in itertools.product(range(filters), range(rows), range(columns)):
        first = (f // (filters // layer.groups)) * depth
        for c, ky, kx in itertools.product(range(depth), range(kernel_y), range(kernel_x)):
            row, column = y * layer.stride[0] + ky - padding.top, x * layer.stride[1] + kx - padding.left
            if 0 <= row < height and 0 <= column < width:
                sums[f, y, x] += int(layer.weight[f, c, ky, kx]) * int(codes[first + c, row, column])
    return sums


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("padding", [Padding(), Padding(1, 0, 2, 1), Padding(0, 2, 0, 0)])
def test_accumulate_follows_the_definition(groups, stride, padding):
    rng = np.random.default_rng(1)
    weight = rng.integers(-127, 128, (8, 4 // groups, 3, 2))
    layer = convolution(weight, groups=groups, stride=stride, padding=padding)
    codes = rng.integers(0, 256, (2, 4, 6, 5), np.uint8)
    expected = np.stack([loops(layer, image) for image in codes])
    np.testing.assert_array_equal(accumulate(layer, codes, 255), expected)


@pytest.mark.parametrize("magnitude", [1 << 6, 1 << 20, 1 << 48])
@pytest.mark.parametrize("groups", [1, 3])
def test_accumulate_is_exact_beyond_float32_and_float64(magnitude, groups):
    rng = np.random.default_rng(2)
    weight = rng.integers(-magnitude, magnitude + 1, (3, 3 // groups, 3, 3)) | 1
    layer = convolution(weight, groups=groups)
    codes = rng.integers(0, 256, (1, 3, 4, 4), np.uint8) | 1
    np.testing.assert_array_equal(accumulate(layer, codes, 255)[0], loops(layer, codes[0]))


def test_many_images_are_cut_in_pieces_with_equal_results(monkeypatch):
    graph = random_graph(3)
    codes = random_codes(graph, 4, 5)
    whole = execute(graph, codes)
    monkeypatch.setattr("intramix.quant.graph.executor._WINDOW_BYTES", 1)
    pieces = execute(graph, codes)
    for name in graph.tensors:
        np.testing.assert_array_equal(whole[name], pieces[name])


def test_accumulator_interval_is_reached_and_not_passed():
    weight = np.array([[[[3]], [[-2]], [[1]]], [[[-1]], [[-4]], [[0]]]], np.int64)
    layer = convolution(weight)
    sums = np.array([weight[:, :, 0, 0] @ codes for codes in itertools.product(range(4), repeat=3)])
    low, high = accumulator_interval(layer, 3)
    assert low.tolist() == sums.min(axis=0).tolist() == [-6, -15]
    assert high.tolist() == sums.max(axis=0).tolist() == [12, 0]
    assert accumulator_bound(layer, 3).tolist() == np.abs(sums).max(axis=0).tolist() == [12, 15]


@pytest.mark.parametrize("shift", [0, 1, 7, 47])
def test_requantize_rounds_half_up_and_clips(shift):
    rng = np.random.default_rng(shift)
    sums = rng.integers(-(1 << 24), 1 << 24, (1, 2, 50, 1))
    residual = rng.integers(0, 256, sums.shape, np.uint8)
    multiplier, bias = np.array([-131072, 131071]), rng.integers(-(1 << 43) + 1, (1 << 43) - (1 << 46 >> 3), 2)
    if shift < 40:
        multiplier, bias = rng.integers(-(1 << shift) >> 4, (1 << shift >> 4) + 2, 2), bias >> 30
    found = requantize(sums, multiplier, bias, shift, 31, residual=residual, residual_multiplier=-77)
    for place in np.ndindex(sums.shape):
        total = int(sums[place]) * int(multiplier[place[1]]) + int(residual[place]) * -77 + int(bias[place[1]])
        # floor(total / 2^shift + 1/2), in integers
        expected = min(max((2 * total + (1 << shift)) // (1 << (shift + 1)), 0), 31)
        assert found[place] == expected


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

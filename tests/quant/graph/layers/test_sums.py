"""A convolution's sums against loops over Python integers, and their proven bounds against exhaustion."""

import itertools

import numpy as np
import pytest

from intramix.quant.graph.executor import execute
from intramix.quant.graph.formats import FIXED8
from intramix.quant.graph.graph import Convolution, Padding, TensorType
from intramix.quant.graph.layers.sums import accumulator_bound, accumulator_interval
from intramix.quant.graph.random_graph import random_codes, random_graph


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


def loops(layer, codes, around):
    """Accumulators of one image by the definition, in Python integers; `around`: codes outside of it, one a channel."""
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
            inside = 0 <= row < height and 0 <= column < width
            code = codes[first + c, row, column] if inside else around[first + c]
            sums[f, y, x] += int(layer.weight[f, c, ky, kx]) * int(code)
    return sums


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("padding", [Padding(), Padding(1, 0, 2, 1), Padding(0, 2, 0, 0)])
@pytest.mark.parametrize(
    ("around", "fields"),
    [([0, 0, 0, 0], {}), ([7, 7, 7, 7], {"zero_point": 7}), ([1, 255, 0, 9], {"border": (1, 255, 0, 9)})],
)
def test_accumulate_follows_the_definition(groups, stride, padding, around, fields):
    rng = np.random.default_rng(1)
    weight = rng.integers(-127, 128, (8, 4 // groups, 3, 2))
    layer = convolution(weight, groups=groups, stride=stride, padding=padding)
    codes = rng.integers(0, 256, (2, 4, 6, 5), np.uint8)
    expected = np.stack([loops(layer, image, around) for image in codes])
    found = layer.accumulate(codes, TensorType("x", 4, 6, 5, 8, **fields))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("magnitude", [1 << 6, 1 << 20, 1 << 48])
@pytest.mark.parametrize("groups", [1, 3])
def test_accumulate_is_exact_beyond_float32_and_float64(magnitude, groups):
    rng = np.random.default_rng(2)
    weight = rng.integers(-magnitude, magnitude + 1, (3, 3 // groups, 3, 3)) | 1
    layer = convolution(weight, groups=groups)
    codes = rng.integers(0, 256, (1, 3, 4, 4), np.uint8) | 1
    found = layer.accumulate(codes, TensorType("x", 3, 4, 4, 8))
    np.testing.assert_array_equal(found[0], loops(layer, codes[0], [0, 0, 0]))


def test_many_images_are_cut_in_pieces_with_equal_results(monkeypatch):
    graph = random_graph(3)
    codes = random_codes(graph, 4, 5)
    whole = execute(graph, codes)
    monkeypatch.setattr("intramix.quant.graph.layers.sums._WINDOW_BYTES", 1)
    pieces = execute(graph, codes)
    for name in graph.tensors:
        np.testing.assert_array_equal(whole[name], pieces[name])


def test_accumulator_interval_is_reached_and_not_passed():
    weight = np.array([[[[3]], [[-2]], [[1]]], [[[-1]], [[-4]], [[0]]]], np.int64)
    sums = np.array([weight[:, :, 0, 0] @ codes for codes in itertools.product(range(4), repeat=3)])
    low, high = accumulator_interval(weight, 3)
    assert low.tolist() == sums.min(axis=0).tolist() == [-6, -15]
    assert high.tolist() == sums.max(axis=0).tolist() == [12, 0]
    assert accumulator_bound(weight, 3).tolist() == np.abs(sums).max(axis=0).tolist() == [12, 15]

"""Space-to-depth against torch's strided convolution."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intramix.compiler.layout import MapLayout
from intramix.compiler.stem import fold_factor, fold_weight
from intramix.hdl.geometry import Geometry
from intramix.quant.graph import Padding
from intramix.quant.random_graph import random_graph, single_convolution

GEOMETRY = Geometry(word_channels=16, pixel_lanes=2, fixed8_lanes=2, fixed4_lanes=14, lut_lanes=0)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_folded_convolution_is_the_strided_one(data):
    factor, channels, kernel_y, kernel_x = (data.draw(st.integers(*span)) for span in ((2, 4), (1, 4), (1, 7), (1, 7)))
    top, left, bottom, right = (data.draw(st.integers(0, 4)) for _ in range(4))
    height, width = (data.draw(st.integers(kernel, 13)) for kernel in (kernel_y, kernel_x))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    image = rng.integers(0, 256, (channels, height, width))
    weight = rng.integers(-127, 128, (3, channels, kernel_y, kernel_x))
    padded = torch.nn.functional.pad(torch.tensor(image, dtype=torch.float64), (left, right, top, bottom))
    expected = torch.nn.functional.conv2d(padded, torch.tensor(weight, dtype=torch.float64), stride=factor).numpy()

    # The folded map as the host packs it, with the layout's own code.
    positions = channels * factor**2
    order = np.full(-(-positions // 8) * 8, -1)
    order[:positions] = np.arange(positions)
    layout = MapLayout("image", "INPUT", 0, channels, height, width, 8, order, 8, 5, factor)
    flat = MapLayout("folded", "INPUT", 0, positions, layout.rows, layout.columns, 8, order, 8, 5)
    folded_image = flat.unpack(layout.pack(image)).astype(np.float64)

    folded, (pad_top, pad_left) = fold_weight(weight, (top, left), factor)
    rows, columns = expected.shape[1:]
    need_y = rows - 1 + folded.shape[2] - pad_top - layout.rows
    need_x = columns - 1 + folded.shape[3] - pad_left - layout.columns
    padded = torch.nn.functional.pad(torch.tensor(folded_image), (pad_left, max(need_x, 0), pad_top, max(need_y, 0)))
    found = torch.nn.functional.conv2d(padded, torch.tensor(folded, dtype=torch.float64)).numpy()
    assert (found[:, :rows, :columns] == expected).all()


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        ({"channels": 3, "kernel": (7, 7), "stride": (2, 2), "padding": Padding(3, 3, 3, 3)}, 2),
        ({"channels": 3, "kernel": (4, 4), "stride": (4, 4), "size": (12, 12)}, 4),
        ({"channels": 3, "kernel": (3, 3), "stride": (1, 1)}, 1),
        ({"channels": 3, "kernel": (3, 3), "stride": (2, 1)}, 1),
        ({"channels": 16, "kernel": (1, 1), "stride": (2, 2)}, 1),
        ({"channels": 4, "filters": 4, "kernel": (3, 3), "stride": (2, 2), "depthwise": True}, 1),
    ],
)
def test_folds_only_what_gains(options, factor):
    graph = single_convolution(1, **({"size": (14, 14), "input_bits": 8} | options))
    assert fold_factor(graph, GEOMETRY) == factor


def test_resnet_stem_becomes_four_by_four():
    weight, padding = fold_weight(np.ones((1, 3, 7, 7), np.int64), (3, 3), 2)
    assert weight.shape == (1, 12, 4, 4)
    assert padding == (2, 2)
    assert weight.sum() == 3 * 49


def test_input_read_by_other_layers_is_not_folded():
    graph = random_graph(0, blocks=1, kinds=("max_pool",), input_bits=5)
    assert fold_factor(graph, GEOMETRY) == 1

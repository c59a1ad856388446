"""Rewritten inputs against torch's convolution of the image as it is."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intramix.compiler.lower.input_rewrite import InputRewrite, axis_windows, choose_input_rewrite
from intramix.hdl.geometry import Geometry
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import random_graph, single_convolution

GEOMETRY = Geometry(word_channels=16, pixel_lanes=2, fixed8_lanes=2, fixed4_lanes=14, lut_lanes=0)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_every_folded_convolution_is_the_original_one(data):
    """Any choice for either axis, of any kernel, stride and padding; every pixel outside the image is zero, or has the
    code of the border that the host lays around it."""
    stride = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    kernel = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    size = tuple(data.draw(st.integers(each, 13)) for each in kernel)
    padding = Padding(*(data.draw(st.integers(0, 4)) for _ in range(4)))
    channels = data.draw(st.integers(1, 3))
    graph = single_convolution(
        data.draw(st.integers(0, 1000)), channels=channels, filters=3, size=size, kernel=kernel, stride=stride,
        padding=padding, input_bits=8,
    )  # fmt: skip
    border = data.draw(st.sampled_from([(), tuple(range(40, 40 + channels))]))
    (layer,), output = graph.computing, graph.tensors[graph.outputs[0]]
    image = np.random.default_rng(data.draw(st.integers(0, 1000))).integers(0, 256, (channels, *size))
    expected = convolved(image, layer.weight, stride, padding, border)
    assert expected.shape[1:] == (output.height, output.width)

    axes = [
        data.draw(
            st.sampled_from(list(axis_windows(-pad, taps - 1 - pad, step, pixels, outputs, bordered=bool(border))))
        )
        for pad, taps, step, pixels, outputs in zip(
            (padding.top, padding.left), kernel, stride, size, (output.height, output.width), strict=True
        )
    ]
    rewrite = InputRewrite(dataclasses.replace(graph.tensors[graph.input], border=border), *axes)
    stored = gathered(rewrite.fold, image)
    weight = rewrite.weight(layer)
    assert weight.shape == (3, len(rewrite.fold.channels), axes[0].taps, axes[1].taps)
    assert weight.sum() == layer.weight.sum()
    # As the accelerator pads: above and left by `pad`, below and to the right as far as the output needs.
    below, right = (
        max(0, (outputs - 1) * axis.stride + axis.taps - axis.pad - axis.fold.positions)
        for axis, outputs in zip(axes, (output.height, output.width), strict=True)
    )
    found = convolved(
        stored, weight, (axes[0].stride, axes[1].stride), Padding(axes[0].pad, axes[1].pad, below, right)
    )
    np.testing.assert_array_equal(found[:, : output.height, : output.width], expected)
    assert not border or (axes[0].pad, axes[1].pad, below, right) == (0, 0, 0, 0)


def convolved(image, weight, stride, padding, border=()):
    edges = (padding.left, padding.right, padding.top, padding.bottom)
    planes = zip(torch.tensor(image, dtype=torch.float64), border or (0,) * len(image), strict=True)
    padded = torch.stack([torch.nn.functional.pad(plane, edges, value=code) for plane, code in planes])
    return torch.nn.functional.conv2d(padded, torch.tensor(weight, dtype=torch.float64), stride=stride).numpy()


def gathered(fold, image):
    """The folded map, pixel by pixel from the definition."""
    stored = np.zeros((len(fold.channels), fold.rows.positions, fold.columns.positions), np.int64)
    for (number, y, x), _ in np.ndenumerate(stored):
        dy, dx, channel = fold.channels[number]
        row, column = fold.rows.stride * y + dy, fold.columns.stride * x + dx
        if 0 <= row < image.shape[1] and 0 <= column < image.shape[2]:
            stored[number, y, x] = image[channel, row, column]
        elif fold.border:
            stored[number, y, x] = fold.border[channel]
    return stored


@pytest.mark.parametrize(
    ("options", "channels", "taps"),
    [
        # 7 × 2 pixels of 3 channels are 3 words: 12 steps instead of 49.
        ({"channels": 3, "kernel": (7, 7), "stride": (2, 2), "padding": Padding(3, 3, 3, 3)}, 42, (1, 4)),
        ({"channels": 3, "kernel": (4, 4), "stride": (4, 4), "size": (12, 12)}, 48, (1, 1)),
        ({"channels": 3, "kernel": (3, 3), "stride": (1, 1), "padding": Padding(1, 1, 1, 1)}, 9, (1, 3)),
    ],
)
def test_what_an_input_becomes(options, channels, taps):
    graph = single_convolution(1, **({"size": (14, 14), "input_bits": 8} | options))
    rewrite = choose_input_rewrite(graph, GEOMETRY)
    assert len(rewrite.fold.channels) == channels
    assert sorted((rewrite.rows.taps, rewrite.columns.taps)) == sorted(taps)


@pytest.mark.parametrize(
    "options",
    [
        {"channels": 16, "kernel": (1, 1), "stride": (2, 2)},
        {"channels": 16, "kernel": (3, 3), "stride": (1, 1)},
        {"channels": 4, "filters": 4, "kernel": (3, 3), "stride": (2, 2), "depthwise": True},
    ],
)
def test_what_gains_nothing_stays(options):
    assert choose_input_rewrite(single_convolution(1, size=(14, 14), input_bits=8, **options), GEOMETRY) is None


@pytest.mark.parametrize("channels", [1, 3, 16])
def test_an_image_with_a_border_is_always_stored_with_it(channels):
    """Even where nothing is gained by folding it."""
    graph = single_convolution(1, channels=channels, size=(9, 7), kernel=(3, 3), padding=Padding(1, 0, 1, 2))
    image = dataclasses.replace(graph.tensors[graph.input], border=(3,) * channels)
    rewrite = choose_input_rewrite(dataclasses.replace(graph, tensors=graph.tensors | {graph.input: image}), GEOMETRY)
    assert rewrite.fold.border == image.border
    assert rewrite.source.border == ()
    assert (rewrite.rows.pad, rewrite.columns.pad) == (0, 0)
    if channels == 16:
        assert rewrite.source.shape == (16, 11, 9)


def test_input_read_by_other_layers_is_not_folded():
    graph = random_graph(0, blocks=1, kinds=("max_pool",), input_bits=5)
    assert choose_input_rewrite(graph, GEOMETRY) is None


def test_two_layers_that_read_the_input_share_one_window():
    graph = single_convolution(1, channels=3, size=(14, 14), kernel=(3, 3), padding=Padding(1, 1, 1, 1), input_bits=8)
    (wide,) = graph.computing
    narrow = dataclasses.replace(
        wide, name="narrow", output="narrow", padding=Padding(0, 0, 0, 0), weight=wide.weight[:, :, 1:2, 1:2]
    )
    tensors = graph.tensors | {"narrow": dataclasses.replace(graph.tensors[wide.output], name="narrow")}
    both = dataclasses.replace(graph, layers=(wide, narrow), tensors=tensors, outputs=(*graph.outputs, "narrow"))
    rewrite = choose_input_rewrite(both, GEOMETRY)
    assert rewrite == choose_input_rewrite(graph, GEOMETRY) or rewrite.rows.taps * rewrite.columns.taps < 9
    assert rewrite.weight(narrow).shape == rewrite.weight(wide).shape
    assert rewrite.weight(narrow).sum() == narrow.weight.sum()

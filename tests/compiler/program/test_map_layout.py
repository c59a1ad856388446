import dataclasses
import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from intramix.compiler.lower.input_rewrite import axis_windows
from intramix.compiler.place.lanes import natural
from intramix.compiler.program.input_fold import ROW_BITS, InputFold
from intramix.compiler.program.map_border import MapBorder
from intramix.compiler.program.map_layout import MapLayout


@st.composite
def layouts(draw):
    channels, height, width = (draw(st.integers(1, n)) for n in (9, 6, 6))
    slot_bits = draw(st.sampled_from([4, 5, 6]))
    word_channels = draw(st.sampled_from([4, 8])) if slot_bits != 5 else 8
    words = -(-channels // word_channels) + draw(st.integers(0, 1))
    order = np.full(words * word_channels, -1)
    positions = draw(st.permutations(range(len(order))))[:channels]
    order[positions] = draw(st.permutations(range(channels)))
    bits, pitch = draw(st.integers(2, 8)), draw(st.sampled_from([0, words, words + 2]))
    sides = draw(st.one_of(st.just([0] * 4), st.lists(st.integers(0, 3), min_size=4, max_size=4)))
    layout = MapLayout(
        "map", "INPUT", 0, channels, height, width, bits, order, word_channels, slot_bits, pitch=pitch,
        images=draw(st.integers(1, 3)), zero_point=draw(st.integers(0, (1 << bits) - 1)), border=MapBorder(*sides),
    )  # fmt: skip
    return layout, codes_of(layout, draw(st.integers(0, 2**32 - 1)))


@st.composite
def folded_layouts(draw):
    """The input of any folded stem, which need not hold every pixel: those it lacks are 0. Outside of the image there
    are zeros, or a border."""
    channels, bits = draw(st.integers(1, 3)), draw(st.integers(2, 8))
    border = draw(st.sampled_from([(), tuple(range(1, 1 + channels))]))
    axes = []
    for _ in range(2):
        pixels, stride, outputs = draw(st.integers(1, 9)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
        first = -draw(st.integers(0, 3))
        windows = axis_windows(
            first, first + draw(st.integers(0, 6)), stride, pixels, outputs, bordered=bool(border)
        )
        axes.append((pixels, draw(st.sampled_from(list(windows))).fold))
    (height, rows), (width, columns) = axes
    slot_bits, word_channels = draw(st.sampled_from([(4, 4), (4, 8), (5, 8), (5, 16), (6, 32)]))
    assume(channels * len(columns.offsets) * slot_bits <= ROW_BITS)
    fold = InputFold(channels, rows, columns, border)
    order = natural(len(fold.channels), word_channels)
    layout = MapLayout(
        "map", "INPUT", 0, channels, height, width, bits, order, word_channels, slot_bits, fold,
        images=draw(st.integers(1, 3)),
    )  # fmt: skip
    return layout, codes_of(layout, draw(st.integers(0, 2**32 - 1)))


def codes_of(layout, seed):
    return np.random.default_rng(seed).integers(0, 1 << layout.bits, layout.shape)


@given(folded_layouts())
@settings(deadline=None)
def test_folded_words_hold_what_the_fold_says(case):
    """Bit by bit from the definition, and `unpack` finds every pixel that is held."""
    layout, codes = case
    data = int.from_bytes(layout.pack(codes), "little")
    expected, bit = 0, 0
    images = codes.reshape(-1, *codes.shape[-3:])
    held = np.zeros(images.shape, bool)
    for digit in range(layout.digits):
        for word in range(layout.channel_words):
            for image, y, x in np.ndindex(layout.images, layout.image_rows, layout.columns):
                for place in layout.order[word * layout.word_channels :][: layout.word_channels]:
                    if place >= 0:
                        dy, dx, channel = layout.fold.channels[place]
                        row, column = layout.fold.rows.stride * y + dy, layout.fold.columns.stride * x + dx
                        inside = 0 <= row < layout.height and 0 <= column < layout.width
                        if inside or layout.fold.border:
                            code = int(images[image, channel, row, column] if inside else layout.fold.border[channel])
                            if inside:
                                held[image, channel, row, column] = True
                            expected |= (code if layout.digits == 1 else code & 15 if digit else code >> 4) << bit
                    bit += layout.slot_bits
    assert data == expected
    assert bit == 8 * layout.bytes
    np.testing.assert_array_equal(layout.unpack(layout.pack(codes)), codes * held.reshape(codes.shape))


@given(st.one_of(layouts(), folded_layouts()))
def test_dictionary_round_trip(case):
    layout, codes = case
    assert MapLayout.from_dict(json.loads(json.dumps(layout.to_dict()))).pack(codes) == layout.pack(codes)


@given(layouts())
def test_unpack_inverts_pack(case):
    layout, codes = case
    data = layout.pack(codes)
    assert len(data) == layout.bytes
    np.testing.assert_array_equal(layout.unpack(data), codes)


@given(st.one_of(layouts(), folded_layouts()))
@settings(deadline=None)
def test_planes_have_the_rows_of_all_images(case):
    """Those of each image are as in a layout of one image, one after the other."""
    layout, codes = case
    one = dataclasses.replace(layout, images=1)
    alone = [one.pack(image) for image in codes.reshape(-1, *codes.shape[-3:])]
    together = layout.pack(codes)
    assert layout.plane_bytes == layout.images * one.plane_bytes
    for place in np.ndindex(layout.digits, layout.channel_words):
        plane = layout.plane(*place)
        expected = b"".join(data[plane * one.plane_bytes :][: one.plane_bytes] for data in alone)
        assert together[plane * layout.plane_bytes :][: layout.plane_bytes] == expected


def test_words_are_dense_and_slots_least_significant_first():
    order = np.arange(8)
    layout = MapLayout("map", "INPUT", 0, 8, 1, 2, 5, order, 8, 5)
    codes = np.arange(16).reshape(8, 1, 2)
    word = [sum(int(codes[c, 0, x]) << (5 * c) for c in range(8)) for x in range(2)]
    assert layout.pack(codes) == word[0].to_bytes(5, "little") + word[1].to_bytes(5, "little")


def test_wide_maps_store_the_upper_digit_first():
    layout = MapLayout("map", "INPUT", 0, 8, 1, 1, 8, np.arange(8), 8, 4)
    codes = np.full((8, 1, 1), 0xA5)
    assert layout.pack(codes) == b"\xaa" * 4 + b"\x55" * 4


def test_wrong_shape():
    layout = MapLayout("map", "INPUT", 0, 8, 1, 1, 4, np.arange(8), 8, 4)
    with pytest.raises(ValueError, match=r"map map must have shape \(8, 1, 1\), not \(8, 2, 1\)"):
        layout.pack(np.zeros((8, 2, 1), int))


def test_wrong_number_of_images():
    layout = MapLayout("map", "INPUT", 0, 8, 1, 1, 4, np.arange(8), 8, 4, images=2)
    for shape in ((8, 1, 1), (3, 8, 1, 1)):
        with pytest.raises(ValueError, match=r"map map must have shape \(2, 8, 1, 1\), not"):
            layout.pack(np.zeros(shape, int))


def test_code_out_of_range():
    layout = MapLayout("map", "INPUT", 0, 8, 1, 1, 4, np.arange(8), 8, 4)
    with pytest.raises(ValueError, match="must have codes 0 … 15, not 0 … 16"):
        layout.pack(np.array([16] + 7 * [0]).reshape(8, 1, 1))


def test_data_cut_short():
    layout = MapLayout("map", "INPUT", 0, 8, 1, 1, 4, np.arange(8), 8, 4)
    with pytest.raises(ValueError, match="map map is 4 bytes, not 3"):
        layout.unpack(bytes(3))

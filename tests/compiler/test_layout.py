import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramix.compiler.layout import MapLayout


@st.composite
def layouts(draw):
    channels, height, width = (draw(st.integers(1, n)) for n in (9, 6, 6))
    factor = draw(st.sampled_from([1, 1, 2, 3]))
    slot_bits = draw(st.sampled_from([4, 5, 6]))
    word_channels = draw(st.sampled_from([4, 8])) if slot_bits != 5 else 8
    folded = channels * factor**2
    words = -(-folded // word_channels) + draw(st.integers(0, 1))
    order = np.full(words * word_channels, -1)
    positions = draw(st.permutations(range(len(order))))[:folded]
    order[positions] = draw(st.permutations(range(folded)))
    bits = draw(st.integers(2, 8))
    layout = MapLayout("map", "INPUT", 0, channels, height, width, bits, order, word_channels, slot_bits, factor)
    seed = draw(st.integers(0, 2**32 - 1))
    return layout, np.random.default_rng(seed).integers(0, 1 << bits, (channels, height, width))


@given(layouts())
def test_unpack_inverts_pack(case):
    layout, codes = case
    data = layout.pack(codes)
    assert len(data) == layout.bytes
    np.testing.assert_array_equal(layout.unpack(data), codes)


@given(layouts())
def test_dictionary_round_trip(case):
    layout, codes = case
    assert MapLayout.from_dict(layout.to_dict()).pack(codes) == layout.pack(codes)


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


def test_code_out_of_range():
    layout = MapLayout("map", "INPUT", 0, 8, 1, 1, 4, np.arange(8), 8, 4)
    with pytest.raises(ValueError, match="must have codes 0 … 15, not 0 … 16"):
        layout.pack(np.array([16] + 7 * [0]).reshape(8, 1, 1))


def test_data_cut_short():
    layout = MapLayout("map", "INPUT", 0, 8, 1, 1, 4, np.arange(8), 8, 4)
    with pytest.raises(ValueError, match="map map is 4 bytes, not 3"):
        layout.unpack(bytes(3))

"""What the host lays around maps: exactly what `pack` has there."""

import numpy as np
import pytest
from hypothesis import given

from intramix.compiler.program.border_fill import border_fills
from intramix.compiler.program.map_border import NO_BORDER, MapBorder
from tests.compiler.program.test_map_layout import layouts


@given(layouts())
def test_a_border_is_what_pack_lays(case):
    """Bytes outside of it stay as they are."""
    layout, codes = case
    region = np.full(layout.offset + layout.bytes, 0xA5, np.uint8)
    known = np.zeros(region.size, bool)
    for fill in border_fills(layout):
        fill.lay(region)
        fill.mark(known)
        assert (fill.tensor, fill.region) == (layout.name, layout.region)
        assert layout.offset <= fill.offset
        assert fill.end <= region.size
    packed = np.frombuffer(layout.pack(codes), np.uint8)
    np.testing.assert_array_equal(region[known], packed[known])
    assert (region[~known] == 0xA5).all()
    inside = layout.images * layout.height * layout.width
    words = (layout.rows * layout.columns - inside) * layout.channel_words * layout.digits
    assert known.sum() == sum(fill.bytes for fill in border_fills(layout)) == words * layout.word_bytes


@given(layouts())
def test_rows_and_columns_are_counted_from_the_map(case):
    layout, codes = case
    data = layout.pack(codes)
    channel = int(np.flatnonzero(layout.order >= 0)[-1])
    word, slot = divmod(channel, layout.word_channels)
    place = layout.images - 1, layout.height - 1, layout.width - 1
    row, column = layout.stored_row(place[0], place[1]), layout.stored_column(place[2])
    found = 0
    for digit in range(layout.digits):
        address = layout.address(layout.plane(digit, word), row, column)
        value = int.from_bytes(data[address : address + layout.word_bytes], "little")
        found = found << 4 | value >> slot * layout.slot_bits & (1 << layout.slot_bits) - 1
    assert found == codes.reshape(-1, *codes.shape[-3:])[place[0], layout.order[channel], place[1], place[2]]


def test_union():
    assert MapBorder.union([MapBorder(1, 0, 2, 0), NO_BORDER, MapBorder(0, 3, 1, 0)]) == MapBorder(1, 3, 2, 0)
    assert MapBorder(1, 2, 3, 4).around(10, 20) == (14, 26)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"top": 1, "left": 1, "bottom": 1}, "must have the sides top, left, bottom, right, not"),
        ([1, 1, 1, 1], "must have the sides"),
        ({"top": -1, "left": 1, "bottom": 1, "right": 1}, "a border's top must be an integer of at least 0, not -1"),
        ({"top": 1, "left": 1, "bottom": 1, "right": "2"}, "a border's right must be an integer of .*, not '2'"),
    ],
)
def test_sides_that_are_none(fields, message):
    with pytest.raises(ValueError, match=message):
        MapBorder.from_dict(fields)

"""Descriptions of lane classes: what they hold, and what follows from it."""

import pytest

from intramix.hdl.array.cells import CELLS
from intramix.hdl.encoding import offset_code
from intramix.hdl.lane_classes import LaneClass, WeightCode, offset_binary, sign_magnitude


def test_offset_binary_multiplies_by_what_is_stored():
    code = offset_binary(3)
    assert code == WeightCode((-4, -3, -2, -1, 0, 1, 2, 3), 4)
    assert (code.bits, code.multiplicands) == (3, (0, 1, 2, 3, 4, 5, 6, 7))
    assert code.is_offset_binary


def test_sign_is_the_top_bit():
    code = sign_magnitude((0, 1, 2, 4), offset=4)
    assert code == WeightCode((0, 1, 2, 4, 0, -1, -2, -4), 4)
    assert (code.bits, code.multiplicands) == (3, (4, 5, 6, 8, 4, 3, 2, 0))
    assert not code.is_offset_binary


@pytest.mark.parametrize("lane", LaneClass)
def test_class_is_complete(lane):
    """A class that RTL, constants and stored words can be made for."""
    assert lane in CELLS
    assert 1 << lane.weight_bits == len(lane.code.weights)
    offset_code(lane)
    assert min(lane.code.multiplicands) >= 0 or lane.code.offset == 0
    assert LaneClass(lane.value) is lane


def test_digits_go_to_fixed_point_lanes_only():
    assert [lane for lane in LaneClass if lane.takes_digits] == [
        LaneClass.FIXED8, LaneClass.FIXED4, LaneClass.LUT_FIXED4,
    ]  # fmt: skip

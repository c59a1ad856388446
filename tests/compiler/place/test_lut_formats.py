"""Where the two sides of a number scheme meet: what a class of LUT lanes holds, and the format that it is made for."""

import numpy as np
import pytest

from intramix.compiler.place.lanes import LUT_FORMATS
from intramix.hdl.lane_classes import LaneClass


def test_every_class_of_lut_lanes_has_a_format():
    assert list(LUT_FORMATS) == [lane for lane in LaneClass if lane.is_lut]
    assert len(set(LUT_FORMATS.values())) == len(LUT_FORMATS)


@pytest.mark.parametrize("lane", LUT_FORMATS)
def test_lanes_hold_exactly_the_levels_of_their_format(lane):
    """Symmetric: fixed-point lanes could hold −2^(b − 1) too, which no format has."""
    held = set(lane.code.weights)
    symmetric = sorted(weight for weight in held if -weight in held)
    np.testing.assert_array_equal(symmetric, LUT_FORMATS[lane].levels)

"""Requantization against Python integers."""

import numpy as np
import pytest

from intramix.quant.graph.requantization import requantize


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

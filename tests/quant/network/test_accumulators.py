"""Filters whose sums would leave the accumulator get fewer bits, and no others."""

import numpy as np
import pytest
import torch
from torch import nn

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.data.data import Dataset
from intramix.quant.graph.formats import FIXED4, FIXED8, Scheme, WeightFormat
from intramix.quant.network.quantizers import QuantizationError
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import QuantizationResult, quantize

pytestmark = pytest.mark.slow

INPUTS = 12 * 12
BITS = 20
"""144 weights of 127 times 255 reach 2^22; those of one filter below are nearly all small."""


def quantized(accumulator_bits: int | None, **options) -> QuantizationResult:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(INPUTS, 8))
    with torch.no_grad():
        model[1].weight[0] *= 0.01
        model[1].weight[0, 0] = 1.0
    images = torch.randint(0, 256, (8, 1, 12, 12), dtype=torch.uint8)
    data = Dataset("noise", images[:4], images[4:])
    plan = QuantizationPlan(
        lane_mix=LaneMix(1, 1, 0), scale_method="maximum", accumulator_bits=accumulator_bits, **options
    )
    return quantize(model, data, plan)


def extremes(result: QuantizationResult) -> np.ndarray:
    """The largest |Σ w·q| that an image can cause, by filter: 255 wherever weights have one sign, 0 elsewhere."""
    weight = result.graph.layers[0].weight.reshape(8, -1)
    return np.maximum((weight.clip(0) * 255).sum(axis=1), -(weight.clip(None, 0) * 255).sum(axis=1))


def test_only_filters_that_could_overflow_lose_bits():
    free, fitted = quantized(None), quantized(BITS)
    assert free.narrowed == ()
    limit = 1 << (BITS - 1)
    over = extremes(free) >= limit
    assert over.any()
    assert not over.all()
    assert (extremes(fitted) < limit).all()
    before, after = (result.graph.layers[0].formats for result in (free, fitted))
    assert set(before) == {FIXED8, FIXED4}
    for index in range(8):
        if over[index]:
            assert after[index].scheme is Scheme.FIXED
            assert 4 < after[index].bits < 8
        else:
            assert after[index] == before[index]
            assert np.array_equal(free.graph.layers[0].weight[index], fitted.graph.layers[0].weight[index])
    assert sum(entry.filters for entry in fitted.narrowed) == over.sum()
    assert all(entry.given == FIXED8 for entry in fitted.narrowed)


def test_no_bit_more_than_needed_is_taken():
    """With one bit more, a narrowed filter would overflow again."""
    fitted = quantized(BITS)
    for index, kind in enumerate(fitted.graph.layers[0].formats):
        if 4 < kind.bits < 8:
            wider = WeightFormat(Scheme.FIXED, kind.bits + 1).levels[-1] / kind.levels[-1]
            assert extremes(fitted)[index] * wider >= (1 << (BITS - 1)) * 0.95


def test_what_was_narrowed_reads_as_a_sentence():
    entry = quantized(BITS).narrowed[0]
    assert str(entry) == f"1: {entry.filters} filters fixed-8 → {entry.taken.name}"


def test_sums_that_no_format_fits():
    with pytest.raises(QuantizationError, match=r"layer '1': the sums of its fixed-2 filters can exceed 12-bit"):
        quantized(12)

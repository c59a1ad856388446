"""Packing plans: every weight pair by every activation pair, and the longest cascades at their extremes."""

import itertools

import numpy as np
import pytest

from intramix.hdl.array.packing import packing_plan
from intramix.hdl.geometry import Dsp, GeometryError

PUBLISHED = [
    (Dsp.DSP48E1, 4, 10, 4),
    (Dsp.DSP48E1, 5, 10, 2),
    (Dsp.DSP48E1, 6, 10, 1),
    (Dsp.DSP48E2, 4, 11, 8),
    (Dsp.DSP48E2, 5, 11, 4),
    (Dsp.DSP48E2, 6, 11, 2),
]


@pytest.mark.parametrize(("dsp", "bits", "spacing", "cascade"), PUBLISHED)
def test_plan_is_the_published_one(dsp, bits, spacing, cascade):
    plan = packing_plan(dsp, 4, bits)
    assert (plan.spacing, plan.cascade) == (spacing, cascade)


@pytest.mark.parametrize(("dsp", "bits"), [(Dsp.DSP48E1, 7), (Dsp.DSP48E2, 7)])
def test_plan_that_does_not_fit_is_refused(dsp, bits):
    with pytest.raises(GeometryError, match="use fewer activation bits"):
        packing_plan(dsp, 4, bits)


@pytest.mark.parametrize(("dsp", "bits"), [(dsp, bits) for dsp in Dsp for bits in (4, 5, 6)])
def test_ports_are_within_the_primitive(dsp, bits):
    plan = packing_plan(dsp, 4, bits)
    assert plan.a_bits <= (27 if dsp is Dsp.DSP48E2 else 25)
    assert plan.b_bits <= 18
    assert plan.result_bits <= 48


@pytest.mark.parametrize(("dsp", "bits"), [(Dsp.DSP48E1, 4), (Dsp.DSP48E1, 5), (Dsp.DSP48E2, 4), (Dsp.DSP48E2, 5)])
def test_every_product(dsp, bits):
    plan = packing_plan(dsp, 4, bits)
    weights = np.array(list(itertools.product(range(16), repeat=2)))
    codes = np.array(list(itertools.product(range(1 << bits), repeat=2)))
    product = plan.pack_weights(weights)[:, None] * plan.pack_activations(codes)[None]
    np.testing.assert_array_equal(
        plan.extract(product), weights[:, None, :, None] * codes[None, :, None, :]
    )


@pytest.mark.parametrize(("dsp", "bits"), [(dsp, bits) for dsp in Dsp for bits in (4, 5, 6)])
def test_longest_cascade(dsp, bits):
    """Sums of `cascade` products with every operand at an extreme, and at random."""
    plan = packing_plan(dsp, 4, bits)
    corners = np.array(list(itertools.product((0, 1), repeat=4)))
    random = np.random.default_rng(bits)
    weights = np.concatenate([
        np.repeat(corners[:, None, :2] * 15, plan.cascade, axis=1),
        random.integers(0, 16, (2000, plan.cascade, 2)),
    ])
    codes = np.concatenate([
        np.repeat(corners[:, None, 2:] * ((1 << bits) - 1), plan.cascade, axis=1),
        random.integers(0, 1 << bits, (2000, plan.cascade, 2)),
    ])
    total = (plan.pack_weights(weights) * plan.pack_activations(codes)).sum(axis=1)
    np.testing.assert_array_equal(plan.extract(total), np.einsum("tnf,tnp->tfp", weights, codes))
    # One product more than a power of two of them could overflow only beyond twice the cascade.
    assert plan.cascade * plan.largest_product < 1 << plan.spacing <= 2 * plan.cascade * plan.largest_product

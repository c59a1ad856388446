"""Bounds are proven, and tight: the adversary's weights just fit, and one more does not."""

import dataclasses

import numpy as np
import pytest

from intramix.compiler.errors import CompileError
from intramix.compiler.lower.accumulator_bounds import check_bounds, signed_bits
from intramix.compiler.lower.layers import lower
from intramix.hdl.geometry import Dsp, Geometry, GeometryError
from intramix.quant.graph.formats import FIXED8
from intramix.quant.graph.graph import BIAS_BITS, MULTIPLIER_BITS, Convolution, IntegerGraph, TensorType
from intramix.quant.graph.random_graph import random_graph

GEOMETRY = Geometry(word_channels=8, pixel_lanes=1, fixed8_lanes=8, fixed4_lanes=0, lut_lanes=0, accumulator_bits=18)


def graph(weights, *, multiplier=1, bias=0, shift=0, bits=8):
    """One 1×1 convolution with one filter."""
    tensors = {
        "image": TensorType("image", len(weights), 1, 1, bits),
        "out": TensorType("out", 1, 1, 1, 8),
    }
    layer = Convolution(
        "dot",
        "image",
        "out",
        np.array(weights, np.int64).reshape(1, -1, 1, 1),
        (FIXED8,),
        np.array([multiplier], np.int64),
        np.array([bias], np.int64),
        shift,
    )
    return IntegerGraph("dot", tensors, (layer,), "image", ("out",))


def check(network, geometry=GEOMETRY):
    (layer,), _ = lower(network, geometry)
    check_bounds(layer, geometry)


def test_signed_bits_against_the_definition():
    for value in range(-300, 300):
        bits = next(n for n in range(1, 12) if -(1 << (n - 1)) <= value < 1 << (n - 1))
        assert signed_bits(value) == bits


@pytest.mark.parametrize(("sign", "fits", "first_too_large"), [(1, 131071 // 255, 515), (-1, 131072 // 255, 515)])
def test_accumulator_bound_is_tight(sign, fits, first_too_large):
    """18 bits hold −131072 … 131071; 255 · 514 = 131070 fits, 255 · 515 does not."""
    assert fits == first_too_large - 1

    def weights(total):
        return [sign * 127] * (total // 127) + [sign * (total % 127)]

    check(graph(weights(fits)))
    with pytest.raises(
        CompileError, match=r"layer 'dot', filter 0: its sums reach .* needs 19 bits; accumulator_bits = 18"
    ):
        check(graph(weights(first_too_large)))


def test_positive_and_negative_weights_do_not_add_up():
    check(graph([127, -127] * 4))
    with pytest.raises(CompileError, match="needs 19 bits"):
        check(graph([127] * 8))


def test_requantizer_needs_no_proof_of_its_own():
    """The widest legal fields: the largest accumulator, M, R, r and B of any geometry and graph."""
    with pytest.raises(GeometryError):
        dataclasses.replace(GEOMETRY, dsp=Dsp.DSP48E2, accumulator_bits=28)
    largest = (1 << 26) * (1 << MULTIPLIER_BITS - 1) + 255 * (1 << MULTIPLIER_BITS - 1) + (1 << BIAS_BITS - 1)
    assert largest < 1 << 47


def test_max_pool_needs_none():
    network = random_graph(1, blocks=1, kinds=("stem", "max_pool"))
    layers, _ = lower(network, GEOMETRY)
    check_bounds(layers[1], dataclasses.replace(GEOMETRY, accumulator_bits=16))

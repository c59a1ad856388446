"""Networks whose LUT lanes have each number scheme: what the interpreter stores, against the executor."""

import dataclasses

import pytest

from intramix.compiler.place.lanes import LUT_FORMATS
from intramix.quant.graph.random_graph import FormatMix, random_graph
from tests.compiler.test_compile import check
from tests.support.geometries import SMALL


@pytest.mark.parametrize("scheme", LUT_FORMATS)
def test_network_in_every_scheme(scheme):
    geometry = dataclasses.replace(SMALL["narrow"], lut_scheme=scheme)
    mix = FormatMix(1, 3, 4, LUT_FORMATS[scheme])
    program = check(random_graph(5, blocks=3, channels=(8, 16), activation_bits=4, mix=mix), geometry, 5)
    assert sum(layer.formats.get(LUT_FORMATS[scheme].name, 0) for layer in program.layers) > 0
    assert sum(layer.lane_mix.get(scheme.value, 0) for layer in program.layers) > 0

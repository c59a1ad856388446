"""The array's Verilog, with the models of the DSP primitives, in Verilator: against the golden function."""

import shutil

import pytest

from intramix.hdl.array.array import Array
from intramix.hdl.array.dsp48 import PRIMITIVES_PATH
from intramix.hdl.geometry import Dsp, Geometry, LaneClass
from intramix.hdl.verilog import generate
from tests.support.array_player import build_player, check_groups

pytestmark = pytest.mark.simulator


@pytest.mark.skipif(shutil.which("make") is None or shutil.which("g++") is None, reason="Verilator needs make and g++")
@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(word_channels=16, pixel_lanes=2, fixed8_lanes=2, fixed4_lanes=7, lut_lanes=7, activation_bits=4,
                 lut_scheme=LaneClass.LUT_SP2, dsp=Dsp.DSP48E1),
        Geometry(word_channels=8, pixel_lanes=1, fixed8_lanes=1, fixed4_lanes=4, lut_lanes=3, activation_bits=5,
                 lut_scheme=LaneClass.LUT_POT, dsp=Dsp.DSP48E2, accumulator_bits=27),
    ],
    ids=["e1", "e2"],
)  # fmt: skip
def test_verilated_array(geometry, tmp_path):
    verilog = generate(Array(geometry), "array") + PRIMITIVES_PATH.read_text()
    check_groups(build_player(verilog, geometry, tmp_path), geometry, tmp_path)

import dataclasses

import pytest

from intramix.hdl.geometry import Dsp, GeometryError, LaneClass
from intramix.platforms.boards import BOARDS, XC7Z020, UnknownBoardError, board
from intramix.platforms.fpga import vendor_platform
from intramix.platforms.synthesis import Resources, synthesize
from intramix.platforms.yosys import SynthesisError


@pytest.mark.parametrize(("name", "macs"), [("pynq-z2", 2048), ("zc706", 8192), ("zcu102", 16384), ("zu15eg", 16384)])
def test_macs_a_cycle(name, macs):
    assert board(name).geometry.macs_per_cycle == macs


@pytest.mark.parametrize("activation_bits", [4, 5])
@pytest.mark.parametrize("name", [name for name, each in BOARDS.items() if each.part])
def test_presets_fit_the_dsps_and_memories_of_their_parts(name, activation_bits):
    """Counted from the geometry alone, before any synthesis: what a preset must not exceed."""
    part = board(name).part
    g = board(name).geometry_for(activation_bits=activation_bits)
    half_lanes = 2 * g.fixed8_lanes + g.fixed4_lanes
    multipliers = g.word_channels * -(-half_lanes // 2) * -(-g.pixel_lanes // 2)
    requantizers = (2 * g.post_units - g.logic_addends) * g.pixel_lanes
    assert g.dsp is Dsp.NONE or multipliers + requantizers <= part.dsp
    words = g.activation_depth + g.residual_depth + g.output_depth
    bits = g.pixel_lanes * words * g.word_bits + g.weight_depth * g.weight_word_bits
    assert bits <= part.bram36 * 36 * 1024
    assert (g.dsp is Dsp.DSP48E2) == (part.family == "xcup")


@pytest.mark.parametrize("name", [name for name, each in BOARDS.items() if each.platform])
def test_amaranth_boards_have_the_same_part(name):
    """Parts are written in `boards.py`, which a board reads without Amaranth; amaranth-boards is what builds."""
    platform = vendor_platform(board(name))
    assert platform._part == board(name).part.name


def test_unknown_board_lists_the_known():
    with pytest.raises(UnknownBoardError, match=f"'zybo' is unknown; the boards are {', '.join(BOARDS)}"):
        board("zybo")


def test_variants():
    geometry = board("pynq-z2").geometry_for(activation_bits=4, lut_scheme=LaneClass.LUT_POT)
    assert (geometry.activation_bits, geometry.lut_scheme) == (4, LaneClass.LUT_POT)


def test_illegal_variant():
    with pytest.raises(GeometryError, match="activation_bits = 7"):
        board("pynq-z2").geometry_for(activation_bits=7)


def test_resources_of_cells():
    cells = {"LUT6": 3, "LUT2": 2, "RAM64M": 1, "SRL16E": 5, "FDRE": 7, "FDSE": 1}
    cells |= {"DSP48E1": 2, "RAMB18E1": 3, "CARRY4": 9}
    assert Resources.of_cells(cells) == Resources(lut=14, ff=8, dsp=2, bram36=1.5)


def test_fits_up_to_the_limits():
    full = Resources(lut=45_220, ff=106_400, dsp=220, bram36=140)
    assert full.fits(XC7Z020)
    for field in ("lut", "ff", "dsp", "bram36"):
        assert not dataclasses.replace(full, **{field: getattr(full, field) + 1}).fits(XC7Z020)


HIERARCHY = """
module leaf(input clk, input [24:0] a, input [17:0] b, output reg [42:0] y);
  always @(posedge clk) y <= $signed(a) * $signed(b);
endmodule
module pair(input clk, input [24:0] a, input [17:0] b, output [42:0] y, output [42:0] z);
  leaf first(clk, a, b, y);
  leaf second(clk, ~a, b, z);
endmodule
module top(input clk, input [24:0] a, input [17:0] b, output [42:0] y, output reg [42:0] q);
  wire [42:0] z;
  pair both(clk, a, b, y, z);
  always @(posedge clk) q <= z;
endmodule
"""


@pytest.mark.slow
def test_synthesis_counts_every_instance():
    report = synthesize(HIERARCHY, top="top", family="xc7")
    assert report.total.dsp == 2
    assert report.total.ff == 43
    paths = {block.path: block for block in report.blocks}
    assert paths["top/pair/leaf"].count == 2
    assert paths["top/pair/leaf"].resources.dsp == 2
    assert paths["top/(own logic)"].resources.ff == 43


def test_synthesis_error_shows_what_yosys_said():
    with pytest.raises(SynthesisError, match="syntax error"):
        synthesize("module top(", top="top", family="xc7")

"""The model of what geometries occupy, against the syntheses that are on record, and one of those against yosys."""

import dataclasses

import pytest

from intramix.hdl.accelerator import TOP, accelerator_verilog
from intramix.hdl.geometry import Dsp, LaneClass
from intramix.platforms.boards import BOARDS, XC7Z020, board
from intramix.platforms.estimate import (
    LUT_ERROR,
    SYNTHESISED,
    Occupancy,
    count_bram36,
    count_dsp,
    estimate_lut,
    occupancy,
)  # fmt: skip
from intramix.platforms.synthesis import synthesize

GEOMETRIES = {
    geometry.signature: geometry
    for geometry in (
        *(entry.geometry for entry in BOARDS.values()),
        *(entry.geometry_for(activation_bits=4) for entry in BOARDS.values()),
        board("pynq-z2").geometry_for(lut_scheme=LaneClass.LUT_SP2),
    )
}


@pytest.mark.parametrize("signature", SYNTHESISED)
def test_model_against_the_syntheses_on_record(signature):
    assert signature in GEOMETRIES, "no preset has this geometry: synthesise it anew and replace the record"
    geometry, found = GEOMETRIES[signature], SYNTHESISED[signature]
    assert count_dsp(geometry) == found.dsp
    assert count_bram36(geometry) == found.bram36
    assert abs(estimate_lut(geometry) / found.lut - 1) <= LUT_ERROR


def test_source_is_told():
    signature, found = next(iter(SYNTHESISED.items()))
    geometry = GEOMETRIES[signature]
    assert occupancy(geometry) == Occupancy(found.lut, found.dsp, found.bram36, "yosys")
    other = dataclasses.replace(geometry, activation_bits=4, output_depth=256)
    assert occupancy(other).source == "estimate"
    assert occupancy(other).lut < found.lut


def test_fits():
    taken = occupancy(board("pynq-z2").geometry)
    assert taken.fits(XC7Z020)
    assert not dataclasses.replace(taken, bram36=141).fits(XC7Z020)
    assert not dataclasses.replace(taken, lut=45_221).fits(XC7Z020)


@pytest.mark.long
def test_record_against_yosys():
    geometry = board("small").geometry
    total = synthesize(
        accelerator_verilog(geometry), top=TOP, family="xc7", dsp=geometry.dsp is not Dsp.NONE
    ).total
    assert total == SYNTHESISED[geometry.signature]

"""Clocks on record: of geometries that were analysed, for the speed grade that they were analysed for."""

import dataclasses

import pytest

from intramix.platforms.boards import BOARDS, board
from intramix.platforms.timing.delays import speed_grade
from intramix.platforms.timing.records import ANALYSED, analysed_clock


def test_every_record_is_of_a_preset():
    """Of a preset, or of one with 4-bit activations."""
    presets = {
        geometry.signature: each
        for each in BOARDS.values()
        for geometry in (each.geometry_for(activation_bits=4), each.geometry)
    }
    for signature, found in ANALYSED.items():
        assert speed_grade(presets[signature].part).name == found.grade
        assert found.clock_hz == pytest.approx(1e9 / found.worst_ns)


def test_a_record_is_of_one_speed_grade_and_geometry():
    target = board("pynq-z2")
    found = analysed_clock(target.geometry, target.part)
    assert 1 < found.worst_ns < 20
    faster = dataclasses.replace(target.part, name=target.part.name.replace("-1", "-2"))
    assert analysed_clock(target.geometry, faster) is None
    assert analysed_clock(dataclasses.replace(target.geometry, lut_lanes=8), target.part) is None

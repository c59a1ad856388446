"""Delays are those of the part."""

import dataclasses

import pytest

from intramix.platforms.boards import BOARDS, XC7Z020, XC7Z045, XCZU9EG
from intramix.platforms.timing.delays import ARTIX_1, KINTEX_2, ULTRASCALE_PLUS_2, speed_grade
from intramix.platforms.timing.errors import TimingError


def test_grades_of_parts():
    assert speed_grade(None) is speed_grade(XC7Z020) is ARTIX_1
    assert speed_grade(XC7Z045) is KINTEX_2
    assert speed_grade(XCZU9EG) is ULTRASCALE_PLUS_2
    assert all(speed_grade(board.part) for board in BOARDS.values())


def test_a_slower_grade_is_slower_everywhere():
    fast, slow = KINTEX_2, speed_grade(dataclasses.replace(XC7Z045, name="xc7z045ffg900-1"))
    assert slow.lut > fast.lut
    assert slow.nets.fixed > fast.nets.fixed
    assert not slow.calibrated


def test_a_grade_without_delays():
    with pytest.raises(TimingError, match="no delays of speed grade -9"):
        speed_grade(dataclasses.replace(XC7Z020, name="xc7z020clg400-9"))

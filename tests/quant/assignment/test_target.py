"""Targets: what reaches them, by how much others miss, and what is refused."""

import math

import pytest

from intramix.quant.assignment.target import Target, TargetError
from intramix.quant.network.fidelity import Fidelity


def near(agreement: float | None, sqnr: float) -> Fidelity:
    return Fidelity(top1_agreement=agreement, sqnr=sqnr, images=10)


def test_both_must_be_reached() -> None:
    target = Target(sqnr=10.0, agreement=0.9)
    assert target.reached(near(0.9, 10.0))
    assert target.shortfall(near(0.85, 10.0)) == "5.0 points of agreement"
    assert target.shortfall(near(0.95, 8.5)) == "1.5 dB"
    assert target.shortfall(near(0.8, 9.0)) == "10.0 points of agreement and 1.0 dB"
    assert str(target) == "90 % of the float model's decisions and 10 dB"


def test_one_leaves_the_other_open() -> None:
    assert Target(sqnr=-3.0).reached(near(None, -3.0))
    assert Target(agreement=1.0).reached(near(1.0, -math.inf))
    assert Target(sqnr=20.0).reached(near(0.1, math.inf))
    assert str(Target(sqnr=12.5)) == "12.5 dB"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({}, "give an SQNR, an agreement, or both"),
        ({"sqnr": math.nan}, "must be a finite number of dB, not nan"),
        ({"sqnr": math.inf}, "must be a finite number of dB, not inf"),
        ({"agreement": 0.0}, "must be above 0 and at most 100 %, not 0 %"),
        ({"agreement": 1.2}, "must be above 0 and at most 100 %, not 120 %"),
        ({"agreement": math.nan}, "must be above 0 and at most 100 %, not nan %"),
    ],
)
def test_refusals(choice: dict, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        Target(**choice)


def test_a_single_score_has_no_agreement() -> None:
    with pytest.raises(TargetError, match="single score decides nothing; give an SQNR"):
        Target(agreement=0.5).reached(near(None, 30.0))

"""Fidelity: against numbers made by hand, and when a result is poor."""

import math

import numpy as np
import pytest
import torch

from intramix.quant.network.fidelity import Fidelity, fidelity


def test_scores_by_hand() -> None:
    exact = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]])
    found = np.array([[3.0, 4.0], [0.0, 1.0], [0.0, 1.0]])
    result = fidelity(exact, found)
    assert result.top1_agreement == pytest.approx(2 / 3)
    assert result.sqnr == pytest.approx(10 * math.log10(30 / 3))
    assert result.images == 3
    assert fidelity(exact, exact.numpy()) == Fidelity(top1_agreement=1.0, sqnr=math.inf, images=3)


def test_a_single_score_decides_nothing() -> None:
    result = fidelity(torch.tensor([[2.0], [4.0]]), np.array([[1.0], [4.0]]))
    assert result.top1_agreement is None
    assert result.sqnr == pytest.approx(10 * math.log10(20))
    assert not result.poor


@pytest.mark.parametrize(
    ("agreement", "sqnr", "poor"), [(0.9, 7.9, True), (0.69, 20.0, True), (0.7, 8.0, False), (None, 3.0, True)]
)
def test_under_8_db_or_70_percent_is_poor(agreement: float | None, sqnr: float, poor: bool) -> None:
    assert Fidelity(top1_agreement=agreement, sqnr=sqnr, images=1).poor is poor

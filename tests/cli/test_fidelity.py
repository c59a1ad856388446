"""The table of fidelity: a poor result is said to be, with what has not been tried."""

import math

import pytest

from intramix.cli.report.fidelity import Tried, advice, fidelity_figures, show_fidelity
from intramix.quant.network.fidelity import Fidelity

NOTHING = Tried(reconstructed=False, trained=False, bits=5)


@pytest.mark.parametrize(("agreement", "sqnr", "warned"), [(0.4, 3.0, True), (0.95, 15.0, False)])
def test_only_a_poor_result_is_warned_of(
    agreement: float, sqnr: float, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = fidelity_figures(Fidelity(top1_agreement=agreement, sqnr=sqnr, images=7), [])
    assert figures is not None
    show_fidelity(figures, NOTHING)
    printed = capsys.readouterr().out
    assert f"{sqnr:.1f} dB" in printed
    assert ("hardly of use" in printed) is warned
    assert ("--reconstruct" in printed) is warned


def test_advice_leaves_out_what_was_tried() -> None:
    assert advice(NOTHING)[0].startswith("--reconstruct")
    assert any(entry.startswith("--bits 6 … 8") for entry in advice(NOTHING))
    everything = " ".join(advice(Tried(reconstructed=True, trained=True, bits=8)))
    assert not any(option in everything for option in ("--reconstruct", "--bits", "--epochs"))


def test_infinite_and_missing_figures() -> None:
    assert fidelity_figures(None, []) is None
    figures = fidelity_figures(Fidelity(top1_agreement=None, sqnr=math.inf, images=1), [])
    assert figures is not None
    assert figures.sqnr_db is None

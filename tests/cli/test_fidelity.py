"""The table to decide by: what it shows of a model, and the warning of a poor one."""

import math

import pytest

from intramix.cli.figures.models import RemedyFigures
from intramix.cli.report.fidelity import fidelity_figures, show_fidelity, show_remedies
from intramix.quant.assignment.cost import NetworkCost
from intramix.quant.network.fidelity import Fidelity

COST = NetworkCost(frames_per_second=1234.56, cycles=1e5, layer_cycles={}, weight_bytes=98765)


def test_the_table_has_what_it_is_and_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    figures = fidelity_figures(Fidelity(top1_agreement=0.4, sqnr=3.0, images=7), COST)
    assert figures is not None
    assert figures.poor
    assert figures.weight_bytes == 98765
    show_fidelity(figures, COST, "pynq-z2")
    printed = capsys.readouterr().out
    for text in ("on pynq-z2", "frames/s, estimated", "40.0 %", "3.0 dB", "1,234.6", "98,765"):
        assert text in printed


def test_several_outputs_have_a_cost_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert fidelity_figures(None, COST) is None
    show_fidelity(None, COST, "zcu102")
    printed = capsys.readouterr().out
    assert "1,234.6" in printed
    assert "%" not in printed


def test_infinite_and_missing_figures() -> None:
    figures = fidelity_figures(Fidelity(top1_agreement=None, sqnr=math.inf, images=1), COST)
    assert figures is not None
    assert figures.sqnr_db is None
    assert figures.top1_agreement is None


def test_remedies_are_said_with_their_cost(capsys: pytest.CaptureFixture[str]) -> None:
    show_remedies([RemedyFigures(option="--keep 8:a", meaning="x", model_frames_per_second=12.34, weight_bytes=5678)])
    printed = capsys.readouterr().out
    for text in ("hardly of use", "8 dB", "70 %", "--keep 8:a", "12.3", "5,678"):
        assert text in printed


def test_an_option_of_many_layers_stands_below_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    option = "--keep 8:" + ",".join(f"blocks.{index}.project" for index in range(30))
    show_remedies([RemedyFigures(option=option, meaning="x", model_frames_per_second=12.34, weight_bytes=5678)])
    printed = capsys.readouterr().out
    assert "--keep 8:blocks.0.project, and 29 more layers" in printed
    assert "12.3" in printed, "no column of figures is left out"
    assert f": {option}\n" in printed

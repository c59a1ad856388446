"""`intramix timing` on a netlist that is there."""

import json

import pytest
from click.testing import CliRunner

from intramix.cli.main import intramix
from tests.support.netlists import flip_flop, lut, module


@pytest.fixture
def netlist(tmp_path):
    path = tmp_path / "netlist.json"
    cells = {"a": flip_flop(11, 10), "l": lut([10], 11)}
    path.write_text(json.dumps({"modules": {"top": module(cells, names={"state": [10], "next": [11]}, top=True)}}))
    return path


def run(*arguments):
    return CliRunner().invoke(intramix, ["timing", *map(str, arguments)])


def test_table_json_and_report(netlist, tmp_path):
    figures, page = tmp_path / "figures.json", tmp_path / "report.html"
    result = run("--netlist", netlist, "--limit", 1, "--json", figures, "--report", page)
    assert result.exit_code == 0, result.output
    written = json.loads(figures.read_text())
    assert {"worst_ns", "clock_hz", "endpoints", "endpoints_over_limit", "limit_ns", "blocks"} <= set(written)
    assert (written["endpoints"], written["endpoints_over_limit"], written["calibrated"]) == (1, 1, True)
    assert written["blocks"][0]["path"]["start"] == "state"
    assert written["clock_hz"] == pytest.approx(1e9 / written["worst_ns"], rel=1e-3)
    assert "state" in page.read_text()


def test_a_clock_is_a_limit(netlist, tmp_path):
    figures = tmp_path / "figures.json"
    assert run("--netlist", netlist, "--clock", 200, "--json", figures).exit_code == 0
    assert json.loads(figures.read_text())["limit_ns"] == 5.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", 5, "--clock", 200], "say the same"),
        (["--clock", 0], "more than 0 MHz"),
        (["--limit", 0], "no clock period"),
    ],
)
def test_questions_that_make_no_sense(netlist, arguments, message):
    result = run("--netlist", netlist, *arguments)
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)


def test_a_file_that_is_no_geometry(netlist, tmp_path):
    path = tmp_path / "geometry.json"
    path.write_text('{"word_channels": 16, "lanes": 3}')
    result = run("--geometry", path, "--netlist", netlist)
    assert "geometry field 'lanes' is unknown" in str(result.exception)
    path.write_text("[]")
    assert "is no geometry" in run("--geometry", path, "--netlist", netlist).output

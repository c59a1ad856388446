"""`intramix build` and `intramix reports`, with a tool that leaves what Vivado would."""

import json
import os
import pathlib
import re
import struct

import pytest
from click.testing import CliRunner

from intramix.cli.main import intramix
from intramix.platforms import block_design

REPORTS = pathlib.Path(__file__).parents[1] / "platforms" / "reports"
BIT = bytes.fromhex("0009 0ff0 0ff0 0ff0 0ff0 00 0001") + b"e" + struct.pack(">I", 8) + bytes(8)
VIVADO = f"""#!/bin/sh
cp {{folder}}/made.bit intramix.bit
cp {REPORTS}/series7_utilization.rpt intramix_utilization_place.rpt
cp {REPORTS}/timing.rpt intramix_timing.rpt
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command on a design without the minutes that the accelerator's Verilog takes."""
    monkeypatch.setattr(block_design, "accelerator_verilog", lambda geometry: "module accelerator ();\nendmodule\n")
    monkeypatch.delenv("AMARANTH_ENV_VIVADO", raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(intramix, arguments, catch_exceptions=True)


@pytest.fixture
def vivado(tmp_path, monkeypatch):
    (tmp_path / "made.bit").write_bytes(BIT)
    tool = tmp_path / "bin" / "vivado"
    tool.parent.mkdir()
    tool.write_text(VIVADO.format(folder=tmp_path))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")


BUILD = ("build", "--board", "pynq-z2", "--flow", "block-design", "-o", "out")


def test_a_clock_above_what_the_paths_allow(run):
    """Said with the clock that they do; nothing is said below it; without an analysis, how to make one."""
    above = run(*BUILD, "--clock", "200", "--prepare-only", "--json", "above.json")
    found = json.loads(pathlib.Path("above.json").read_text())
    assert re.search(r"warning: 200 MHz is above the \d+ MHz that the timing analysis allows", above.output)
    slow = int(found["expected_clock_hz"] / 1e6) - 1
    below = run(*BUILD, "--clock", str(slow), "--prepare-only")
    assert "timing analysis" not in below.output
    unknown = run("build", "--board", "zc706", "--flow", "block-design", "-o", "other", "--prepare-only",
                  "--json", "other.json")  # fmt: skip
    assert json.loads(pathlib.Path("other.json").read_text())["expected_clock_hz"] is None
    assert "is not on record: `intramix timing` analyses them in minutes" in unknown.output


def test_build_prints_the_reports(run, vivado):
    result = run(*BUILD, "--json", "out.json")
    assert result.exit_code == 0, result.output
    assert "37,124" in result.output
    assert "118 endpoints fail: unreliable, build with a lower --clock" in result.output
    assert "report intramix_power.rpt: absent" in result.output
    figures = json.loads(pathlib.Path("out.json").read_text())
    assert figures["bitstream"] == "out/intramix.bit"
    assert figures["reports"]["timing"]["setup_ns"] == -0.231
    again = run("reports", "out")
    assert again.exit_code == 0
    assert "37,124" in again.output


def test_clock_is_in_the_project(run):
    result = run(*BUILD, "--clock", "75", "--prepare-only")
    assert "71.4286 MHz (of 75 asked for)" in result.output
    assert 'CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ "71.428571"' in pathlib.Path("out/intramix.tcl").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (BUILD, "vivado is not on the PATH. The project is complete in out"),
        ((*BUILD, "--ssh", "-oProxyCommand=x"), "is no host for ssh"),
        (("build", "--board", "small", "-o", "out"), "board 'small': there is no device to build for"),
        (("build", "--board", "zybo", "-o", "out"), "board 'zybo' is unknown; the boards are small, pynq-z2"),
        ((*BUILD, "--clock", "0.5"), "0.5 is not in the range"),
        (("reports", "."), "has no report that can be read"),
    ],
)
def test_mistakes(run, arguments, message):
    result = run(*arguments)
    assert result.exit_code != 0
    assert message in f"{result.output}{result.exception}"

"""Runs the cocotb tests of `cocotb_top.py` on a small accelerator."""

import re

import pytest

from intramix.hdl.geometry import Geometry
from intramix.sim.cocotb_runner import run_cocotb
from intramix.sim.errors import SimulatorBuildError

pytestmark = pytest.mark.simulator

SMALL = Geometry(
    word_channels=8, pixel_lanes=2, fixed8_lanes=1, fixed4_lanes=3, lut_lanes=4, activation_depth=1024,
    residual_depth=512, output_depth=512, weight_depth=256, weights_bus_bits=32, maps_bus_bits=32,
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_top_level(tmp_path):
    # The environment's PYTHONPATH is this process' sys.path, which has the project.
    assert run_cocotb(SMALL, "tests.support.cocotb_top", directory=tmp_path) >= 29
    results = (tmp_path / "results.xml").read_text()
    assert len(re.findall("<testcase", results)) >= 29


def test_a_build_that_fails_shows_the_compilers_words(monkeypatch, tmp_path):
    monkeypatch.setenv("INTRAMIX_CACHE", str(tmp_path))
    monkeypatch.setattr("intramix.sim.cocotb_runner.wrapper_text", lambda geometry: "module broken (;\n")
    with pytest.raises(SimulatorBuildError, match=r"(?s)build\.log.*wrapper\.v:1"):
        run_cocotb(SMALL, "tests.support.cocotb_top", directory=tmp_path)

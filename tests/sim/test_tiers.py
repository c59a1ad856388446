"""A test without the mark `simulator` cannot start one, in no way."""

import subprocess
import sys

import pytest

from intramix.sim.cache import CacheError
from intramix.sim.cocotb_runner import run_cocotb
from intramix.sim.verilator import build_library
from tests.support import copying, verilated
from tests.support.small import SMALL
from tests.support.tiers import simulators_are_forbidden


def test_no_library():
    assert simulators_are_forbidden()
    with pytest.raises(CacheError, match="tests that start a simulator are marked `simulator`"):
        build_library("module top; endmodule", (), top="top")
    with pytest.raises(CacheError, match="marked `simulator`"):
        copying.simulation()


def test_no_cocotb(tmp_path):
    with pytest.raises(CacheError, match="marked `simulator`"):
        run_cocotb(SMALL, "tests.support.cocotb_top", directory=tmp_path)


def test_no_verilated_component(tmp_path):
    with pytest.raises(RuntimeError, match="marked `simulator`"):
        verilated.build(None, "top", "", tmp_path)


def test_no_process_that_simulates():
    script = "from tests.support import copying; copying.simulation()"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode
    assert "marked `simulator`" in run.stderr


@pytest.mark.simulator
def test_the_mark_allows_it():
    assert not simulators_are_forbidden()

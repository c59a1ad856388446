"""`intramix hls` as a person types it."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from intramix.quant.graph.fileformat import load, save
from intramix.quant.graph.random_graph import FormatMix, random_graph
from tests.support.kernels import KERNEL_KINDS

pytestmark = pytest.mark.slow


def intramix(*arguments):
    command = [sys.executable, "-m", "intramix.cli.main", "hls", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("hls") / "model.imx"
    save(random_graph(1, kinds=KERNEL_KINDS, blocks=3, mix=FormatMix(1, 4, 0)), path)
    return path


def test_project_for_a_board(model, tmp_path):
    run = intramix("--board", "zcu102", "-o", tmp_path / "p", "--model", model, "--json", tmp_path / "figures.json")
    assert run.returncode == 0, run.stderr
    for name in ("csim", "csynth", "cosim", "export"):
        assert "xczu9eg-ffvb1156-2-e" in (tmp_path / "p" / "tcl" / f"{name}.tcl").read_text()
    for name in ("src/top.cpp", "include/intramix/convolution.h", "generated/parameters.h", "vectors/manifest.txt"):
        assert (tmp_path / "p" / name).is_file()
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["part"] == "xczu9eg-ffvb1156-2-e"
    own = load(model).name
    assert list(figures["model"]) == [own, "resnet18", "resnet50", "mobilenet_v2"]
    assert figures["model"][own]["cycles"] > 0
    (row,) = (line for line in run.stdout.splitlines() if line.startswith(f"│ {own} "))
    assert f"{figures['model'][own]['cycles']:,}" in row
    assert "resnet18, 224 × 224" in run.stdout


def test_unknown_board(tmp_path):
    run = intramix("--board", "zybo", "-o", tmp_path / "p")
    assert run.returncode == 1
    assert "'zybo' has no HLS build; those that have are small, pynq-z2, zc706, zcu102" in run.stderr
    assert "Traceback" not in run.stderr


def test_unknown_model(tmp_path):
    run = intramix("-o", tmp_path / "p", "--model", "nothing.imx")
    assert run.returncode == 2
    assert "'nothing.imx' is neither demo nor a file" in run.stderr


def test_folder_of_something_else(model, tmp_path):
    (tmp_path / "thesis.tex").touch()
    run = intramix("-o", tmp_path, "--model", model)
    assert run.returncode == 1
    assert "is not empty and is no HLS project" in run.stderr


@pytest.mark.long
def test_everything_is_simulated(tmp_path):
    run = intramix("--board", "pynq-z2", "-o", tmp_path / "p", "--layers", "--run", "--json", tmp_path / "figures.json")
    assert run.returncode == 0, run.stdout + run.stderr
    simulations = json.loads((tmp_path / "figures.json").read_text())["simulations"]
    assert len(simulations) == 3 + 1 + 16
    assert all(entry["passed"] for entry in simulations)


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 3)])
def test_exit_code_of_a_mismatch(model, tmp_path, monkeypatch, passed, code):
    from intramix.cli.commands import hls as command
    from intramix.hls_reference.csim import NETWORK_BENCH, UNIT_BENCHES, BenchRun

    monkeypatch.setattr(command, "compile_benches", lambda *_, **__: dict.fromkeys((*UNIT_BENCHES, NETWORK_BENCH)))
    monkeypatch.setattr(command, "run_bench", lambda *_, **__: BenchRun("bench", passed, "text", 0.0))
    arguments = ["--board", "small", "-o", str(tmp_path / "p"), "--model", str(model), "--run"]
    assert CliRunner().invoke(command.hls, arguments).exit_code == code

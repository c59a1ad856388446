"""Every Tcl script runs to its end under plain tclsh, with stubs that check and record the tool's commands."""

import pytest

from intramix.hls_reference.builds import BUILDS
from intramix.hls_reference.generate import SCRIPTS, script
from tests.tcl.tclsh import calls, needs_tclsh
from tests.tcl.tclsh import run as run_tclsh

pytestmark = needs_tclsh

PARTS = {"pynq-z2": "xc7z020clg400-1", "zc706": "xc7z045ffg900-2", "zcu102": "xczu9eg-ffvb1156-2-e"}
LAST = {"csim": "csim_design", "csynth": "csynth_design", "cosim": "cosim_design", "export": "export_design"}


def run(path, failing=""):
    return run_tclsh("vivado_hls", path, failing=failing)


@pytest.fixture
def folder(tmp_path):
    """A project folder with all that scripts look for."""
    for name in ("vectors/manifest.txt", "src/top.cpp", "testbench/network_tb.cpp"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "tcl").mkdir()
    return tmp_path


def written(folder, name, board):
    path = folder / "tcl" / f"{name}.tcl"
    path.write_text(script(name, BUILDS[board]))
    return path


@pytest.mark.parametrize("board", PARTS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_script_runs_to_its_end(folder, name, board):
    result = run(written(folder, name, board))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    made = calls(result)
    names = [call.split()[0] for call in made]
    start = ["open_project", "set_top", "add_files", "add_files", "open_solution", "set_part", "create_clock"]
    assert names[: len(start)] == start
    assert names[-1] == LAST[name]
    assert names[len(start) :] == [*(["csynth_design"] if name in ("cosim", "export") else []), LAST[name]]
    assert made[1] == "set_top top"
    assert made[5] == f"set_part {PARTS[board]}"
    assert f"-period {1e9 / BUILDS[board].clock_hz:.3f}" in made[6]
    assert f"{folder}/src/top.cpp" in made[2]
    assert made[3].startswith("add_files -tb ")
    assert "REACHED" not in result.stdout  # it ends with exit
    if name == "csim":
        assert f"{folder}/vectors" in made[-1]
    if name == "cosim":
        assert f"{folder}/vectors layerwise" in made[-1]


@pytest.mark.parametrize("name", SCRIPTS)
def test_failure_of_the_tool_is_the_script_s(folder, name):
    result = run(written(folder, name, "pynq-z2"), LAST[name])
    assert result.returncode == 1
    assert "failed: the tool refuses" in result.stderr


def test_missing_vectors(folder):
    (folder / "vectors" / "manifest.txt").unlink()
    result = run(written(folder, "csim", "pynq-z2"))
    assert result.returncode == 1
    assert "run `intramix hls` again" in result.stderr
    assert not calls(result)


def test_folders_that_scripts_include_are_in_a_project(project):
    for name in SCRIPTS:
        result = run(project / "tcl" / f"{name}.tcl")
        assert result.returncode == 0, result.stderr
        for call in calls(result):
            if call.startswith("add_files"):
                included = [word.strip("{}")[2:] for word in call.split() if word.strip("{}").startswith("-I/")]
                assert len(included) == 3
                assert all((project / path).is_dir() for path in included)

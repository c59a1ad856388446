"""Vivado's scripts run to their end under plain tclsh, against stubs that model a project, a packager and a block
design: unknown commands, options, parts, files, cells, pins, parameters and addresses are errors, as they are there."""

import pytest

from intramix.platforms import block_design, rtl_project
from intramix.platforms.boards import BOARDS, board
from tests.support.distinct import DISTINCT
from tests.tcl.tclsh import calls, needs_tclsh, run

pytestmark = needs_tclsh

PARTS = {"xc7z007sclg400-1", "xc7z010clg400-1", "xc7z020clg400-1", "xc7z045ffg900-2", "xczu9eg-ffvb1156-2-e",
         "xczu15eg-ffvb1156-2-e"}  # fmt: skip
BOARD_PARTS = {
    "pynq-z2": "tul.com.tw:pynq-z2:part0:1.0", "pynq-z2-lut": "tul.com.tw:pynq-z2:part0:1.0",
    "pynq-z2-open": "tul.com.tw:pynq-z2:part0:1.0",
    "pynq-z1": "www.digilentinc.com:pynq-z1:part0:1.0", "arty-z7-20": "digilentinc.com:arty-z7-20:part0:1.1",
    "cora-z7-10": "digilentinc.com:cora-z7-10:part0:1.1", "cora-z7-07s": "digilentinc.com:cora-z7-07s:part0:1.1",
    "microzed-7010": "em.avnet.com:microzed_7010:part0:1.3", "microzed-7020": "em.avnet.com:microzed_7020:part0:1.3",
    "zc706": "xilinx.com:zc706:part0:1.4", "zcu102": "xilinx.com:zcu102:part0:3.4",
}  # fmt: skip
FLOWS = {"rtl": rtl_project, "block-design": block_design}
BUILDABLE = [name for name, entry in BOARDS.items() if entry.part]


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Prepares a project without the minutes that the accelerator's Verilog takes."""

    def prepare(name, flow):
        monkeypatch.setattr(FLOWS[flow], "accelerator_verilog", lambda geometry: "module accelerator ();\nendmodule\n")
        return FLOWS[flow].prepare(board(name), board(name).geometry, tmp_path / "project")

    return prepare


def vivado(project, *, failing="", boards=True, **variables):
    variables.setdefault("PARTS", " ".join(PARTS))
    known = " ".join(BOARD_PARTS.values()) if boards else ""
    return run("vivado", project.folder / "intramix.tcl", failing=failing, BOARD_PARTS=known, **variables)


@pytest.mark.parametrize("name", DISTINCT)
def test_rtl_project(prepared, name):
    project = prepared(name, "rtl")
    result = vivado(project)
    assert (result.stderr, result.returncode) == ("", 0)
    assert result.stdout.rstrip().endswith("REACHED")
    made = calls(result)
    assert made[-2:] == ["write_bitstream -force -bin_file intramix.bit", "quit"]
    assert f"create_clock -name clock -period {1e9 / project.clock_hz} system/clock" in made
    assert "set_false_path -to reset/stage0/PRE" in made
    assert {"intramix_utilization_place.rpt", "intramix_timing.rpt", "intramix_power.rpt", "intramix.bit"} <= {
        path.name for path in project.folder.iterdir()
    }


@pytest.mark.parametrize("boards", [True, False], ids=["board-files", "no-board-files"])
@pytest.mark.parametrize("name", BUILDABLE)
def test_block_design(prepared, name, boards):
    project = prepared(name, "block-design")
    result = vivado(project, boards=boards)
    assert (result.stderr, result.returncode) == ("", 0)
    assert result.stdout.rstrip().endswith("REACHED")
    files = {path.name for path in project.folder.iterdir()}
    assert files >= {"intramix.bit", "intramix.hwh", "intramix.xsa", "intramix_utilization_place.rpt",
                     "intramix_timing.rpt", "intramix_power.rpt"}  # fmt: skip
    assert (project.folder / "ip" / "component.xml").exists()
    base = "0x43C00000" if project.board.part.name.startswith("xc7z") else "0xA0000000"
    (registers,) = (call for call in calls(result) if call.endswith("/accelerator/s_axi/reg0 -force"))
    assert f"-offset {base} -range 65536 -target_address_space /system/Data" in registers
    installed = boards and name in BOARD_PARTS
    assert (f"set_property board_part {BOARD_PARTS.get(name)} project" in calls(result)) == installed
    assert ("WARNING: Vivado has no files of" in result.stdout) == (not installed)


@pytest.mark.parametrize("flow", FLOWS)
def test_unknown_part(prepared, flow):
    result = vivado(prepared("zcu102", flow), PARTS="xc7z020clg400-1")
    assert result.returncode == 1
    assert "unknown part: xczu9eg-ffvb1156-2-e" in result.stderr


@pytest.mark.parametrize("flow", FLOWS)
def test_missing_source(prepared, flow):
    project = prepared("pynq-z2", flow)
    (project.folder / "accelerator.v").unlink()
    result = vivado(project)
    assert result.returncode == 1
    assert "no such file: accelerator.v" in result.stderr


@pytest.mark.parametrize("flow", FLOWS)
def test_failing_tool_ends_the_script(prepared, flow):
    result = vivado(prepared("pynq-z2", flow), failing="report_power")
    assert result.returncode == 1
    assert "the tool refuses" in result.stderr
    assert "REACHED" not in result.stdout


def test_implementation_that_does_not_end_makes_no_bitstream(prepared):
    project = prepared("pynq-z2", "block-design")
    result = vivado(project, PROGRESS="60%")
    assert result.returncode == 1
    assert "the run impl_1 ended with: route_design ERROR" in result.stderr
    assert not project.bit.exists()


MISTAKES = [
    ("create_bd_cell -type ip -vlnv intramix:hdl:accelerator:1.0 accelerator\n", "", "no cell accelerator"),
    ("accelerator/aclk]", "accelerator/clk]", "no pin accelerator/clk"),
    ("    [get_bd_pins system/S_AXI_HP2_ACLK] \\\n", "", "pin system/S_AXI_HP2_ACLK is not connected"),
    ('CONFIG.PCW_USE_S_AXI_HP3 "1"', 'CONFIG.PCW_USE_S_AXI_HP3 "0"', "no interface system/S_AXI_HP3"),
    ("PCW_USE_FABRIC_INTERRUPT", "PCW_USE_INTERRUPT", "processing_system7 has no parameter PCW_USE_INTERRUPT"),
    ('CONFIG.MI_PROTOCOL "AXI3"', 'CONFIG.MI_PROTOCOL "AXI4"', "_access/M_AXI is AXI4, system/S_AXI_HP0 is AXI3"),
    ("0x43C10000", "0x43C08000", "0x43C08000 is no multiple of 65536"),
    ("0x43C10000", "0x43C00000", "overlaps"),
    ("S_AXI_HP1/HP1_DDR_LOWOCM", "S_AXI_HP0/HP0_DDR_LOWOCM", "is not reached from"),
    ("axi_intc interrupts", "axi_interrupts interrupts", "no IP xilinx.com:ip:axi_interrupts"),
    ("write_hw_platform -fixed", "write_hw_platform -fixd", "unknown option -fixd"),
    ("launch_runs", "launch_run", 'invalid command name "launch_run"'),
]


def test_segment_that_is_left_open(prepared):
    project = prepared("zcu102", "block-design")
    script = project.folder / "intramix.tcl"
    script.write_text(script.read_text().replace("foreach other {QSPI LPS_OCM}", "foreach other {QSPI}"))
    result = vivado(project)
    assert result.returncode == 1
    assert "_LPS_OCM is neither mapped nor excluded in /accelerator/m_axi_" in result.stderr


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes_are_found(prepared, right, wrong, message):
    """What the checks above are worth: a script with one mistake does not pass."""
    project = prepared("pynq-z2", "block-design")
    script = project.folder / "intramix.tcl"
    text = script.read_text()
    assert right in text
    script.write_text(text.replace(right, wrong))
    result = vivado(project)
    assert result.returncode == 1
    assert message in result.stderr

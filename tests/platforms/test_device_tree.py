"""Device-tree overlays: what they add to a tree, read by Zephyr's parser, and compiled where `dtc` is installed."""

import os
import shutil
import subprocess

import pytest
from devicetree.dtlib import DT, DTError

from intramix.platforms.boards import board
from intramix.platforms.device_tree import overlay_source
from intramix.platforms.errors import ToolError
from intramix.platforms.project import finish
from intramix.platforms.zynq.systems import PS7, board_system
from tests.support.bitstreams import bit
from tests.support.distinct import DISTINCT
from tests.support.tools import fake_tool, on_path

HEADER = "/dts-v1/;\n/plugin/;\n"
TREE = """/dts-v1/;
/ {{
\t#address-cells = <{cells}>;
\t#size-cells = <{cells}>;
\tfpga_full: fpga-full {{ }};
\t{controller}: interrupt-controller {{
\t\tinterrupt-controller;
\t\t#interrupt-cells = <3>;
\t}};
}};
"""
"""What a board's Linux has of the nodes that an overlay refers to."""


def source_of(name):
    return overlay_source(board(name).geometry, board_system(board(name)))


def extended(name, folder, source):
    """A board's tree with an overlay laid over it."""
    zynq = board_system(board(name)) is PS7
    path = folder / "tree.dts"
    tree = TREE.format(cells=1 if zynq else 2, controller="intc" if zynq else "gic")
    path.write_text(tree + source.removeprefix(HEADER))
    return DT(str(path))


def numbers(node, name):
    return node.props[name].to_nums()


@pytest.mark.parametrize("name", DISTINCT)
def test_overlay_extends_a_tree(tmp_path, name):
    assert source_of(name).startswith(HEADER)
    tree, system = extended(name, tmp_path, source_of(name)), board_system(board(name))
    region, accelerator = tree.label2node["fpga_full"], tree.label2node["intramix"]
    assert region.props["firmware-name"].to_string() == "intramix.bin"
    assert accelerator.parent is region
    assert accelerator.name == f"accelerator@{system.base:x}"
    cells = numbers(region, "#address-cells")[0]
    assert numbers(region, "#size-cells") == [cells]
    window = [system.base, 0x10000] if cells == 1 else [0, system.base, 0, 0x10000]
    assert numbers(accelerator, "reg") == window
    assert accelerator.props["interrupt-parent"].to_node().name == "interrupt-controller"
    assert numbers(accelerator, "interrupts") == [0, system.direct_interrupt - 32, 4]  # shared interrupts begin at 32


def test_widths_of_the_memory_ports(tmp_path):
    assert "afi0" not in extended("pynq-z2", tmp_path, source_of("pynq-z2")).label2node
    pairs = numbers(extended("zcu102", tmp_path, source_of("zcu102")).label2node["afi0"], "config-afi")
    widths = dict(zip(pairs[::2], pairs[1::2]))
    assert widths[4] == widths[5] == widths[2] == widths[3] == 0  # 128 bits
    assert widths[12] == widths[13] == 1  # the instructions' port is 64 bits wide
    assert widths[14] == 0


def test_an_overlay_that_refers_to_nothing_is_found(tmp_path):
    with pytest.raises(DTError, match="undefined node label 'nowhere'"):
        extended("pynq-z2", tmp_path, source_of("pynq-z2").replace("&intc", "&nowhere"))


@pytest.fixture
def made(tmp_path):
    """A bitstream with its overlay beside it."""
    path = tmp_path / "intramix.bit"
    path.write_bytes(bit())
    path.with_suffix(".dts").write_text(source_of("pynq-z2"))
    return path


def test_finish_compiles_the_overlay(made, tmp_path, monkeypatch):
    fake_tool(tmp_path / "bin", "dtc", 'echo "$@" > arguments; cp "$8" "$7"')
    on_path(tmp_path / "bin", monkeypatch)
    monkeypatch.chdir(tmp_path)
    finish(made)
    overlay = made.with_suffix(".dtbo")
    assert (tmp_path / "arguments").read_text() == f"-@ -I dts -O dtb -o {overlay} {made.with_suffix('.dts')}\n"
    assert overlay.read_text() == source_of("pynq-z2")


def test_finish_shows_what_the_compiler_says(made, tmp_path, monkeypatch):
    fake_tool(tmp_path / "bin", "dtc", "echo 'Error: intramix.dts:2.1-8 syntax error' >&2; exit 1")
    on_path(tmp_path / "bin", monkeypatch)
    with pytest.raises(ToolError, match=r"(?s)dtc failed on .*intramix\.dts.*syntax error"):
        finish(made)


@pytest.mark.skipif(shutil.which("dtc") is None, reason="dtc is missing: apt-get install device-tree-compiler")
@pytest.mark.parametrize("name", DISTINCT)
def test_dtc_compiles_it_without_a_warning(tmp_path, name):
    path = tmp_path / "intramix.bit"
    path.write_bytes(bit())
    path.with_suffix(".dts").write_text(source_of(name))
    finish(path)
    assert path.with_suffix(".dtbo").read_bytes()[:4] == bytes.fromhex("d00dfeed")
    check = ["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", os.devnull, str(path.with_suffix(".dts"))]
    assert subprocess.run(check, capture_output=True, text=True, check=True).stderr == ""

"""Builds on another machine: `ssh` is a script that runs the command in another home, with other tools on the PATH."""

import io
import tarfile

import pytest

from intramix.platforms import block_design, remote, vivado
from intramix.platforms.boards import board
from intramix.platforms.errors import BitstreamError, ToolError
from intramix.platforms.remote import Remote
from tests.support.bitstreams import WORDS, bit
from tests.support.tools import fake_tool, on_path

SSH = """
echo "$*" >> {folder}/ssh.log
[ "$1 $2 $3" = "-o BatchMode=yes --" ] || exit 99
[ "$4" = user@bench ] || {{ echo "ssh: Could not resolve hostname $4" >&2; exit 255; }}
export HOME={folder}/home PATH={folder}/there:/usr/bin:/bin
cd && exec sh -c "$5"
"""
VIVADO = """
[ "$(pwd)" = "$(dirname "$(readlink -f intramix.tcl)")" ] && [ -f accelerator.v ] && [ -f package_ip.tcl ] || exit 9
[ -e intramix_timing.rpt ] && exit 8
cp {folder}/made.bit intramix.bit
echo "settings: $AMARANTH_ENV_VIVADO" > intramix.log
echo hardware > intramix.hwh; echo platform > intramix.xsa; echo report > intramix_timing.rpt; mkdir -p project
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(block_design, "accelerator_verilog", lambda geometry: "module accelerator ();\nendmodule\n")
    monkeypatch.delenv("AMARANTH_ENV_VIVADO", raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "made.bit").write_bytes(bit())
    fake_tool(tmp_path / "here", "ssh", SSH.format(folder=tmp_path))
    fake_tool(tmp_path / "there", "vivado", VIVADO.format(folder=tmp_path))
    on_path(tmp_path / "here", monkeypatch)
    return block_design.prepare(board("pynq-z2"), board("pynq-z2").geometry, tmp_path / "my project")


def test_project_goes_there_and_results_come_back(project, tmp_path, monkeypatch):
    (tmp_path / "settings 64.sh").write_text("MARK=set\n")
    monkeypatch.setenv("AMARANTH_ENV_VIVADO", str(tmp_path / "settings 64.sh"))
    for _ in range(2):  # the second time, results of the first are there and here
        path = vivado.run(project, Remote("user@bench"))
        assert path.read_bytes() == bit()
        assert path.with_suffix(".bin").read_bytes()[:4] == WORDS[3::-1]
        names = {entry.name for entry in project.folder.iterdir()}
        assert names >= {"intramix.hwh", "intramix.xsa", "intramix.log", "intramix_timing.rpt"}
        assert "project" not in names
        assert "code" not in names
        assert (project.folder / "intramix.log").read_text() == f"settings: {tmp_path}/settings 64.sh\n"
    (there,) = (tmp_path / "home" / "intramix-builds").iterdir()
    assert there.name.startswith("my_project-")


def test_failure_there_shows_the_end_of_the_log(project, tmp_path):
    fake_tool(tmp_path / "there", "vivado", "echo 'ERROR: [Place 30-640] too many LUTs' > intramix.log; exit 1")
    with pytest.raises(ToolError, match=r"vivado failed .exit code 1.*\n.*too many LUTs"):
        vivado.run(project, Remote("user@bench"))


def test_vivado_is_missing_there(project, tmp_path):
    (tmp_path / "there" / "vivado").unlink()
    with pytest.raises(ToolError, match=r"vivado is not found on user@bench: name its settings64.sh"):
        vivado.run(project, Remote("user@bench"))


def test_host_that_is_not_reached(project):
    with pytest.raises(ToolError, match=r"user@nowhere is not reached .*ssh said: ssh: Could not resolve hostname"):
        vivado.run(project, Remote("user@nowhere"))


def test_host_without_tar(project, tmp_path):
    fake_tool(tmp_path / "there", "tar", "echo 'tar: disk full' >&2; exit 2")
    with pytest.raises(ToolError, match=r"user@bench cannot copy the project .exit code 2.; it said: tar: disk full"):
        vivado.run(project, Remote("user@bench"))


def test_archive_that_is_cut_short(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(__file__, arcname="code")
    for content in (b"Welcome!\n", buffer.getvalue()[:100], buffer.getvalue()):
        with pytest.raises(ToolError, match="is no whole archive of results"):
            remote._unpack(content, tmp_path)


@pytest.mark.parametrize("host", ["-oProxyCommand=evil", "", "two words", "user@host;rm"])
def test_names_that_are_no_hosts(host):
    with pytest.raises(BitstreamError, match="is no host for ssh"):
        Remote(host)


def test_no_ssh_here(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError, match="ssh is not on the PATH: apt-get install openssh-client"):
        Remote("bench")

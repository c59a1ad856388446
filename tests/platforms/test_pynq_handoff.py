"""The hand-off files read by PYNQ's own parsers."""

import pytest

hwh_parser = pytest.importorskip("pynq.pl_server.hwh_parser", reason="the pynq package has an environment of its own")

from intramix.hdl.registers import OFFSET  # noqa: E402
from intramix.platforms.boards import board  # noqa: E402
from intramix.platforms.hardware_handoff import handoff  # noqa: E402
from intramix.platforms.zynq.systems import REGISTER_WINDOW  # noqa: E402

CASES = [
    ("pynq-z2", "_HWHZynq", 0x43C0_0000, 61),
    ("zc706", "_HWHZynq", 0x43C0_0000, 61),
    ("zcu102", "_HWHUltrascale", 0xA000_0000, 121),
    ("zu15eg", "_HWHUltrascale", 0xA000_0000, 121),
]


@pytest.mark.parametrize(("name", "parser", "address", "interrupt"), CASES)
def test_device_parser(name, parser, address, interrupt):
    read = getattr(hwh_parser, parser)(hwh_data=handoff(board(name), board(name).geometry))
    entry = read.ip_dict["accelerator"]
    assert entry["phys_addr"] == address
    assert {key: value["address_offset"] for key, value in entry["registers"].items()} == OFFSET
    assert entry["interrupts"]["interrupt"]["controller"] == "interrupts"
    assert read.interrupt_controllers == {"interrupts": {"parent": "", "index": 0, "raw_irq": interrupt}}
    assert read.ip_dict["interrupts"]["phys_addr"] == address + REGISTER_WINDOW
    assert read.clock_dict[0] == {"enable": 1, "divisor0": 10, "divisor1": 1}


@pytest.mark.parametrize(("name", "address", "interrupt"), [(case[0], *case[2:]) for case in CASES])
def test_metadata_parser(tmp_path, name, address, interrupt):
    frontends = pytest.importorskip("pynqmetadata.frontends")
    runtime = pytest.importorskip("pynq.metadata.runtime_metadata_parser")
    path = tmp_path / "intramix.hwh"
    path.write_text(handoff(board(name), board(name).geometry))
    read = runtime.RuntimeMetadataParser(frontends.Metadata(input=path))
    entry = read.ip_dict["accelerator"]
    assert entry["phys_addr"] == address
    assert {key: value["address_offset"] for key, value in entry["registers"].items()} == OFFSET
    assert entry["interrupts"]["interrupt"]["controller"] == "interrupts"
    assert dict(read.interrupt_controllers) == {"interrupts": {"parent": "", "index": 0, "raw_irq": interrupt}}
    assert read.interrupt_pins["accelerator/interrupt"]["controller"] == "interrupts"

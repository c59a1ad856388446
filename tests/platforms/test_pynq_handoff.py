"""The hand-off files read by PYNQ's own parsers."""

import pytest

hwh_parser = pytest.importorskip("pynq.pl_server.hwh_parser", reason="the pynq package has an environment of its own")

from intramix.hdl.registers import OFFSET  # noqa: E402
from intramix.platforms.boards import board  # noqa: E402
from intramix.platforms.hardware_handoff import handoff  # noqa: E402

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
    assert entry["interrupts"]["interrupt"]["raw_irq"] == interrupt
    assert read.clock_dict[0] == {"enable": 1, "divisor0": 10, "divisor1": 1}


@pytest.mark.parametrize(("name", "address"), [(name, address) for name, _, address, _ in CASES])
def test_metadata_parser(tmp_path, name, address):
    frontends = pytest.importorskip("pynqmetadata.frontends")
    runtime = pytest.importorskip("pynqmetadata.views.runtime")
    path = tmp_path / "intramix.hwh"
    path.write_text(handoff(board(name), board(name).geometry))
    read = runtime.RuntimeMetadataParser(frontends.Metadata(input=path))
    entry = read.ip_dict["accelerator"]
    assert entry["phys_addr"] == address
    assert {key: value["address_offset"] for key, value in entry["registers"].items()} == OFFSET

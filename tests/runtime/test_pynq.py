"""The driver through the real `pynq` package on the simulated accelerator: what `make pynq-test` runs.

Overlay, MMIO, allocate (with caches that must be flushed), Interrupt and Clocks are PYNQ's own.
"""

import asyncio
import dataclasses
import json
import pathlib

import numpy as np
import pytest

pynq = pytest.importorskip("pynq", reason="the pynq package has an environment of its own: make pynq-test")

from intramix.compiler.compile import compile_graph
from intramix.compiler.program.fileformat import save
from intramix.compiler.selftest import with_selftest
from intramix.platforms.boards import board as find_board
from intramix.platforms.hardware_handoff import handoff
from intramix.quant.graph.random_graph import random_codes, random_graph
from intramix.runtime.driver import Driver
from intramix.runtime.errors import DeviceError, NoAcceleratorError, RunTimeout, SignatureMismatch
from intramix.runtime.pynq import PynqDevice
from intramix.runtime.pynq_simulated import ENTRY, hand_off, install
from intramix.runtime.selftest import selftest
from intramix.runtime.verification import verify
from tests.support.small import FAST, SMALL, check_outputs

pytestmark = pytest.mark.simulator


@pytest.fixture(scope="module")
def graph():
    return random_graph(31, activation_bits=5, blocks=4, size=(9, 8), channels=(8, 20))


@pytest.fixture(scope="module")
def program(graph):
    return with_selftest(compile_graph(graph, SMALL), graph)


@pytest.fixture
def bitstream(tmp_path):
    path = tmp_path / "intramix.bit"
    path.write_bytes(b"a bitstream")
    path.with_suffix(".hwh").write_text("its hand-off")
    return path


@pytest.fixture
def board():
    device = install(SMALL, FAST, metadata=hand_off(ENTRY))
    yield device
    device.accelerator.close()


@pytest.fixture
def driver(board, bitstream, program):
    with PynqDevice(bitstream) as device:
        driver = Driver(device)
        driver.load(program)
        yield driver


def test_batch(driver, graph):
    images = random_codes(graph, 1, images=3)
    check_outputs(graph, images, driver.run(images))


def test_program_of_two_images(driver, graph):
    driver.load(with_selftest(compile_graph(graph, SMALL, batch=2), graph))
    images = random_codes(graph, 1, images=3)
    check_outputs(graph, images, driver.run(images))
    assert verify(driver, graph, images).passed
    assert selftest(driver).passed


def test_every_map_and_every_crc(driver, graph):
    assert verify(driver, graph, random_codes(graph, 2)).passed
    assert selftest(driver).passed


def test_interrupt(driver, board, graph):
    images = random_codes(graph, 3, images=3)
    check_outputs(graph, images, asyncio.run(driver.run_async(images)))
    assert board.interrupt.count >= 3
    assert driver.device.polls is None


def test_interrupt_in_the_loop_of_a_notebook(driver, graph):
    """Two runs of one event loop, and a blocking one between them."""
    images = random_codes(graph, 4, images=2)

    async def cells():
        check_outputs(graph, images, await driver.run_async(images))
        check_outputs(graph, images, driver.run(images))
        check_outputs(graph, images, await driver.run_async(images))

    asyncio.run(cells())


def test_another_event_loop(driver, graph):
    """The interrupt belongs to the loop that first awaited it; another one polls."""
    images = random_codes(graph, 4, images=2)
    check_outputs(graph, images, asyncio.run(driver.run_async(images)))
    assert driver.device.polls is None
    check_outputs(graph, images, asyncio.run(driver.run_async(images)))
    assert "another event loop" in driver.device.polls


def test_polling_where_there_is_no_interrupt(board, bitstream, program, graph):
    board.metadata = hand_off({**ENTRY, "interrupts": {}})
    images = random_codes(graph, 5, images=2)
    with PynqDevice(bitstream) as device:
        driver = Driver(device)
        driver.load(program)
        check_outputs(graph, images, asyncio.run(driver.run_async(images)))
        assert "no interrupt" in device.polls
    assert board.interrupt.count == 0


def test_polling_where_linux_has_no_uio_device(driver, graph):
    pynq.interrupt._InterruptController._uio_devices.clear()
    images = random_codes(graph, 5, images=2)
    check_outputs(graph, images, asyncio.run(driver.run_async(images)))
    assert "UIO device" in driver.device.polls


def test_overlay_loaded_before(board, bitstream, program, graph):
    overlay = pynq.Overlay(str(bitstream))
    assert overlay.is_loaded()
    with PynqDevice(overlay, ip="intramix_0", clock_hz=2000.0) as device:
        driver = Driver(device)
        driver.load(program)
        images = random_codes(graph, 6)
        check_outputs(graph, images[None], driver.run(images))


def test_hand_off_that_vivado_wrote(bitstream, program, graph):
    """PYNQ's own parser, on a file of PYNQ's tests in which one block is called an accelerator: its address counts."""
    import pynqmetadata

    written = pathlib.Path(pynqmetadata.__file__).parent / "tests" / "hwhs" / "resizer.hwh"
    text = written.read_text().replace("resize_accel", "intramix")
    bitstream.with_suffix(".hwh").write_text(text)
    board = install(SMALL, FAST)
    with PynqDevice(bitstream) as device:
        assert board.base_address == 0x43C0_0000
        assert pynq.Clocks._real_instance.told[0][:3] == (0, 4, 4)
        driver = Driver(device)
        driver.load(program)
        images = random_codes(graph, 6)
        check_outputs(graph, images[None], driver.run(images))
    board.accelerator.close()


def test_hand_off_that_intramix_writes(bitstream, program, graph):
    """Of the design in RTL alone, by PYNQ's own parser: the interrupt comes through its controller."""
    entry = find_board("pynq-z2")
    bitstream.with_suffix(".hwh").write_text(handoff(entry, entry.geometry))
    board = install(SMALL, FAST)
    with PynqDevice(bitstream) as device:
        assert board.base_address == 0x43C0_0000
        assert board.controller_address == 0x43C1_0000
        driver = Driver(device)
        driver.load(program)
        images = random_codes(graph, 6, images=3)
        check_outputs(graph, images, asyncio.run(driver.run_async(images)))
        assert device.polls is None
        assert board.interrupt.count >= 3
        assert selftest(driver).passed
    board.accelerator.close()


def test_missing_files(board, bitstream):
    bitstream.with_suffix(".hwh").unlink()
    with pytest.raises(DeviceError, match=r"intramix.hwh does not exist: copy the .bit file and the .hwh"):
        PynqDevice(bitstream)


def test_no_device(board, bitstream, monkeypatch):
    """As on a board whose shell did not read XRT's settings."""
    monkeypatch.setattr(type(pynq.Device), "active_device", property(refuse))
    monkeypatch.delenv("XILINX_XRT", raising=False)
    with pytest.raises(DeviceError, match=r"intramix.bit: No Devices Found; XILINX_XRT is not set: . /etc/profile.d"):
        PynqDevice(bitstream)


def refuse(cls):
    raise RuntimeError("No Devices Found")


def test_unknown_block(board, bitstream):
    with pytest.raises(DeviceError, match=r"no block 'dma': the overlay has intramix_0"):
        PynqDevice(bitstream, ip="dma")


def test_overlay_without_an_accelerator(board, bitstream):
    board.metadata = hand_off({**ENTRY, "type": "xilinx.com:ip:axi_dma:7.1", "fullpath": "dma_0"})
    with pytest.raises(DeviceError, match="no block of the overlay is an Intramix accelerator: the overlay has dma_0"):
        PynqDevice(bitstream)


def test_something_else_at_the_address(board, bitstream, monkeypatch):
    monkeypatch.setattr(board.accelerator, "read_offset", lambda offset: 0xDEADBEEF)
    with PynqDevice(bitstream) as device, pytest.raises(NoAcceleratorError, match="0xdeadbeef"):
        Driver(device)


def test_bitstream_of_another_geometry(driver, program, graph):
    other = compile_graph(graph, dataclasses.replace(SMALL, weight_depth=512))
    with pytest.raises(SignatureMismatch, match="load the bitstream of that geometry"):
        driver.load(other)
    images = random_codes(graph, 1)
    check_outputs(graph, images[None], driver.run(images))  # the program before is still there


def test_memory_that_cannot_be_allocated(driver, program, graph):
    hungry = dataclasses.replace(program, sizes=program.sizes | {"WORKSPACE": 1 << 40})
    with pytest.raises(DeviceError, match=r"no memory for WORKSPACE .* raise the kernel's cma= setting"):
        driver.load(hungry)
    driver.load(program)
    images = random_codes(graph, 1)
    check_outputs(graph, images[None], driver.run(images))


def test_run_that_does_not_end(driver, graph):
    images = random_codes(graph, 1)
    with pytest.raises(RunTimeout, match="layers finished; it was stopped"):
        driver.run(images, timeout=0)
    with pytest.raises(RunTimeout):
        asyncio.run(driver.run_async(images, timeout=0))
    check_outputs(graph, images[None], driver.run(images))


def test_notebook(board, bitstream, program, graph, monkeypatch):
    """Every cell of the example, as a user of the board runs it."""
    from IPython.core.interactiveshell import InteractiveShell

    save(program, bitstream.with_name("net.imp"))
    images = random_codes(graph, 7, images=4)
    np.savez(bitstream.with_name("images.npz"), images=images, labels=np.arange(4))
    monkeypatch.chdir(bitstream.parent)
    notebook = json.loads((pathlib.Path(__file__).parents[2] / "examples" / "pynq_z2.ipynb").read_text())
    shell = InteractiveShell.instance()
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 5
    for cell in cells:
        shell.run_cell(cell).raise_error()
    check_outputs(graph, images, shell.user_ns["result"])
    assert shell.user_ns["report"].passed
    cycles = sum(run.cycles for run in shell.user_ns["result"].runs)
    assert shell.user_ns["result"].images_per_second == pytest.approx(4 * FAST.clock_hz / cycles)


@pytest.mark.parametrize("command", ["run", "selftest", "profile"])
def test_command(board, bitstream, program, graph, command):
    """`intramix … --device pynq`, as on a board."""
    from click.testing import CliRunner

    from intramix.cli.main import intramix

    save(program, bitstream.with_name("network.imp"))
    images = random_codes(graph, 7, images=3)
    np.save(bitstream.with_name("images.npy"), images)
    figures = bitstream.with_name("figures.json")
    arguments = [command, "--device", "pynq", str(bitstream.with_name("network.imp")), "--json", str(figures)]
    if command == "run":
        arguments += ["--data", str(bitstream.with_name("images.npy"))]
    outcome = CliRunner().invoke(intramix, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(figures.read_text())["network"] == program.name

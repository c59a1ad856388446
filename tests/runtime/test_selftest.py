"""The self-test names the first layer that is wrong: on the interpreter, and on simulated RTL with faults in memory."""

import dataclasses

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.program.log_records import selftest_codes
from intramix.compiler.selftest import with_selftest
from intramix.hdl.instructions import LoadMap, LoadWeights
from intramix.quant.graph.random_graph import random_codes, random_graph
from intramix.runtime.driver import Driver
from intramix.runtime.errors import ProgramError
from intramix.runtime.selftest import selftest
from intramix.runtime.simulated import SimulatedDevice
from intramix.runtime.verification import verify
from intramix.sim.simulation import FaultMode
from tests.support.faulty_device import FaultyDevice
from tests.support.small import FAST, SMALL


@pytest.fixture(scope="module")
def graph():
    return random_graph(31, activation_bits=5, blocks=5, size=(9, 8), channels=(8, 20))


@pytest.fixture(scope="module")
def program(graph):
    return with_selftest(compile_graph(graph, SMALL), graph)


@pytest.fixture
def simulated(program):
    with SimulatedDevice(SMALL, FAST) as device:
        driver = Driver(device)
        driver.load(program)
        yield device, driver


def instructions(program, number, kind):
    """A layer's instructions of one kind."""
    for instruction in program.decoded():
        if isinstance(instruction, kind) and instruction.layer == number:
            yield instruction


def readers(program, layout):
    """Numbers of the layers that load anything of a map, in order of execution."""
    return [
        layer.number
        for layer in program.layers
        if any(
            load.region.name == layout.region and layout.offset <= load.address < layout.offset + layout.bytes
            for load in instructions(program, layer.number, LoadMap)
        )
    ]


def test_image_is_the_same_everywhere(program):
    layout = program.input
    image = selftest_codes(layout)
    assert image.shape == (layout.channels, layout.height, layout.width)
    assert image.max() < 1 << layout.bits
    assert len(np.unique(image)) > 1
    wide = dataclasses.replace(layout, channels=1, height=1, width=4, bits=8)
    # printf 'intramix self-test' | openssl dgst -shake256 -xoflen 4
    assert selftest_codes(wide).tobytes().hex() == "1dccd116"


def test_passes_on_the_interpreter(program):
    driver = Driver(FaultyDevice(SMALL))
    driver.load(program)
    report = selftest(driver)
    assert report.passed, report
    assert len(report.layers) == len(program.layers)
    assert "0 CRCs differ" in str(report)


def test_absent_record(program):
    device = FaultyDevice(SMALL)
    driver = Driver(device)
    driver.load(program)

    def damage(memory):
        records = slice(32 * program.layers[2].number, 32 * program.layers[2].number + 32)  # of both groups of lanes
        memory["LOG"][records] = bytes(32)

    device.damage = damage
    report = selftest(driver)
    assert report.first_failure.name == program.layers[2].name
    assert report.first_failure.found is None
    assert "CRC-32 none" in str(report)


def test_program_without_crcs(graph):
    driver = Driver(FaultyDevice(SMALL))
    driver.load(compile_graph(graph, SMALL))
    with pytest.raises(ProgramError, match="compile it again"):
        selftest(driver)


def test_memory_reused(graph):
    program = with_selftest(compile_graph(graph, SMALL, keep_maps=False), graph)
    driver = Driver(FaultyDevice(SMALL))
    driver.load(program)
    assert selftest(driver).passed


@pytest.mark.simulator
def test_flipped_bit_in_weights_in_memory(simulated, program, graph):
    """For every convolution in turn: the upper bit of one weight."""
    _, driver = simulated
    assert selftest(driver).passed
    named = 0
    for layer in program.layers:
        loads = list(instructions(program, layer.number, LoadWeights))
        if not loads:
            continue
        place = loads[0].address + 1
        weights = driver.memory.shared["PARAMETERS"].view
        weights[place] ^= 0x08
        report = selftest(driver)
        weights[place] ^= 0x08
        assert not report.passed
        assert report.damage.startswith("1 bytes of PARAMETERS in memory are not the program's")
        assert f"the first at {place:#x}" in report.damage
        if report.first_failure is not None:  # the code may be that of no filter
            assert report.first_failure.number == layer.number, report
            named += 1
    assert named >= 3
    assert selftest(driver).passed
    assert verify(driver, graph, random_codes(graph, 1)).passed


@pytest.mark.simulator
def test_fault_in_the_read_path(simulated, program):
    """Reads of one byte of a map give a wrong bit: the layer that reads it is named."""
    device, driver = simulated
    named = 0
    for layer in program.layers[:-1]:
        layout = program.maps[layer.output]
        if layout.region != "WORKSPACE":
            continue
        for place in range(0, layout.bytes, layout.word_bytes + 1):
            address = driver.memory.shared["WORKSPACE"].address + layout.offset + place
            device.simulation.inject(address, address + 1, FaultMode.CORRUPT)
            report = selftest(driver)
            device.simulation.clear_faults()
            assert report.damage is None
            if report.first_failure is not None:  # a reader's rounding may hide one step of a code
                assert report.first_failure.number in readers(program, layout), report
                named += 1
                break
    assert named >= 3
    assert selftest(driver).passed


@pytest.mark.simulator
def test_flipped_bit_in_a_map_in_memory(simulated, program):
    """A bit of a stored map flips before it is read: its reader is named, not the layer that stored it."""
    device, driver = simulated
    image, named = selftest_codes(program.input), 0
    for layer in program.layers[:-1]:
        layout = program.maps[layer.output]
        if layout.region != "WORKSPACE":
            continue
        driver.start(image)
        stored = program.selftest[layer.number][1]
        # A record is written after the map's last word, and before that may be read.
        while not any(entry.number == layer.number and entry.words == stored for entry in driver.log()):
            assert not device.simulation.interrupt, f"layer {layer.number} has no record"
            device.simulation.run(1)
        words = driver.memory.shared["WORKSPACE"].view[layout.offset :][: layout.bytes].reshape(-1, layout.word_bytes)
        words[-1, 0] ^= 0x10  # upper bit of the first code
        driver.wait()
        log = {entry.number: (entry.crc, entry.words) for entry in driver.log()}
        wrong = [other.number for other in program.layers if log[other.number] != program.selftest[other.number]]
        if wrong:
            assert wrong[0] in readers(program, layout)
            named += 1
    assert named >= 3
    assert selftest(driver).passed

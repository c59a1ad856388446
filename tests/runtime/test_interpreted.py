"""The interpreted device: the executor's values, the rules that it names, runs that are stopped half-way."""

import dataclasses

import pytest

from intramix.compiler.compile import compile_graph
from intramix.hdl.instructions import NO_TOKENS, Compute, LoadMap, decode
from intramix.hdl.isa import INSTRUCTION_BYTES, Engine, Error
from intramix.hdl.registers import COUNTERS, Control, Status
from intramix.quant.graph.random_graph import random_codes, random_graph
from intramix.runtime.driver import Driver
from intramix.runtime.interpreted import InterpretedDevice, RuleBroken
from tests.support.small import SMALL, check_outputs


@pytest.fixture(scope="module")
def graph():
    return random_graph(5, size=(8, 7), blocks=2)


@pytest.fixture(scope="module")
def program(graph):
    return compile_graph(graph, SMALL)


@pytest.fixture
def driver(program):
    driver = Driver(InterpretedDevice(SMALL))
    driver.load(program)
    return driver


def edited(program, kind, **fields):
    """The program with fields of its first instruction of a kind changed, and that instruction's number."""
    code = bytearray(program.instructions)
    for start in range(0, len(code), INSTRUCTION_BYTES):
        place = slice(start, start + INSTRUCTION_BYTES)
        instruction = decode(bytes(code[place]))
        if isinstance(instruction, kind):
            code[place] = dataclasses.replace(instruction, **fields).encode()
            return dataclasses.replace(program, instructions=bytes(code)), start // INSTRUCTION_BYTES
    raise AssertionError(f"no {kind.__name__}")


def test_values_and_no_cycles(driver, program, graph):
    images = random_codes(graph, 1, images=2)
    result = driver.run(images)
    check_outputs(graph, images, result)
    steps = sum(layer.steps for layer in program.layers)
    for run in result.runs:
        assert run.counters == dict.fromkeys((name for name, _ in COUNTERS), 0) | {"COMPUTE_STEPS": steps}
        assert [entry.cycles for entry in run.log] == [0] * len(program.layers)
    with pytest.raises(ValueError, match="measured no cycles"):
        _ = result.images_per_second


def test_a_broken_rule_is_named_and_the_next_run_works(driver, program, graph):
    broken, index = edited(program, Compute, kernel_y=0)
    image = random_codes(graph, 1)
    driver.load(broken)
    with pytest.raises(RuleBroken, match=rf"instruction {index} \(COMPUTE, layer 0\): kernel_y: must be at least 1"):
        driver.run(image)
    assert driver.status() == Status.DONE | Status.ERROR
    assert driver.device.read_register("ERROR") == Error.FIELD | Engine.COMPUTE << 8
    driver.load(program)
    check_outputs(graph, [image], driver.run(image))


def test_accesses_that_no_token_orders_are_refused(driver, program, graph):
    """Without its token a COMPUTE may begin before its input is there, whatever the values are in program order."""
    loads, _ = edited(program, LoadMap, signal=NO_TOKENS)
    driver.load(edited(loads, Compute, wait=NO_TOKENS)[0])
    with pytest.raises(RuleBroken, match="before it is loaded: no token orders it"):
        driver.run(random_codes(graph, 1))


def test_memory_that_no_register_names(driver, program, graph):
    driver.memory.frames[0].write_input(program, random_codes(graph, 1))
    driver.device.write_register("INPUT_LOW", 64)
    driver.device.write_register("CONTROL", Control.START)
    with pytest.raises(RuleBroken, match="of INPUT, which has 0"):
        driver.device.wait_interrupt(1)


def test_a_run_is_stopped_half_way(driver, graph):
    image = random_codes(graph, 1)
    driver.start(image)
    assert not driver.device.wait_interrupt(1 / driver.device.clock_hz)
    assert driver.status() == Status.BUSY
    driver.device.write_register("INSTRUCTIONS", 3)
    assert driver.status() & Status.REJECTED
    driver.stop()
    assert driver.status() == Status.DONE | Status.ERROR
    check_outputs(graph, [image], driver.run(image))


def test_program_without_its_end(driver, program, graph):
    driver.load(program)
    driver.device.write_register("INSTRUCTIONS", len(program.instructions) // INSTRUCTION_BYTES - 1)
    with pytest.raises(RuleBroken, match="ends without FINISH"):
        driver.run(random_codes(graph, 1))
    assert driver.device.read_register("ERROR") == Error.PROGRAM | Engine.FETCH << 8

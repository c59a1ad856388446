"""A deadlock is blamed on the engine that starves, not on one that waits for it."""

import dataclasses

import pytest

from intramix.compiler.compile import compile_graph
from intramix.hdl.instructions import Compute, LoadConstants, LoadWeights
from intramix.hdl.isa import INSTRUCTION_BYTES, Engine, Error
from intramix.quant.graph.random_graph import random_codes, single_convolution
from intramix.runtime.driver import Driver
from intramix.runtime.errors import AcceleratorError, decode_error
from intramix.runtime.starvation import name_who_starves
from tests.support.faulty_device import FaultyDevice
from tests.support.small import SMALL

GRAPH = single_convolution(0, channels=8, filters=24, size=(6, 6))
"""Tiles of 2 · 9 weight words: two digits."""
DEADLOCK = Error.DEADLOCK | Engine.STORE << 8
"""What the hardware says: STORE waits for the COMPUTE that starves."""


@pytest.fixture(scope="module")
def program():
    return compile_graph(GRAPH, SMALL)


def damaged(program, kind, **fields):
    """The program's code, with the first instruction of a kind changed; and its place."""
    decoded = list(program.decoded())
    place = next(index for index, instruction in enumerate(decoded) if isinstance(instruction, kind))
    decoded[place] = dataclasses.replace(decoded[place], **fields)
    return b"".join(instruction.encode() for instruction in decoded), place


def report_of(program, code, *, fetched=None):
    count = len(code) // INSTRUCTION_BYTES if fetched is None else fetched
    return name_who_starves(decode_error(DEADLOCK, count, program.layers), program, code)


def test_array_without_weight_words(program):
    code, _ = damaged(program, LoadWeights, words=5)
    first = next(n for n, instruction in enumerate(program.decoded()) if isinstance(instruction, Compute))
    report = report_of(program, code)
    assert (report.code, report.engine, report.layer_name) == (Error.DEADLOCK, Engine.COMPUTE, "convolution")
    assert report.cause == (
        f"the array waits for ever at instruction {first}: its step needs weight word 17 of the ring, and 5 are loaded "
        "before it"
    )
    assert "memory does not answer" not in str(report)
    assert "report it" in report.remedy


def test_array_without_constants(program):
    """The second load of constants is missing: the first appends fewer tiles."""
    code, _ = damaged(program, LoadConstants, tiles=1)
    assert "it needs tile 0 of the ring of constants" in report_of(program, code).cause


def test_weights_engine_without_room(program):
    code, place = damaged(program, LoadConstants, tiles=SMALL.constant_tiles + 1)
    report = report_of(program, code)
    assert report.engine is Engine.WEIGHTS
    assert report.cause.startswith(f"the weights engine waits for ever at instruction {place}: ")
    assert f"find room for {SMALL.constant_tiles}" in report.cause


def test_what_was_not_fetched_holds_up_nobody(program):
    code, _ = damaged(program, LoadWeights, words=5)
    first = next(n for n, instruction in enumerate(program.decoded()) if isinstance(instruction, Compute))
    assert report_of(program, code, fetched=first).engine is Engine.STORE
    assert report_of(program, code, fetched=first + 1).engine is Engine.COMPUTE


def test_words_that_are_left_hold_up_nobody(program):
    code, _ = damaged(program, Compute, release_constants=False)
    assert report_of(program, code).engine is Engine.STORE


def test_a_sound_program_stands_still_for_another_reason(program):
    report = report_of(program, program.instructions)
    assert report.engine is Engine.STORE
    assert "memory does not answer" in report.remedy


def test_code_that_is_no_instruction_ends_the_search(program):
    code, place = damaged(program, LoadWeights, words=5)
    start = place * INSTRUCTION_BYTES
    report = report_of(program, code[:start] + bytes([15]) + code[start + 1 :])
    assert report.engine is Engine.STORE


def test_other_errors_stay_as_they_are(program):
    code, _ = damaged(program, LoadWeights, words=5)
    report = decode_error(Error.READ_RESPONSE | Engine.MAPS << 8, 9, program.layers)
    assert name_who_starves(report, program, code) is report


def test_driver_reads_the_program_back(program):
    """Memory is damaged, not the host's program."""
    device = FaultyDevice(SMALL)
    driver = Driver(device)
    driver.load(program)
    code, _ = damaged(program, LoadWeights, words=5)
    buffer = next(buffer for buffer in device.buffers if bytes(buffer.memory).startswith(program.instructions[:64]))
    buffer.memory[: len(code)] = code
    device.answers = {"ERROR": DEADLOCK, "ERROR_INSTRUCTION": len(code) // INSTRUCTION_BYTES}
    with pytest.raises(AcceleratorError, match=r"the array waits for ever .* 5 are loaded") as caught:
        driver.run(random_codes(GRAPH, 0))
    assert caught.value.report.engine is Engine.COMPUTE

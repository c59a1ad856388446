"""cocotb tests of the accelerator's top level; `test_cocotb_top.py` runs them under pytest."""

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, with_timeout

from intramix.compiler.compile import compile_graph
from intramix.compiler.program.log_records import expected_crcs
from intramix.hdl.geometry import ISA_VERSION
from intramix.hdl.isa import Engine, Error, Opcode, Token
from intramix.hdl.registers import COUNTERS, MAGIC, OFFSET, REGISTERS, SPACE_BYTES, Access, Control, Status
from intramix.quant.graph.executor import execute
from intramix.quant.graph.random_graph import random_codes, random_graph
from intramix.runtime.results import decode_log
from intramix.sim.testbench import Testbench
from tests.support.raw_instructions import encode
from tests.support.signed_maps import signed_network

OKAY = 0
ALIGNED = {name: 0xFFFFFFC0 for name in ("PROGRAM_LOW", "PARAMETERS_LOW", "INPUT_LOW", "OUTPUT_LOW", "WORKSPACE_LOW")}
ALIGNED |= {"LOG_LOW": 0xFFFFFFF0}


async def bench(dut, seed=None):
    testbench = Testbench(dut)
    await testbench.reset()
    if seed is not None:
        testbench.stall(seed, 0.3)
    return testbench


def network(seed=5):
    return random_graph(seed, blocks=3, size=(6, 5), channels=(4, 12))


async def loaded(testbench, graph, codes):
    program = compile_graph(graph, testbench.geometry)
    await testbench.load(program)
    testbench.place("INPUT", program.input.pack(codes), program.input.offset)
    return program


def check(testbench, program, tensors):
    """Every map and every record of the log."""
    assert testbench.memory.violations == []
    for name, layout in program.maps.items():
        found = layout.unpack(testbench.bytes_of(layout.region, layout.offset, layout.bytes))
        assert (found == tensors[name]).all(), f"map {name} differs"
    log = np.frombuffer(testbench.bytes_of("LOG", 0, program.sizes["LOG"]), np.uint8)
    found = {entry.number: (entry.crc, entry.words) for entry in decode_log(log, program)}
    assert found == expected_crcs(program, tensors)


async def error(testbench):
    register = await testbench.read("ERROR")
    return Error(register & 0xFF), Engine(register >> 8 & 0xF), register >> 16 & 0xFFF


# Registers ------------------------------------------------------------------------------------------------------------


@cocotb.test()
@cocotb.parametrize(seed=[None, 1])
async def registers(dut, seed):
    testbench = await bench(dut, seed)
    assert await testbench.read("ID") == MAGIC
    assert await testbench.read("VERSION") == ISA_VERSION
    assert await testbench.read("SIGNATURE") == testbench.geometry.signature
    assert await testbench.status() == Status(0)
    for pattern in (0xFFFFFFFF, 0xA5A5A5A5, 0):
        for register in REGISTERS:
            if register.access is not Access.WRITE:
                continue
            high = register.name.endswith("_HIGH")
            legal = (1 << testbench.geometry.address_bits - 32) - 1 if high else 0xFFFFFFFF
            assert await testbench.write(register.name, pattern & legal) == OKAY
            mask = ALIGNED.get(register.name, 0xFFFFFFFF)
            found = await testbench.read(register.name)
            assert found & mask == pattern & legal & mask, f"{register.name}: {found:#x}"
    assert await testbench.status() == Status(0)
    # Addresses that the masters cannot give are refused.
    await testbench.write("INPUT_HIGH", 1 << testbench.geometry.address_bits - 32)
    assert await testbench.status() == Status.REJECTED
    assert await testbench.read("INPUT_HIGH") == 0


@cocotb.test()
async def rejected_writes(dut):
    """Writes to read-only registers and to no register: OKAY on the bus, no effect, REJECTED."""
    testbench = await bench(dut, 2)
    known = set(OFFSET.values())
    unknown = [offset for offset in range(0, SPACE_BYTES, 4) if offset not in known]
    assert all([await testbench.read(offset) == 0 for offset in unknown])
    read_only = [register.offset for register in REGISTERS if register.access is Access.READ]
    for offset in (*read_only, *unknown):
        before = await testbench.read(offset)
        assert await testbench.write(offset, 0xFFFFFFFF) == OKAY
        if offset != OFFSET["STATUS"]:
            assert await testbench.read(offset) == before
        assert await testbench.status() == Status.REJECTED, f"offset {offset:#x}"
        await testbench.write("CONTROL", Control.CLEAR)
        assert await testbench.status() == Status(0)


# Whole networks -------------------------------------------------------------------------------------------------------


@cocotb.test()
@cocotb.parametrize(seed=[None, 3])
async def whole_network(dut, seed):
    """Start, interrupt, every map and CRC; then again without a reset, with another image."""
    testbench = await bench(dut, seed)
    graph = network()
    for image in (1, 2):
        codes = random_codes(graph, image)
        program = await loaded(testbench, graph, codes)
        await testbench.start()
        assert await testbench.status() == Status.BUSY
        assert await testbench.finish() == Status.DONE
        assert await error(testbench) == (Error.NONE, Engine.CONTROL, 0)
        check(testbench, program, execute(graph, codes))
        counters = {name: await testbench.read(name) for name, _ in COUNTERS}
        assert counters["COMPUTE_STEPS"] == sum(layer.steps for layer in program.layers)
        assert 0 < counters["COMPUTE_STEPS"] < counters["CYCLES"]
        await ClockCycles(dut.clk, 20)
        assert await testbench.read("CYCLES") == counters["CYCLES"]
        await testbench.write("CONTROL", Control.CLEAR | Control.INTERRUPT_ENABLE)
        await ClockCycles(dut.clk, 3)
        assert not int(dut.interrupt.value)


@cocotb.test()
async def network_with_borders(dut):
    """Maps that are padded with their zero points, which the host lays."""
    testbench = await bench(dut, 4)
    graph = signed_network(5, size=(6, 5))
    codes = random_codes(graph, 1)
    program = await loaded(testbench, graph, codes)
    assert program.fills
    await testbench.start()
    assert await testbench.finish() == Status.DONE
    check(testbench, program, execute(graph, codes))


@cocotb.test()
async def interrupt_only_when_enabled(dut):
    testbench = await bench(dut)
    graph = network()
    await loaded(testbench, graph, random_codes(graph, 1))
    await testbench.write("CONTROL", Control.START)
    for _ in range(2000):
        if await testbench.status() & Status.DONE:
            break
    assert await testbench.status() == Status.DONE
    assert not int(dut.interrupt.value)
    await testbench.write("CONTROL", Control.INTERRUPT_ENABLE)
    await ClockCycles(dut.clk, 3)
    assert int(dut.interrupt.value)


@cocotb.test()
async def writes_while_busy(dut):
    testbench = await bench(dut)
    graph = network()
    codes = random_codes(graph, 4)
    program = await loaded(testbench, graph, codes)
    await testbench.start()
    before = await testbench.read("INPUT_LOW")
    await testbench.write("INPUT_LOW", 0)
    assert await testbench.status() == Status.BUSY | Status.REJECTED
    assert await testbench.read("INPUT_LOW") == before
    await testbench.write("CONTROL", Control.START | Control.INTERRUPT_ENABLE)
    assert await testbench.finish() == Status.DONE | Status.REJECTED
    check(testbench, program, execute(graph, codes))


# Errors ---------------------------------------------------------------------------------------------------------------


async def recovers(testbench, graph, codes, program):
    """After CLEAR the same program runs and is right."""
    await testbench.start()
    assert await testbench.finish() == Status.DONE
    check(testbench, program, execute(graph, codes))


@cocotb.test()
@cocotb.parametrize((
    ("region", "writes", "code", "engine"),
    [
        ("PROGRAM", False, Error.READ_RESPONSE, Engine.FETCH),
        ("PARAMETERS", False, Error.READ_RESPONSE, Engine.WEIGHTS),
        ("INPUT", False, Error.READ_RESPONSE, Engine.MAPS),
        ("OUTPUT", True, Error.WRITE_RESPONSE, Engine.STORE),
    ],
))
async def bus_error(dut, region, writes, code, engine):
    testbench = await bench(dut, 6)
    graph = network()
    codes = random_codes(graph, 5)
    program = await loaded(testbench, graph, codes)
    faults = testbench.memory.write_faults if writes else testbench.memory.read_faults
    start = testbench.base[region]
    faults.append((start, start + 64))
    await testbench.start()
    assert await testbench.finish() == Status.DONE | Status.ERROR
    assert (await error(testbench))[:2] == (code, engine)
    assert await testbench.read("ID") == MAGIC
    assert await testbench.read("CYCLES") > 0
    faults.clear()
    await recovers(testbench, graph, codes, program)


@cocotb.test()
@cocotb.parametrize((
    ("instruction", "code"),
    [
        (bytes([15]) + bytes(63), Error.OPCODE),
        (encode(Opcode.STORE, planes=1, chunks=1, chunk_words=1, signal=1 << Token.INPUT_READY), Error.FIELD),
        (encode(Opcode.COMPUTE, layer=77), Error.FIELD),
        (encode(Opcode.STORE, planes=0), Error.FIELD),
        (encode(Opcode.LOAD_MAP, planes=1, chunks=1, chunk_words=1, row_words=1, lane_rows=1), Error.FIELD),
        (encode(Opcode.LOAD_WEIGHTS, words=0), Error.FIELD),
    ],
))
async def malformed_instruction(dut, instruction, code):
    """In place of the first instruction."""
    testbench = await bench(dut, 7)
    graph = network()
    codes = random_codes(graph, 6)
    program = await loaded(testbench, graph, codes)
    testbench.place("PROGRAM", instruction)
    await testbench.start()
    assert await testbench.finish() == Status.DONE | Status.ERROR
    found = await error(testbench)
    assert found[0] is code
    if instruction[0] & 0xF == Opcode.COMPUTE:
        assert found == (Error.FIELD, Engine.COMPUTE, 77)
    testbench.place("PROGRAM", program.instructions)
    await recovers(testbench, graph, codes, program)


@cocotb.test()
async def program_without_end(dut):
    testbench = await bench(dut)
    graph = network()
    codes = random_codes(graph, 6)
    program = await loaded(testbench, graph, codes)
    count = len(program.instructions) // 64
    for instructions in (0, count - 1):
        await testbench.write("INSTRUCTIONS", instructions)
        await testbench.start()
        assert await testbench.finish() == Status.DONE | Status.ERROR
        assert (await error(testbench))[0] is Error.PROGRAM
        await testbench.write("CONTROL", Control.CLEAR)
    await testbench.write("INSTRUCTIONS", count)
    await recovers(testbench, graph, codes, program)


@cocotb.test()
@cocotb.parametrize(cycles=[0, 37, 150, 400, 900])
async def stop(dut, cycles):
    testbench = await bench(dut, 8)
    graph = network()
    codes = random_codes(graph, 7)
    program = await loaded(testbench, graph, codes)
    await testbench.start()
    await ClockCycles(dut.clk, cycles + 1)
    await testbench.write("CONTROL", Control.STOP | Control.INTERRUPT_ENABLE)
    assert await testbench.finish(20_000) == Status.DONE | Status.ERROR
    assert (await error(testbench))[0] is Error.STOPPED
    await recovers(testbench, graph, codes, program)


@cocotb.test()
async def deadlock(dut):
    """A COMPUTE waits for a token that nobody gives: the watchdog ends the run."""
    testbench = await bench(dut)
    graph = network()
    codes = random_codes(graph, 8)
    program = await loaded(testbench, graph, codes)
    counts = dict.fromkeys(("outputs_y", "outputs_x", "passes", "kernel_y", "kernel_x", "channels"), 1)
    waiting = encode(Opcode.COMPUTE, layer=3, wait=1 << Token.RESIDUAL_READY, weight_words=1, **counts)
    testbench.place("PROGRAM", waiting + encode(Opcode.FINISH))
    await testbench.write("INSTRUCTIONS", 2)
    await testbench.write("WATCHDOG", 500)
    # FINISH is done at once, and with it the run, unless the store engine waits too.
    testbench.place("PROGRAM", encode(Opcode.FINISH, wait=1 << Token.OUTPUT_READY), 64)
    await testbench.start()
    assert await testbench.finish(5000) == Status.DONE | Status.ERROR
    assert (await error(testbench))[0] is Error.DEADLOCK
    assert 500 <= await testbench.read("CYCLES") < 1500
    testbench.place("PROGRAM", program.instructions)
    await testbench.write("INSTRUCTIONS", len(program.instructions) // 64)
    await recovers(testbench, graph, codes, program)


@cocotb.test()
@cocotb.parametrize(port=["m_axi_instructions", "m_axi_weights_0", "m_axi_maps"])
async def bus_that_does_not_answer(dut, port):
    """The watchdog ends the run; DRAINING stays, and a START is rejected, until the bus has answered."""
    testbench = await bench(dut)
    graph = network()
    codes = random_codes(graph, 9)
    program = await loaded(testbench, graph, codes)
    await testbench.write("WATCHDOG", 500)
    testbench.mute(port)
    await testbench.start()
    status = await testbench.finish(10_000)
    assert status & (Status.DONE | Status.ERROR) == Status.DONE | Status.ERROR
    assert status & Status.DRAINING
    assert (await error(testbench))[0] is Error.DEADLOCK
    await testbench.start()
    assert await testbench.status() & Status.REJECTED
    testbench.mute(port, False)
    await ClockCycles(dut.clk, 500)
    await testbench.write("CONTROL", Control.CLEAR | Control.INTERRUPT_ENABLE)
    assert await testbench.status() == Status(0)
    await recovers(testbench, graph, codes, program)


@cocotb.test()
async def reset_in_the_middle(dut):
    testbench = await bench(dut, 9)
    graph = network()
    codes = random_codes(graph, 10)
    await loaded(testbench, graph, codes)
    await testbench.start()
    await ClockCycles(dut.clk, 700)
    await testbench.reset()
    assert await testbench.status() == Status(0)
    program = await with_timeout(loaded(testbench, graph, codes), 1, "ms")
    await recovers(testbench, graph, codes, program)



"""The top level when something goes wrong: the first cause, a drained bus, registers, and a right run afterwards."""

import dataclasses
import functools
import random

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.interpreter.interpret import interpret, memory_for
from intramix.hdl.geometry import Geometry
from intramix.hdl.isa import Engine, Error, Opcode
from intramix.hdl.registers import WATCHDOG_DEFAULT, Control, Status
from intramix.quant.graph.formats import FIXED4
from intramix.quant.graph.random_graph import FormatMix, random_graph
from tests.support.accelerator_bench import Bench
from tests.support.raw_instructions import decode, encode

pytestmark = pytest.mark.slow

GEOMETRY = Geometry(
    word_channels=4, pixel_lanes=1, fixed8_lanes=0, fixed4_lanes=2, lut_lanes=2, activation_bits=4,
    activation_depth=256, residual_depth=64, output_depth=64, weight_depth=64, constant_tiles=4,
)  # fmt: skip


@functools.cache
def network(map_words=0):
    """A program of two 1×1 convolutions, its input, and the memory before and after. With a map memory, the map between
    them is there alone."""
    mix = FormatMix(fixed8=0, fixed4=2, lut=2, lut_format=FIXED4)
    graph = random_graph(0, blocks=2, kinds=("pointwise",), size=(5, 4), channels=(4, 4), activation_bits=4, mix=mix)
    program = compile_graph(graph, dataclasses.replace(GEOMETRY, map_words=map_words), keep_maps=not map_words)
    memory = memory_for(program, np.random.default_rng(0).integers(0, 256, (3, 5, 4)).astype(np.uint8))
    before = {name: bytes(content) for name, content in memory.items()}
    interpret(program, memory)
    return program, before, {name: bytes(content) for name, content in memory.items()}


def bench_of(*, instructions=None, map_words=0, **options):
    program, before, after = network(map_words)
    return Bench(program.geometry, instructions or program.instructions, before, after, **options)


def instructions_with(opcode, **changes):
    """The program with fields of its last instruction of `opcode` changed; and that instruction's layer."""
    program, _, _ = network()
    codes = [program.instructions[at : at + 64] for at in range(0, len(program.instructions), 64)]
    index = max(index for index, code in enumerate(codes) if decode(code)[0] is opcode)
    fields = decode(codes[index])[1] | changes
    codes[index] = encode(opcode, **{name: value for name, value in fields.items() if name != "opcode"})
    return b"".join(codes), fields["layer"]


async def recover(bench, ctx, map_words=0):
    """What is in flight is none, nothing moves any more, and a new run of the right program is right."""
    assert bench.memory.in_flight == 0
    bench.memory.quiet = True
    await ctx.tick().repeat(30)
    bench.memory.quiet = False
    bench.memory.fail_read = bench.memory.fail_write = lambda address: False
    bench.replace_program(network(map_words)[0].instructions)
    await bench.run_to_end(ctx)


def within(bench, name):
    """Whether an address lies in a region."""
    start, size = bench.regions[name]
    return lambda address: start <= address + 7 and address < start + size


@pytest.mark.parametrize(
    ("region", "write", "error", "engine"),
    [
        ("PARAMETERS", False, Error.READ_RESPONSE, Engine.WEIGHTS),
        ("INPUT", False, Error.READ_RESPONSE, Engine.MAPS),
        ("WORKSPACE", True, Error.WRITE_RESPONSE, Engine.STORE),
        ("LOG", True, Error.WRITE_RESPONSE, Engine.STORE),
    ],
)
def test_bus_errors(region, write, error, engine):
    bench = bench_of(stall=0.1)
    setattr(bench.memory, "fail_write" if write else "fail_read", within(bench, region))

    async def testbench(ctx):
        await bench.start(ctx)
        await bench.interrupt(ctx)
        assert await bench.error(ctx) == (error, engine, 0)
        await recover(bench, ctx)

    bench.simulate(testbench)


@pytest.mark.parametrize(
    ("opcode", "changes", "engine"),
    [
        (Opcode.LOAD_WEIGHTS, {"words": 0}, Engine.WEIGHTS),
        (Opcode.LOAD_MAP, {"lane_mask": 2}, Engine.MAPS),
        (Opcode.COMPUTE, {"kernel_x": 0}, Engine.COMPUTE),
        (Opcode.STORE, {"lane": 1}, Engine.STORE),
        (Opcode.STORE, {"wait": 1}, Engine.STORE),
    ],
    ids=["no words", "no such lane to write", "no columns", "no such lane to read", "foreign token"],
)
def test_malformed_fields(opcode, changes, engine):
    instructions, layer = instructions_with(opcode, **changes)
    bench = bench_of(instructions=instructions)

    async def testbench(ctx):
        await bench.start(ctx)
        await bench.interrupt(ctx)
        assert await bench.error(ctx) == (Error.FIELD, engine, layer)
        await recover(bench, ctx)

    bench.simulate(testbench)


@pytest.mark.parametrize("map_words", [0, 64])
@pytest.mark.parametrize("seed", range(3))
def test_stop_at_any_time(seed, map_words):
    bench = bench_of(stall=0.2, seed=seed, map_words=map_words)

    async def testbench(ctx):
        await bench.start(ctx)
        for _ in range(random.Random(seed).randrange(40, 500)):
            await ctx.tick()
        await bench.write(ctx, "CONTROL", Control.STOP | Control.INTERRUPT_ENABLE)
        await bench.interrupt(ctx)
        assert (await bench.error(ctx))[0] in (Error.STOPPED, Error.NONE)
        await recover(bench, ctx, map_words)

    bench.simulate(testbench)


@pytest.mark.parametrize("opcode", [Opcode.LOAD_WEIGHTS, Opcode.LOAD_CONSTANTS])
def test_a_ring_that_never_fills(opcode):
    """COMPUTE waits for what no instruction loads: DEADLOCK, with COMPUTE's instruction past its tokens."""
    instructions, _ = instructions_with(opcode)
    codes = [instructions[at : at + 64] for at in range(0, len(instructions), 64)]
    codes.remove(next(code for code in reversed(codes) if decode(code)[0] is opcode))
    bench = bench_of(instructions=b"".join(codes))

    async def testbench(ctx):
        await bench.start(ctx, watchdog=400)
        await bench.interrupt(ctx)
        assert (await bench.error(ctx))[0] == Error.DEADLOCK
        await recover(bench, ctx)

    bench.simulate(testbench)


@pytest.mark.parametrize("cycles", [30, 250])
def test_a_memory_that_never_answers(cycles):
    """DONE and DRAINING with DEADLOCK; once the memory answers again the accelerator comes to rest and runs."""
    bench = bench_of()

    async def testbench(ctx):
        await bench.start(ctx, watchdog=400)
        await ctx.tick().repeat(cycles)
        bench.memory.dead = True
        await bench.interrupt(ctx)
        assert await bench.read(ctx, "STATUS") == Status.DONE | Status.ERROR | Status.DRAINING
        assert (await bench.read(ctx, "ERROR")) & 0xFF == Error.DEADLOCK
        await bench.write(ctx, "CONTROL", Control.START | Control.CLEAR)
        assert await bench.read(ctx, "STATUS") == Status.DRAINING | Status.REJECTED
        bench.memory.dead = False
        while (await bench.read(ctx, "STATUS")) & Status.DRAINING:
            pass
        await recover(bench, ctx)

    bench.simulate(testbench)


def test_reset_of_a_cycle():
    bench = bench_of()

    async def host(ctx):
        await bench.run_to_end(ctx)
        assert await bench.read(ctx, "WATCHDOG") == 3000
        assert await bench.read(ctx, "STATUS") & Status.DONE
        ctx.set(bench.dut.rst, 1)
        await ctx.tick()
        ctx.set(bench.dut.rst, 0)
        await ctx.tick().repeat(4)
        assert await bench.read(ctx, "WATCHDOG") == WATCHDOG_DEFAULT
        for register in ("STATUS", "INSTRUCTIONS", "PROGRAM_LOW"):
            assert await bench.read(ctx, register) == 0
        await bench.run_to_end(ctx)

    bench.simulate(host)

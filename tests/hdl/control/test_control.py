"""Control as a whole: programs, errors, stops, deadlocks and buses that die; after each a new run works."""

import random

import pytest

from intramix.hdl.isa import Engine, Error, Opcode, Token
from intramix.hdl.registers import Control, Status
from tests.support.control.bench import BASE, Bench, random_program
from tests.support.raw_instructions import encode

pytestmark = pytest.mark.slow

COUNTER_NAMES = ("WEIGHTS_BUSY", "MAPS_BUSY", "MAPS_WAIT", "COMPUTE_WAIT", "STORE_BUSY", "STORE_WAIT")


async def run_again(bench, ctx, **start):
    """CLEAR, START: the program must run to its end, every instruction in order."""
    bench.memory.fail_read = lambda address: False
    for stand_in in bench.engines.values():
        stand_in.fails, stand_in.freezes = {}, set()
    await bench.write(ctx, "CONTROL", Control.CLEAR | Control.INTERRUPT_ENABLE)
    await ctx.tick()
    assert not ctx.get(bench.dut.interrupt)
    assert await bench.read(ctx, "STATUS") == 0
    assert await bench.read(ctx, "ERROR") == 0
    executed = {}

    async def record():
        executed.update(bench.executed())

    await bench.start(ctx, **start)
    while not ctx.get(bench.dut.reset):
        await record()
        await ctx.tick()
    await bench.interrupt(ctx)
    assert await bench.error(ctx) == (Error.NONE, Engine.CONTROL, 0)
    assert executed == bench.expected()


@pytest.mark.parametrize(("seed", "stall", "duration"), [(0, 0.0, 2), (1, 0.0, 60), (2, 0.4, 10), (3, 0.6, 2)])
def test_programs_run_twice(seed, stall, duration):
    bench = Bench(random_program(60, seed), seed=seed, stall=stall, duration=duration)

    async def testbench(ctx):
        await run_again(bench, ctx)
        counters = {name: await bench.read(ctx, name) for name in (*COUNTER_NAMES, "CYCLES", "READ_BYTES")}
        assert counters["READ_BYTES"] == 64 * len(bench.program)
        for engine in ("MAPS", "STORE"):
            assert counters[f"{engine}_BUSY"] + counters[f"{engine}_WAIT"] <= counters["CYCLES"]
        # A second START without CLEAR is allowed after a good run.
        await bench.start(ctx)
        await bench.interrupt(ctx)
        assert await bench.error(ctx) == (Error.NONE, Engine.CONTROL, 0)
        assert await bench.read(ctx, "READ_BYTES") == 64 * len(bench.program)

    bench.simulate(testbench)


@pytest.mark.parametrize("engine", [Engine.WEIGHTS, Engine.MAPS, Engine.COMPUTE, Engine.STORE])
def test_engine_errors(engine):
    """The engine's own code and layer are recorded; the host reads registers while the rest drains."""
    program = random_program(50, seed=4)
    bench = Bench(program, seed=4, stall=0.2)
    layer = bench.expected()[engine][2]
    bench.engines[engine].fails = {layer: Error.FIELD}

    async def testbench(ctx):
        await bench.start(ctx)
        while not (await bench.read(ctx, "STATUS")) & Status.DONE:
            pass
        assert ctx.get(bench.dut.interrupt)
        assert await bench.error(ctx) == (Error.FIELD, engine, layer)
        fetched = await bench.read(ctx, "ERROR_INSTRUCTION")
        assert layer < fetched <= len(program)
        # Without CLEAR a START is refused, and the error stays.
        await bench.write(ctx, "CONTROL", Control.START | Control.INTERRUPT_ENABLE)
        assert await bench.read(ctx, "STATUS") == Status.DONE | Status.ERROR | Status.REJECTED
        await run_again(bench, ctx)

    bench.simulate(testbench)


def test_the_first_of_two_errors_is_kept():
    """Two engines fail one after the other; a third fault, on the instruction bus, comes while they drain."""
    program = [encode(Opcode.LOAD_WEIGHTS)] * 30
    program[0] = encode(Opcode.STORE, layer=100)
    program[1] = encode(Opcode.LOAD_MAP, layer=101)
    program += random_program(1, seed=0)
    bench = Bench(program, duration=1, latency=3)
    bench.engines[Engine.STORE].fails = {100: Error.WRITE_RESPONSE}
    bench.engines[Engine.MAPS].fails = {101: Error.READ_RESPONSE}
    bench.memory.fail_read = lambda address: address > BASE + 64 * 3

    async def testbench(ctx):
        await bench.start(ctx)
        await bench.interrupt(ctx)
        assert await bench.error(ctx) == (Error.WRITE_RESPONSE, Engine.STORE, 100)
        assert bench.memory.in_flight == 0
        await run_again(bench, ctx)

    bench.simulate(testbench)


@pytest.mark.parametrize(
    ("code", "engine", "error", "layer"),
    [
        ((7 | 44 << 4).to_bytes(64, "little"), Engine.FETCH, Error.OPCODE, 44),
        (encode(Opcode.FINISH, layer=45), Engine.FETCH, Error.PROGRAM, 45),
        (encode(Opcode.COMPUTE, layer=46, wait=1 << Token.STORED), Engine.COMPUTE, Error.FIELD, 46),
        (encode(Opcode.STORE, layer=47, signal=1 << Token.INPUT_READY), Engine.STORE, Error.FIELD, 47),
        (encode(Opcode.LOAD_WEIGHTS, layer=48, signal=128), Engine.WEIGHTS, Error.FIELD, 48),
    ],
    ids=["opcode", "early finish", "foreign wait", "foreign signal", "no channel"],
)
def test_malformed_instructions(code, engine, error, layer):
    program = random_program(40, seed=6)
    good = program[12]
    program[12] = code
    bench = Bench(program, seed=6, stall=0.1)

    async def testbench(ctx):
        await bench.start(ctx)
        await bench.interrupt(ctx)
        assert await bench.error(ctx) == (error, engine, layer)
        bench.program[12] = good
        bench.memory.write(BASE, b"".join(bench.program))
        await run_again(bench, ctx)

    bench.simulate(testbench)


@pytest.mark.parametrize("burst", [0, 3, 20])
def test_bus_error_of_the_program(burst):
    bench = Bench(random_program(40, seed=7), stall=0.2, latency=20)
    bench.memory.fail_read = lambda address: address >= BASE + 64 * burst

    async def testbench(ctx):
        await bench.start(ctx)
        await bench.interrupt(ctx)
        assert await bench.error(ctx) == (Error.READ_RESPONSE, Engine.FETCH, 0)
        assert await bench.read(ctx, "ERROR_INSTRUCTION") <= burst
        assert bench.memory.in_flight == 0
        await run_again(bench, ctx)

    bench.simulate(testbench)


@pytest.mark.parametrize("seed", range(6))
def test_stop_at_any_time(seed):
    bench = Bench(random_program(60, seed=8), seed=seed, stall=0.3)
    dice = random.Random(seed)

    async def testbench(ctx):
        await bench.start(ctx)
        for _ in range(dice.randrange(600)):
            await ctx.tick()
        await bench.write(ctx, "CONTROL", Control.STOP | Control.INTERRUPT_ENABLE)
        await bench.interrupt(ctx)
        assert await bench.error(ctx) in ((Error.STOPPED, Engine.CONTROL, 0), (Error.NONE, Engine.CONTROL, 0))
        assert bench.memory.in_flight == 0
        bench.memory.quiet = True
        for _ in range(50):
            await ctx.tick()
        bench.memory.quiet = False
        await run_again(bench, ctx)

    bench.simulate(testbench)


def test_stop_without_a_run_does_nothing():
    bench = Bench(random_program(5, seed=9))

    async def testbench(ctx):
        await bench.write(ctx, "CONTROL", Control.STOP | Control.INTERRUPT_ENABLE)
        assert await bench.read(ctx, "STATUS") == 0
        await run_again(bench, ctx)

    bench.simulate(testbench)


def test_configuration_during_a_run_is_rejected():
    bench = Bench(random_program(60, seed=10), duration=100)

    async def testbench(ctx):
        await bench.start(ctx)
        for register in ("PROGRAM_LOW", "INSTRUCTIONS", "OUTPUT_LOW"):
            before = await bench.read(ctx, register)
            await bench.write(ctx, register, 0x40)
            assert await bench.read(ctx, register) == before
            assert await bench.read(ctx, "STATUS") == Status.BUSY | Status.REJECTED
        await bench.write(ctx, "CONTROL", Control.START | Control.INTERRUPT_ENABLE)
        await bench.interrupt(ctx)
        assert await bench.read(ctx, "STATUS") == Status.DONE | Status.REJECTED
        await run_again(bench, ctx)

    bench.simulate(testbench)


@pytest.mark.parametrize("watchdog", [100, 700])
def test_deadlock(watchdog):
    """A COMPUTE waits for two tokens, and nobody gives the second."""
    ready = 1 << Token.INPUT_READY
    good = random_program(1, seed=11)
    program = [encode(Opcode.LOAD_WEIGHTS, layer=layer) for layer in range(5)]
    program += [
        encode(Opcode.LOAD_MAP, layer=5, signal=ready),
        encode(Opcode.COMPUTE, layer=3000, wait=ready | 1 << Token.OUTPUT_FREE),
        encode(Opcode.FINISH, wait=1 << Token.OUTPUT_READY),
    ]
    bench = Bench(program)

    async def testbench(ctx):
        await bench.start(ctx, watchdog=watchdog)
        await bench.interrupt(ctx)
        assert await bench.error(ctx) == (Error.DEADLOCK, Engine.COMPUTE, 3000)
        assert watchdog <= await bench.read(ctx, "CYCLES")
        bench.program = good
        bench.memory.write(BASE, b"".join(good))
        await run_again(bench, ctx)

    bench.simulate(testbench)


def test_watchdog_zero_never_bites():
    bench = Bench([encode(Opcode.COMPUTE, wait=1), encode(Opcode.FINISH, wait=1 << Token.OUTPUT_READY)])

    async def testbench(ctx):
        await bench.start(ctx, watchdog=0)
        for _ in range(3000):
            await ctx.tick()
        assert await bench.read(ctx, "STATUS") == Status.BUSY
        await bench.write(ctx, "CONTROL", Control.STOP | Control.INTERRUPT_ENABLE)
        await bench.interrupt(ctx)
        assert await bench.error(ctx) == (Error.STOPPED, Engine.CONTROL, 0)

    bench.simulate(testbench)


@pytest.mark.parametrize("clear_early", [False, True])
@pytest.mark.parametrize("who", ["instructions", "engine"])
def test_a_bus_that_never_answers(who, clear_early):
    """DONE, ERROR and DRAINING; no start until the bus has answered, then a run works."""
    bench = Bench(random_program(40, seed=12), latency=10)
    layer = bench.expected()[Engine.MAPS][1]

    async def testbench(ctx):
        if who == "engine":
            bench.engines[Engine.MAPS].freezes = {layer}
        await bench.start(ctx, watchdog=300)
        if who == "instructions":
            for _ in range(40):
                await ctx.tick()
            bench.memory.dead = True
        await bench.interrupt(ctx)
        status = await bench.read(ctx, "STATUS")
        assert status == Status.DONE | Status.ERROR | Status.DRAINING
        assert (await bench.read(ctx, "ERROR")) & 0xFF == Error.DEADLOCK
        await bench.write(ctx, "INSTRUCTIONS", 3)
        await bench.write(ctx, "CONTROL", Control.START | Control.CLEAR | Control.INTERRUPT_ENABLE)
        assert (await bench.read(ctx, "STATUS")) == Status.DRAINING | Status.REJECTED
        if clear_early:
            await bench.write(ctx, "CONTROL", Control.CLEAR | Control.INTERRUPT_ENABLE)
        bench.memory.dead, bench.thaw = False, True
        while (await bench.read(ctx, "STATUS")) & Status.DRAINING:
            pass
        assert await bench.read(ctx, "STATUS") == (0 if clear_early else Status.REJECTED)
        assert not ctx.get(bench.dut.interrupt)
        await run_again(bench, ctx)

    bench.simulate(testbench)


def test_token_overflow():
    """256 tokens that nobody takes: the 256th is one too many."""
    give = 1 << Token.INPUT_READY
    program = [encode(Opcode.LOAD_MAP, layer=layer, signal=give) for layer in range(256)]
    bench = Bench([*program, encode(Opcode.FINISH)], duration=1)
    # FINISH must not end the run before the last LOAD_MAP.
    bench.engines[Engine.STORE].freezes = {0}

    async def testbench(ctx):
        await bench.start(ctx)
        await bench.interrupt(ctx)
        bench.thaw = True
        word = await bench.read(ctx, "ERROR")
        assert (word & 0xFF, word >> 8 & 0xF) == (Error.TOKENS, Engine.MAPS)
        assert bench.given[Token.INPUT_READY] == 256

    bench.simulate(testbench)


def test_no_instructions():
    bench = Bench([])

    async def testbench(ctx):
        await bench.start(ctx)
        await bench.interrupt(ctx, limit=60)
        assert await bench.error(ctx) == (Error.PROGRAM, Engine.FETCH, 0)

    bench.simulate(testbench)

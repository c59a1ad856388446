"""FETCH against a memory that stalls, fails and dies."""

import random

import pytest
from amaranth.sim import Simulator

from intramix.hdl.control.fetch import BUFFER_BEATS, ENGINES, Fetch
from intramix.hdl.geometry import Geometry
from intramix.hdl.isa import ENGINE_OF, FETCH_BITS, INSTRUCTION_BYTES, Engine, Error, Opcode
from intramix.sim.axi_memory import AxiMemory
from tests.support.raw_instructions import encode

pytestmark = pytest.mark.slow

BASE = 0x4000_0000


def geometry(maximum_burst: int = 16) -> Geometry:
    return Geometry(word_channels=4, pixel_lanes=1, fixed8_lanes=0, fixed4_lanes=4, lut_lanes=0, activation_bits=4,
                    maximum_burst=maximum_burst)  # fmt: skip


def random_program(count: int, seed: int) -> list[bytes]:
    """Instructions with random contents after the opcode; FINISH last."""
    dice = random.Random(seed)
    opcodes = [*dice.choices([opcode for opcode in Opcode if opcode is not Opcode.FINISH], k=count - 1), Opcode.FINISH]
    return [
        ((dice.getrandbits(512) & ~0xF) | opcode).to_bytes(INSTRUCTION_BYTES, "little") for opcode in opcodes
    ]


class Bench:
    """A Fetch with its memory, and everything that its queues received."""

    def __init__(self, program, *, address=BASE, stall=0.0, queue_stall=0.0, latency=0, maximum_burst=16, seed=0):
        self.dut = Fetch(geometry(maximum_burst))
        self.memory = AxiMemory(1 << 14, base=BASE, latency=latency, stall=stall, seed=seed,
                                maximum_burst=maximum_burst)  # fmt: skip
        self.memory.write(address, b"".join(program))
        self.address, self.count = address, len(program)
        self.received = {engine: b"" for engine in ENGINES}
        self.errors = []
        self.blocked = set()
        self._queue_stall = queue_stall
        self._dice = random.Random(seed)

    def queue(self, position, engine):
        beats = self.dut.beats[position]

        async def take(ctx):
            while True:
                ready = engine not in self.blocked and self._dice.random() >= self._queue_stall
                ctx.set(beats.ready, ready)
                _, _, valid, payload = await ctx.tick().sample(beats.valid, beats.payload)
                if valid and ready:
                    self.received[engine] += payload.to_bytes(8, "little")

        return take

    async def watch(self, ctx):
        while True:
            _, _, error = await ctx.tick().sample(self.dut.error)
            if error.valid:
                self.errors.append((Error(error.code), error.layer))

    async def start(self, ctx, count=None):
        ctx.set(self.dut.program, self.address)
        ctx.set(self.dut.instructions, self.count if count is None else count)
        ctx.set(self.dut.start, 1)
        await ctx.tick()
        ctx.set(self.dut.start, 0)

    async def rest(self, ctx, limit=4000):
        """Cycles until FETCH is idle; it must be within the limit, and stay so."""
        for cycles in range(limit):
            if ctx.get(self.dut.idle):
                for _ in range(20):
                    await ctx.tick()
                    assert ctx.get(self.dut.idle)
                return cycles
            await ctx.tick()
        raise AssertionError("FETCH does not come to rest")

    def run(self, testbench):
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        simulator.add_testbench(testbench)
        for position, engine in enumerate(ENGINES):
            simulator.add_testbench(self.queue(position, engine), background=True)
        simulator.add_testbench(self.watch, background=True)
        simulator.add_testbench(self.memory.reader(self.dut.bus), background=True)
        simulator.run()


def expected(program):
    """What each engine's queue must receive."""
    return {
        engine: b"".join(code for code in program if ENGINE_OF[Opcode(code[0] & 0xF)] == engine) for engine in ENGINES
    }


@pytest.mark.parametrize(
    ("stall", "queue_stall", "latency", "maximum_burst"),
    [(0, 0, 0, 16), (0, 0, 40, 16), (0.4, 0.4, 5, 16), (0.1, 0.9, 0, 4), (0.5, 0, 12, 1), (0, 0.2, 3, 256)],
)
def test_programs_arrive(stall, queue_stall, latency, maximum_burst):
    program = random_program(40, seed=latency)
    # The program crosses 4 KiB in the middle of a pair of instructions.
    bench = Bench(program, address=BASE + 4096 - 3 * 64, stall=stall, queue_stall=queue_stall, latency=latency,
                  maximum_burst=maximum_burst, seed=maximum_burst)  # fmt: skip

    async def testbench(ctx):
        await bench.start(ctx)
        cycles = await bench.rest(ctx)
        if not stall and not queue_stall:
            print(f"latency {latency}: {cycles / (8 * len(program)):.2f} cycles a beat")
        assert ctx.get(bench.dut.fetched) == len(program)

    bench.run(testbench)
    assert bench.received == expected(program)
    assert not bench.errors
    assert bench.memory.read_beats == 8 * len(program)


def test_full_rate_without_stalls():
    program = random_program(40, seed=3)
    bench = Bench(program, latency=20)

    async def testbench(ctx):
        await bench.start(ctx)
        assert await bench.rest(ctx) <= 8 * len(program) + 40

    bench.run(testbench)


def test_a_full_queue_does_not_block_the_bus():
    """With one queue stuck, all that was requested still arrives, and no more is requested than there is room for."""
    program = random_program(40, seed=5)
    bench = Bench(program)
    bench.blocked = {Engine.MAPS}

    async def testbench(ctx):
        await bench.start(ctx)
        for _ in range(600):
            await ctx.tick()
        delivered = sum(map(len, bench.received.values())) // 8
        assert delivered < 8 * len(program)
        assert bench.memory.in_flight == 0
        assert bench.memory.read_beats == delivered + BUFFER_BEATS
        bench.blocked = set()
        await bench.rest(ctx)

    bench.run(testbench)
    assert bench.received == expected(program)


@pytest.mark.parametrize("opcode", [0, *range(7, 16)])
def test_unknown_opcodes(opcode):
    program = random_program(20, seed=opcode)
    program[7] = ((0xABC << 4 | opcode) | 0xFFFF << 16).to_bytes(64, "little")
    bench = Bench(program, stall=0.3, seed=opcode)

    async def testbench(ctx):
        await bench.start(ctx)
        await bench.rest(ctx)
        assert ctx.get(bench.dut.fetched) == 7

    bench.run(testbench)
    assert bench.errors == [(Error.OPCODE, 0xABC)]
    assert bench.received == expected(program[:7])


@pytest.mark.parametrize("position", [None, 0, 5, 18])
def test_finish_must_be_last_and_only_last(position):
    program = random_program(20, seed=1)
    if position is None:
        program[-1] = encode(Opcode.COMPUTE, layer=9)
        position = 19
    else:
        program[position] = encode(Opcode.FINISH, layer=9)
    bench = Bench(program)

    async def testbench(ctx):
        await bench.start(ctx)
        await bench.rest(ctx)

    bench.run(testbench)
    assert bench.errors == [(Error.PROGRAM, 9)]
    assert bench.received == expected(program[:position])


@pytest.mark.parametrize(("address", "count", "error"), [(BASE, 0, Error.PROGRAM), (BASE + 32, 4, Error.FIELD)])
def test_what_cannot_be_started(address, count, error):
    bench = Bench(random_program(4, seed=1), address=address)
    bench.memory.quiet = True

    async def testbench(ctx):
        await bench.start(ctx, count)
        assert await bench.rest(ctx) <= 1

    bench.run(testbench)
    assert bench.errors == [(error, 0)]


@pytest.mark.parametrize("burst", [0, 1, 9])
def test_bus_error(burst):
    program = random_program(12, seed=burst)
    bench = Bench(program, latency=7, stall=0.2)
    bench.memory.fail_read = lambda address: address >= BASE + 64 * burst

    async def testbench(ctx):
        await bench.start(ctx)
        await bench.rest(ctx)
        assert bench.memory.in_flight == 0

    bench.run(testbench)
    assert bench.errors == [(Error.READ_RESPONSE, 0)]
    # Beats before the error arrive, but for those that are still between bus and queue.
    complete = expected(program[:burst])
    assert all(complete[engine].startswith(received) for engine, received in bench.received.items())
    assert sum(map(len, complete.values())) - sum(map(len, bench.received.values())) <= 2 * FETCH_BITS // 8


@pytest.mark.parametrize("seed", range(12))
def test_abort_at_any_time(seed):
    """Under abort what is under way is taken, and nothing is delivered or requested."""
    program = random_program(12, seed=seed)
    bench = Bench(program, latency=seed, stall=0.3, queue_stall=0.2, seed=seed)

    async def testbench(ctx):
        await bench.start(ctx)
        for _ in range(random.Random(seed).randrange(150)):
            await ctx.tick()
        ctx.set(bench.dut.abort, 1)
        await ctx.tick().repeat(2)
        bench.memory.quiet = not ctx.get(bench.dut.bus.arvalid)  # an address on offer may still be accepted
        delivered = dict(bench.received)
        await bench.rest(ctx)
        assert bench.memory.in_flight == 0
        assert bench.received == delivered

    bench.run(testbench)
    assert not bench.errors
    for engine, code in expected(program).items():
        assert code.startswith(bench.received[engine])

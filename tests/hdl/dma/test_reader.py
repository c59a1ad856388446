"""BurstReader against a memory with stalls, latency and errors."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from intramix.hdl.dma.bursts import check_bus, times
from intramix.hdl.dma.reader import BurstReader
from intramix.sim.axi_memory import AxiMemory

pytestmark = pytest.mark.slow

BASE = 0x1000_0000


def filled(size: int, seed: int, **options) -> AxiMemory:
    memory = AxiMemory(size, base=BASE, seed=seed, **options)
    memory.data[:] = random.Random(seed).randbytes(size)
    return memory


def reference_beats(memory: AxiMemory, address: int, count: int, lanes: int) -> list[tuple]:
    """(data, offset, end, last) of a request's beats."""
    first, final = address // lanes, (address + count - 1) // lanes
    return [
        (int.from_bytes(memory.read(beat * lanes, lanes), "little"), address % lanes, (address + count - 1) % lanes,
         beat == final)
        for beat in range(first, final + 1)
    ]


def run(dut, memory, requests, *, stall=0.0, seed=0, cycles=20000):
    """Beats delivered for the requests, the cycles from the first request to the last beat, and the error tags."""
    dice = random.Random(seed)
    got, errors, took = [], [], [0]
    expected = sum((a + n - 1) // (dut._data_bits // 8) - a // (dut._data_bits // 8) + 1 for a, n in requests)

    async def ask(ctx):
        for number, (address, count) in enumerate(requests):
            ctx.set(dut.requests.p, {"address": address, "bytes": count, "tag": number % 16})
            ctx.set(dut.requests.valid, 1)
            await ctx.tick().until(dut.requests.ready)
            ctx.set(dut.requests.valid, 0)
            while dice.random() < stall:
                await ctx.tick()

    async def take(ctx):
        payload = dut.beats.p
        while len(got) < expected:
            ctx.set(dut.beats.ready, dice.random() >= stall)
            _, _, valid, ready, *beat = await ctx.tick().sample(
                dut.beats.valid, dut.beats.ready, payload.data, payload.offset, payload.end, payload.last, payload.tag)
            took[0] += 1
            assert took[0] < cycles, "the reader hangs"
            if valid and ready:
                got.append(tuple(beat))
        ctx.set(dut.beats.ready, 0)
        for _ in range(5):
            await ctx.tick()
        assert ctx.get(dut.idle)

    async def watch(ctx):
        while True:
            _, _, error, tag = await ctx.tick().sample(dut.error, dut.error_tag)
            if error:
                errors.append(tag)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(ask)
    simulator.add_testbench(take)
    simulator.add_testbench(watch, background=True)
    simulator.add_testbench(memory.reader(dut.axi), background=True)
    simulator.run()
    return got, took[0], errors


@pytest.mark.parametrize("bits", [32, 64, 128])
@pytest.mark.parametrize("burst", [1, 16, 256])
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_reads_any_bytes(bits, burst, stall):
    dice = random.Random(f"{bits}/{burst}/{stall}")
    memory = filled(16384, 1, stall=stall, latency=7, maximum_burst=burst)
    requests = [(BASE + dice.randrange(12000), dice.choice([1, 2, 7, 64, dice.randrange(1, 300)])) for _ in range(6)]
    requests += [(BASE + 4096 + delta, 200) for delta in (-201, -200, -199, -17, -16, -1, 0, 1)]
    requests.append((BASE + 3, 4500))
    dut = BurstReader(data_bits=bits, address_bits=40, maximum_burst=burst, tag=4)
    got, _, errors = run(dut, memory, requests, stall=stall)
    expected = [(*beat, number % 16) for number, request in enumerate(requests)
                for beat in reference_beats(memory, *request, bits // 8)]
    assert got == expected
    assert errors == []


def test_keeps_the_bus_busy_despite_latency():
    memory = filled(32768, 2, latency=40)
    requests = [(BASE + 640 * n, 640) for n in range(20)]
    dut = BurstReader(data_bits=64, address_bits=32, maximum_burst=16, tag=4)
    got, cycles, _ = run(dut, memory, requests)
    print(f"{len(got)} beats in {cycles} cycles at 40 cycles of latency")
    assert len(got) == 1600
    assert cycles <= 1600 + 40 + 10


def test_reports_error_responses_with_their_tag():
    memory = filled(8192, 3, latency=3, stall=0.2)
    memory.fail_read = lambda address: BASE + 1024 <= address < BASE + 1152
    requests = [(BASE + 512 * n, 256) for n in range(4)]
    dut = BurstReader(data_bits=64, address_bits=32, maximum_burst=16, tag=4)
    _, _, errors = run(dut, memory, requests)
    assert errors == [2] * 16


@pytest.mark.parametrize("seed", range(12))
def test_abort_comes_to_rest(seed):
    dice = random.Random(seed)
    memory = filled(16384, seed, latency=dice.choice([0, 20]), stall=dice.choice([0.0, 0.5, 0.8]), maximum_burst=16)
    dut = BurstReader(data_bits=64, address_bits=32, maximum_burst=16)

    async def bench(ctx):
        ctx.set(dut.requests.p, {"address": BASE + dice.randrange(64), "bytes": 8000})
        ctx.set(dut.requests.valid, 1)
        for _ in range(dice.randrange(80)):
            ctx.set(dut.beats.ready, dice.random() < 0.5)
            await ctx.tick()
        ctx.set(dut.abort, 1)
        ctx.set(dut.beats.ready, 0)
        await ctx.tick().repeat(2)  # the address registered just before is seen by the memory one cycle later
        memory.quiet = True
        for _ in range(5000):
            if ctx.get(dut.idle):
                break
            await ctx.tick()
        assert ctx.get(dut.idle)
        await ctx.tick()
        assert memory.in_flight == 0
        beats = memory.read_beats
        for _ in range(100):
            await ctx.tick()
            assert ctx.get(dut.idle)
        assert memory.read_beats == beats

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_testbench(memory.reader(dut.axi), background=True)
    simulator.run()


def test_permit_holds_bursts_back():
    memory = filled(4096, 5)
    dut = BurstReader(data_bits=64, address_bits=32, maximum_burst=16)

    async def bench(ctx):
        ctx.set(dut.permit, 0)
        ctx.set(dut.beats.ready, 1)
        ctx.set(dut.requests.p, {"address": BASE + 120, "bytes": 64})
        ctx.set(dut.requests.valid, 1)
        await ctx.tick()
        ctx.set(dut.requests.valid, 0)
        for _ in range(20):
            await ctx.tick()
        assert ctx.get(dut.waiting)
        assert not ctx.get(dut.axi.arvalid)
        assert ctx.get(dut.next_length) == 0  # one beat up to the multiple of 128 bytes
        assert not ctx.get(dut.idle)
        ctx.set(dut.permit, 1)
        for _ in range(30):
            await ctx.tick()
        assert ctx.get(dut.idle)
        assert memory.read_beats == 8

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_testbench(memory.reader(dut.axi), background=True)
    simulator.run()


def test_times_is_multiplication():
    value = Signal(6)
    outputs = {constant: Signal(16) for constant in range(60)}
    m = Module()
    for constant, output in outputs.items():
        m.d.comb += output.eq(times(value, constant))

    async def bench(ctx):
        for number in range(64):
            ctx.set(value, number)
            for constant, output in outputs.items():
                assert ctx.get(output) == number * constant

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


def test_wrong_parameters_are_refused():
    with pytest.raises(ValueError, match="maximum_burst must be a power of two, 1 … 256, not 12"):
        check_bus(64, 12)
    with pytest.raises(TypeError, match="data_bits must be an integer, not '64'"):
        check_bus("64", 16)


def test_abort_does_not_withdraw_what_a_silent_memory_was_offered():
    memory = filled(4096, 6, maximum_burst=16)
    memory.dead = True
    dut = BurstReader(data_bits=64, address_bits=32, maximum_burst=16)

    async def bench(ctx):
        ctx.set(dut.requests.p, {"address": BASE, "bytes": 2000})
        ctx.set(dut.requests.valid, 1)
        await ctx.tick().repeat(10)
        assert ctx.get(dut.axi.arvalid)
        ctx.set(dut.abort, 1)
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(dut.idle)
        memory.dead = False
        await ctx.tick().repeat(60)
        assert ctx.get(dut.idle)
        assert (memory.in_flight, memory.read_bursts, memory.read_beats) == (0, 1, 16)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_testbench(memory.reader(dut.axi), background=True)
    simulator.run()

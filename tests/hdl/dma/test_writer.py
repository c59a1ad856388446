"""BurstWriter (with Packer before it) against a memory with stalls and errors; guard bytes around every write."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from intramix.hdl.dma.gearbox import Packer
from intramix.hdl.dma.writer import BurstWriter
from intramix.sim.axi_memory import AxiMemory

pytestmark = pytest.mark.slow

BASE = 0x2000_0000


def build(bits: int, burst: int, word: int, outstanding: int = 8):
    m = Module()
    m.submodules.packer = packer = Packer(data_bits=bits, word_bits=word)
    m.submodules.writer = writer = BurstWriter(data_bits=bits, address_bits=32, maximum_burst=burst, tag=8,
                                               outstanding=outstanding)
    wiring.connect(m, packer.beats, writer.beats)
    return m, packer, writer


async def accepted(ctx, stream):
    """Ticks until the stream's payload is taken (`until` cannot be left behind by a background testbench)."""
    taken = False
    while not taken:
        _, _, taken = await ctx.tick().sample(stream.ready)


def feed(packer, writer, writes, dice, stall):
    """Testbenches that send `writes`, (address, words), as requests and as words."""
    lanes = len(writer.axi.wdata) // 8
    size = packer._word_bits // 8

    async def ask(ctx):
        for tag, (address, words) in enumerate(writes):
            ctx.set(writer.requests.p, {"address": address, "bytes": len(words) * size, "tag": tag % 256})
            ctx.set(writer.requests.valid, 1)
            await accepted(ctx, writer.requests)
            ctx.set(writer.requests.valid, 0)

    async def send(ctx):
        for address, words in writes:
            for index, word in enumerate(words):
                while dice.random() < stall:
                    await ctx.tick()
                ctx.set(packer.words.p, {"data": int.from_bytes(word, "little"), "offset": address % lanes,
                                         "last": index == len(words) - 1})
                ctx.set(packer.words.valid, 1)
                await accepted(ctx, packer.words)
                ctx.set(packer.words.valid, 0)

    return ask, send


@pytest.mark.parametrize("bits", [32, 64, 128])
@pytest.mark.parametrize("burst", [1, 16, 256])
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_writes_any_bytes_and_no_others(bits, burst, stall):
    dice = random.Random(f"{bits}/{burst}/{stall}")
    memory = AxiMemory(16384, base=BASE, latency=9, stall=stall, maximum_burst=burst)
    memory.data[:] = dice.randbytes(16384)
    expected = bytearray(memory.data)
    address, writes = BASE, []
    for count in (1, 2, 30, 7, 1, 90, 3, 64, 200):
        address += dice.randrange(1, 60)
        words = [dice.randbytes(5) for _ in range(count)]
        writes.append((address, words))
        expected[address - BASE:address - BASE + 5 * count] = b"".join(words)
        address += 5 * count
    for delta in (-5, -4, -1, 0, 1):
        words = [dice.randbytes(5)]
        writes.append((BASE + 8192 + 64 * delta + delta, words))
        expected[8192 + 65 * delta:8192 + 65 * delta + 5] = words[0]
    words = [dice.randbytes(5) for _ in range(10)]
    writes.append((BASE + 12288 - 23, words))
    expected[12288 - 23:12288 + 27] = b"".join(words)
    m, packer, writer = build(bits, burst, 40)
    ask, send = feed(packer, writer, writes, dice, stall)
    acknowledged = []

    async def watch(ctx):
        for _ in range(30000):
            _, _, done, tag, error = await ctx.tick().sample(writer.acknowledged, writer.answer_tag, writer.error)
            assert not error
            if done:
                acknowledged.append(tag)
            if len(acknowledged) == len(writes):
                break
        await ctx.tick().repeat(3)
        assert ctx.get(writer.idle)
        assert memory.in_flight == 0

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    for bench in (ask, send, watch):
        simulator.add_testbench(bench)
    simulator.add_testbench(memory.writer(writer.axi), background=True)
    simulator.run()
    assert acknowledged == list(range(len(writes)))
    assert memory.data == expected


def test_full_rate():
    memory = AxiMemory(16384, base=BASE, latency=20, maximum_burst=16)
    dice = random.Random(1)
    writes = [(BASE + 643 * n, [dice.randbytes(10) for _ in range(64)]) for n in range(10)]
    m, packer, writer = build(64, 16, 80)
    ask, send = feed(packer, writer, writes, dice, 0.0)
    cycles = [0]

    async def watch(ctx):
        done = 0
        while done < len(writes):
            _, _, acknowledged = await ctx.tick().sample(writer.acknowledged)
            done += acknowledged
            cycles[0] += 1

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    for bench in (ask, send, watch):
        simulator.add_testbench(bench)
    simulator.add_testbench(memory.writer(writer.axi), background=True)
    simulator.run()
    print(f"{memory.write_beats} beats in {cycles[0]} cycles, 20 cycles to the last response")
    assert cycles[0] <= memory.write_beats + 20 + 15


def test_reports_error_responses_with_their_tag():
    memory = AxiMemory(8192, base=BASE, latency=3, stall=0.3)
    memory.fail_write = lambda address: BASE + 1024 <= address < BASE + 1152
    dice = random.Random(2)
    writes = [(BASE + 512 * n, [dice.randbytes(8) for _ in range(30)]) for n in range(4)]
    m, packer, writer = build(64, 16, 64)
    ask, send = feed(packer, writer, writes, dice, 0.2)
    errors = []

    async def watch(ctx):
        done = 0
        while done < len(writes):
            _, _, acknowledged, error, tag = await ctx.tick().sample(
                writer.acknowledged, writer.error, writer.answer_tag)
            done += acknowledged
            if error:
                errors.append(tag)

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    for bench in (ask, send, watch):
        simulator.add_testbench(bench)
    simulator.add_testbench(memory.writer(writer.axi), background=True)
    simulator.run()
    assert errors == [2]


@pytest.mark.parametrize("seed", range(15))
def test_abort_completes_what_was_offered_and_writes_nothing_more(seed):
    dice = random.Random(seed)
    stall = dice.choice([0.0, 0.5, 0.8])
    memory = AxiMemory(8192, base=BASE, latency=dice.choice([0, 15]), stall=stall, maximum_burst=16)
    before = bytes(memory.data)
    words = [bytes([255]) * 10 for _ in range(300)]
    m, packer, writer = build(64, 16, 80)
    ask, send = feed(packer, writer, [(BASE + dice.randrange(200), words)], dice, dice.choice([0.0, 0.7]))

    async def bench(ctx):
        await ctx.tick().repeat(dice.randrange(1, 100))
        ctx.set(writer.abort, 1)
        await ctx.tick().repeat(2)
        memory.quiet = True
        for _ in range(3000):
            if ctx.get(writer.idle):
                break
            await ctx.tick()
        assert ctx.get(writer.idle)
        await ctx.tick()
        assert memory.in_flight == 0
        counts = memory.write_beats, memory.write_bursts
        for _ in range(100):
            await ctx.tick()
            assert ctx.get(writer.idle)
        assert (memory.write_beats, memory.write_bursts) == counts

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(ask, background=True)
    simulator.add_testbench(send, background=True)
    simulator.add_testbench(bench)
    simulator.add_testbench(memory.writer(writer.axi), background=True)
    simulator.run()
    assert len(memory.data) == len(before)
    written = [index for index, byte in enumerate(memory.data) if byte]
    assert written == list(range(written[0], written[-1] + 1)) if written else True


def test_abort_does_not_withdraw_what_a_silent_memory_was_offered():
    memory = AxiMemory(4096, base=BASE, maximum_burst=16)
    memory.dead = True
    dice = random.Random(0)
    m, packer, writer = build(64, 16, 80)
    ask, send = feed(packer, writer, [(BASE + 5, [bytes([255]) * 10] * 30)], dice, 0.0)

    async def bench(ctx):
        await ctx.tick().repeat(10)
        assert ctx.get(writer.axi.awvalid)
        assert ctx.get(writer.axi.wvalid)
        ctx.set(writer.abort, 1)
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(writer.idle)
        memory.dead = False
        await ctx.tick().repeat(60)
        assert ctx.get(writer.idle)
        assert memory.in_flight == 0
        assert (memory.write_bursts, memory.write_beats) == (1, 16)

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(ask, background=True)
    simulator.add_testbench(send, background=True)
    simulator.add_testbench(bench)
    simulator.add_testbench(memory.writer(writer.axi), background=True)
    simulator.run()
    assert set(memory.data[5:8]) == {255}
    assert not any(memory.data[8:])

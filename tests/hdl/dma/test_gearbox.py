"""Unpacker and Packer at every byte offset, against slices of byte strings."""

import random

import pytest
from amaranth.sim import Simulator

from intramix.hdl.dma.gearbox import Packer, Unpacker, check_word

pytestmark = pytest.mark.slow

WIDTHS = [(bits, word) for bits in (32, 64, 128) for word in (16, 24, 32, 40, 56, 64, 80, 96, 112, 128, 160, 224, 448)]


def pipe(dut, source, sink, items, fields, count, *, stall, seed):
    """Sends `items` into `source` and takes `count` payloads (their `fields`) from `sink`; the cycles it took, too."""
    dice = random.Random(seed)
    got, cycles = [], [0]

    async def send(ctx):
        for item in items:
            while dice.random() < stall:
                await ctx.tick()
            ctx.set(source.p, item)
            ctx.set(source.valid, 1)
            await ctx.tick().until(source.ready)
            ctx.set(source.valid, 0)

    async def take(ctx):
        while len(got) < count:
            ready = dice.random() >= stall
            ctx.set(sink.ready, ready)
            _, _, valid, *payload = await ctx.tick().sample(sink.valid, *(getattr(sink.p, name) for name in fields))
            cycles[0] += 1
            assert cycles[0] < 50 * count + 500, "nothing comes"
            if valid and ready:
                got.append(tuple(payload))
        for _ in range(8):
            ctx.set(sink.ready, 1)
            _, _, valid = await ctx.tick().sample(sink.valid)
            assert not valid, "more comes than was sent"

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(send)
    simulator.add_testbench(take)
    simulator.run()
    return got, cycles[0]


def chunks_for(lanes: int, dice: random.Random) -> list[tuple[int, int]]:
    """(offset, words) of chunks: every offset once, short and long."""
    return [(offset, dice.choice([1, 1, 2, 3, 9])) for offset in dice.sample(range(lanes), lanes)]


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize(("bits", "word"), WIDTHS)
def test_unpacks_chunks_at_any_offset(bits, word, stall):
    dice = random.Random(f"{bits}/{word}")
    lanes, size = bits // 8, word // 8
    beats, expected = [], []
    for tag, (offset, words) in enumerate(chunks_for(lanes, dice)):
        content = dice.randbytes(words * size)
        total = offset + len(content)
        padded = dice.randbytes(offset) + content + dice.randbytes(-total % lanes)
        for start in range(0, len(padded), lanes):
            beats.append({
                "data": int.from_bytes(padded[start:start + lanes], "little"), "begin": -offset,
                "single": (total - 1) % lanes - offset == size - 1,
                "end": (total - 1) % lanes, "last": start + lanes == len(padded), "tag": tag % 4,
            })
        expected += [(int.from_bytes(content[k * size:(k + 1) * size], "little"), k == words - 1, tag % 4)
                     for k in range(words)]
    dut = Unpacker(data_bits=bits, word_bits=word, tag=2)
    got, _ = pipe(dut, dut.beats, dut.words, beats, ("data", "last", "tag"), len(expected), stall=stall, seed=word)
    assert got == expected


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize(("bits", "word"), WIDTHS)
def test_packs_chunks_at_any_offset(bits, word, stall):
    dice = random.Random(f"{bits}/{word}")
    lanes, size = bits // 8, word // 8
    words, expected = [], []
    for offset, count in chunks_for(lanes, dice):
        content = dice.randbytes(count * size)
        words += [{"data": int.from_bytes(content[k * size:(k + 1) * size], "little"), "offset": offset,
                   "last": k == count - 1} for k in range(count)]
        places = [None] * offset + list(content)
        places += [None] * (-len(places) % lanes)
        expected += [places[start:start + lanes] for start in range(0, len(places), lanes)]
    dut = Packer(data_bits=bits, word_bits=word)
    got, _ = pipe(dut, dut.words, dut.beats, words, ("data", "strobes"), len(expected), stall=stall, seed=word)
    seen = [[data >> 8 * k & 0xFF if strobes >> k & 1 else None for k in range(lanes)] for data, strobes in got]
    assert seen == expected


def test_full_rate():
    dice = random.Random(0)
    beats = [{"data": dice.getrandbits(64), "begin": -3, "end": (3 + 799) % 8, "last": n % 101 == 100}
             for n in range(404)]
    unpacker = Unpacker(data_bits=64, word_bits=80)
    _, cycles = pipe(unpacker, unpacker.beats, unpacker.words, beats, ("data",), 320, stall=0.0, seed=0)
    print(f"unpacker: 404 beats in {cycles} cycles")
    assert cycles <= 404 + 2
    words = [{"data": dice.getrandbits(80), "offset": 3, "last": n % 80 == 79} for n in range(320)]
    packer = Packer(data_bits=64, word_bits=80)
    _, cycles = pipe(packer, packer.words, packer.beats, words, ("data",), 404, stall=0.0, seed=0)
    print(f"packer: 404 beats in {cycles} cycles")
    assert cycles <= 404 + 4


def test_idle_packer_holds_nothing():
    dut = Packer(data_bits=64, word_bits=80)

    async def bench(ctx):
        assert ctx.get(dut.idle)
        ctx.set(dut.words.p, {"data": 1, "offset": 7, "last": 1})
        ctx.set(dut.words.valid, 1)
        await ctx.tick().until(dut.words.ready)
        ctx.set(dut.words.valid, 0)
        beats = 0
        ctx.set(dut.beats.ready, 1)
        for _ in range(10):
            assert not (ctx.get(dut.idle) and beats < 3)
            _, _, valid = await ctx.tick().sample(dut.beats.valid)
            beats += valid
        assert beats == 3
        assert ctx.get(dut.idle)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def test_odd_word_refused():
    with pytest.raises(ValueError, match="word_bits must be a positive multiple of 8, not 20"):
        check_word(20)

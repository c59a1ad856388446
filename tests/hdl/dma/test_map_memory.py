"""The map memory and what reads it: every word, a word a cycle, and no lane group held up by the other for long."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from intramix.hdl.dma.chip_reader import ChipReader
from intramix.hdl.dma.map_memory import MapMemory
from intramix.hdl.dma.stored_order import UNDER_WAY, StoredOrder
from intramix.hdl.geometry import Geometry
from intramix.hdl.interfaces import map_write_signature

WORDS = 90


def geometry(ports: int, words: int = WORDS) -> Geometry:
    return Geometry(word_channels=8, pixel_lanes=2, fixed8_lanes=0, fixed4_lanes=8, lut_lanes=0, activation_bits=5,
                    map_words=words, maps_ports=ports)  # fmt: skip


class Readers(wiring.Component):
    """A map memory with its readers; writes from outside."""

    def __init__(self, g: Geometry) -> None:
        self._g = g
        self.readers = [ChipReader(g) for _ in range(g.maps_ports)]
        super().__init__({
            "writes": In(map_write_signature(g)).array(g.maps_ports),
            "requests": In(self.readers[0].requests.signature.flip()).array(g.maps_ports),
            "words": Out(self.readers[0].words.signature).array(g.maps_ports),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = MapMemory(self._g)
        for number, reader in enumerate(self.readers):
            m.submodules[f"reader_{number}"] = reader
            wiring.connect(m, reader.memory, memory.reads[number])
            wiring.connect(m, wiring.flipped(self.writes[number]), memory.writes[number])
            wiring.connect(m, wiring.flipped(self.requests[number]), reader.requests)
            wiring.connect(m, wiring.flipped(self.words[number]), reader.words)
        return m


def read(ports: int, requests: list[list[tuple[int, int]]], *, taken: float = 1.0, words: int = WORDS) -> list[int]:
    """Fills the memory from all ports at once, then reads requests (address, words) of every port; checks each word and
    returns the cycles that each port took."""
    g = geometry(ports, words)
    dut = Readers(g)
    dice = random.Random(5)
    content = [dice.getrandbits(g.word_bits) for _ in range(words)]
    cycles = [0] * ports
    filled = [False] * ports

    def port(number: int):
        async def write(ctx):
            side = dut.writes[number]
            for address in range(number, words, ports) if number % 2 else reversed(range(number, words, ports)):
                ctx.set(side.address, address)
                ctx.set(side.data, content[address])
                ctx.set(side.wants, 1)
                await ctx.tick().until(side.granted)
            ctx.set(side.wants, 0)
            filled[number] = True

        async def ask(ctx):
            while not all(filled):
                await ctx.tick()
            side = dut.requests[number]
            for address, count in requests[number]:
                ctx.set(side.payload.address, address)
                ctx.set(side.payload.words, count)
                ctx.set(side.payload.place.plane_end, count & 1)
                ctx.set(side.valid, 1)
                await ctx.tick().until(side.ready)
                ctx.set(side.valid, 0)

        async def take(ctx):
            while not all(filled):
                await ctx.tick()
            side = dut.words[number]
            for address, count in requests[number]:
                for place in range(count):
                    while dice.random() >= taken:
                        ctx.set(side.ready, 0)
                        await ctx.tick()
                        cycles[number] += 1
                    ctx.set(side.ready, 1)
                    while True:
                        _, _, valid, word = await ctx.tick().sample(side.valid, side.payload)
                        cycles[number] += 1
                        assert cycles[number] < 10_000, "nothing comes"
                        if valid:
                            break
                    assert word.data == content[address + place]
                    assert (word.last, word.tag.plane_end) == (place == count - 1, count & 1)
            ctx.set(side.ready, 0)

        return write, ask, take

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    for number in range(ports):
        for testbench in port(number):
            simulator.add_testbench(testbench)
    simulator.run()
    return cycles


def chunks(seed: int, count: int, least: int = 1) -> list[tuple[int, int]]:
    dice = random.Random(seed)
    lengths = [dice.randint(least, 12) for _ in range(count)]
    return [(dice.randint(0, WORDS - length), length) for length in lengths]


@pytest.mark.parametrize("taken", [1.0, 0.4])
@pytest.mark.parametrize("ports", [1, 2])
def test_every_word_in_order(ports, taken):
    read(ports, [chunks(seed, 40) for seed in range(ports)], taken=taken)


def test_a_word_a_cycle_over_chunks():
    requests = chunks(3, 60, least=2)
    (cycles,) = read(1, [requests])
    assert cycles <= sum(count for _, count in requests) + 12


def test_two_groups_take_turns():
    """Both run through consecutive words: one waits for a cycle at a chunk's begin at most, and then neither does."""
    requests = [[(10 * n, 10) for n in range(9)] * 3, [(10 * n + 1, 9) for n in range(8)] * 3]
    cycles = read(2, requests)
    for spent, asked in zip(cycles, requests):
        assert spent <= sum(count for _, count in asked) + 2 * len(asked) + 12


@pytest.mark.parametrize("words", [512, 1024, 1026])
def test_slices_of_block_rams(words):
    """Words are cut across, as wide as a block RAM of the depth; each slice has its own bits."""
    read(1, [[(words - 60, 60), (0, 30)]], words=words)


def stored_in_order(seed: int, *, late: float) -> tuple[list[int], list[int]]:
    """Tokens expected, and given, by number of the STORE: of STOREs to DDR and to the map memory at random, which are
    done in any order between the two."""
    dut = StoredOrder()
    dice = random.Random(seed)
    stores = [(dice.random() < 0.5, dice.random() < 0.7) for _ in range(100)]
    begun: list[int] = []
    done = [0, 0]  # by kind
    given: list[int] = []

    async def begin(ctx):
        for number, (memory, stored) in enumerate(stores):
            ctx.set(dut.begins.payload, {"memory": memory, "stored": stored})
            ctx.set(dut.begins.valid, 1)
            await ctx.tick().until(dut.begins.ready)
            ctx.set(dut.begins.valid, 0)
            begun.append(number)
            assert len(begun) - done[0] - done[1] <= UNDER_WAY + 2

    async def finish(ctx):
        while sum(done) < len(stores):
            for kind, strobe in enumerate((dut.written, dut.acknowledged)):
                mine = [number for number in begun if stores[number][0] == kind]
                go = len(mine) > done[kind] and dice.random() >= late
                ctx.set(strobe, go)
                done[kind] += go
            await ctx.tick()
        ctx.set(dut.written, 0)
        ctx.set(dut.acknowledged, 0)

    async def watch(ctx):
        expected = [number for number, (_, stored) in enumerate(stores) if stored]
        while len(given) < len(expected):
            finished = list(done)
            _, _, token = await ctx.tick().sample(dut.stored)
            if token:
                number = expected[len(given)]
                for kind in range(2):  # it and all before it are done
                    assert sum(stores[before][0] == kind for before in range(number + 1)) <= finished[kind]
                given.append(number)
        for _ in range(30):
            _, _, token, empty = await ctx.tick().sample(dut.stored, dut.empty)
            assert not token
        assert empty

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    for testbench in (begin, finish, watch):
        simulator.add_testbench(testbench)
    simulator.run_until(1e-4)
    return [number for number, (_, stored) in enumerate(stores) if stored], given


@pytest.mark.parametrize("late", [0.0, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_stored_comes_in_the_order_of_stores(seed, late):
    expected, given = stored_in_order(seed, late=late)
    assert given == expected

"""WeightsEngine: rings against slices of memory, under stalls, back-pressure, errors and aborts."""

import random

import pytest
from amaranth.sim import Simulator

from intramix.hdl import isa
from intramix.hdl.dma.weights import WeightsEngine
from intramix.hdl.geometry import Geometry
from intramix.sim.axi_memory import AxiMemory
from tests.support.dma.engine_bench import hand_over, simulator_of
from tests.support.raw_instructions import decode, encode

pytestmark = pytest.mark.slow

BASE = 0x0100_0000


def geometry(**fields) -> Geometry:
    return Geometry(**{"word_channels": 4, "pixel_lanes": 1, "fixed8_lanes": 2, "fixed4_lanes": 3, "lut_lanes": 3,
                       "activation_bits": 4, "weight_depth": 8, "constant_tiles": 2, **fields})


GEOMETRIES = {
    "one port of 64": geometry(),
    "two ports of 32": geometry(weights_bus_bits=32, weight_ports=2, maximum_burst=4, post_units=4),
    "four ports of 64": geometry(weight_ports=4, weight_depth=4, post_units=8),
    "two ports of 128": geometry(weights_bus_bits=128, weight_ports=2, weight_depth=16),
    "wide words, deep bursts": geometry(fixed8_lanes=8, fixed4_lanes=12, lut_lanes=12, word_channels=8,
                                        maximum_burst=256, weight_depth=32),
    "bursts of one": geometry(maximum_burst=1, weight_depth=2),
}


class Bench:
    """An engine, its memory, and a program of loads with what they must put into the rings."""

    def __init__(self, g: Geometry, seed: int, *, latency: int = 5, stall: float = 0.0) -> None:
        self.g = g
        self.dice = random.Random(seed)
        self.memory = AxiMemory(65536, base=BASE, latency=latency, stall=stall, seed=seed,
                                maximum_burst=g.maximum_burst)
        self.memory.data[:] = self.dice.randbytes(65536)
        self.dut = WeightsEngine(g)
        self.program: list[bytes] = []
        self.words: list[int] = []
        self.tiles: list[list[int]] = []
        self.errors: list[tuple[int, int]] = []

    def load_weights(self, words: int, layer: int = 1) -> None:
        g, lane = self.g, self.g.weights_bus_bits // 8
        size = g.weight_slice_bits // 8
        address = self.dice.randrange(1000) * lane
        stride = self.dice.randrange(size * words // lane, 1200) * lane
        self.program.append(encode(isa.Opcode.LOAD_WEIGHTS, layer=layer, region=isa.Region.WORKSPACE,
                                       address=address, port_stride=stride, words=words))
        for word in range(words):
            slices = [self.memory.read(BASE + address + port * stride + word * size, size)
                      for port in range(g.weight_ports)]
            self.words.append(int.from_bytes(b"".join(slices), "little"))

    def load_constants(self, tiles: int, layer: int = 2) -> None:
        g = self.g
        address = self.dice.randrange(100) * 64
        self.program.append(encode(isa.Opcode.LOAD_CONSTANTS, layer=layer, region=isa.Region.WORKSPACE,
                                       address=address, tiles=tiles))
        row = g.post_units * 8
        for tile in range(tiles):
            start = BASE + address + tile * g.tile_filters * 8
            self.tiles.append([int.from_bytes(self.memory.read(start + index * row, row), "little")
                               for index in range(g.drain_cycles)])

    async def issue(self, ctx) -> None:
        dut = self.dut
        ctx.set(dut.bases[isa.Region.WORKSPACE], BASE)
        await hand_over(ctx, dut, self.program)

    def consumer(self, pause: float):
        """Reads every word once it is there, releases it some time later."""
        dut, dice = self.dut, random.Random(5)

        async def consume(ctx) -> None:
            depth = self.g.weight_depth
            number = released = idle = 0
            while released < len(self.words):
                written = ctx.get(dut.weights.written)
                ready = (written - number) % (2 * depth) > 0
                assert (written - released) % (2 * depth) <= depth, "the ring overflowed"
                if ready and number < len(self.words) and dice.random() >= pause:
                    ctx.set(dut.weights.enable, 1)
                    ctx.set(dut.weights.address, number % depth)
                    await ctx.tick()
                    ctx.set(dut.weights.enable, 0)
                    ctx.set(dut.weights.address, dice.randrange(depth))
                    assert ctx.get(dut.weights.data) == self.words[number], f"word {number}"
                    if dice.random() < 0.3:
                        await ctx.tick()
                        assert ctx.get(dut.weights.data) == self.words[number], "data must hold"
                    number += 1
                    idle = 0
                else:
                    await ctx.tick()
                    idle += 1
                    assert idle < 3000, f"word {number} never comes"
                while released < number and dice.random() >= pause:
                    released += 1
                    ctx.set(dut.weights.released, released % (2 * depth))

        return consume

    def constants_consumer(self, pause: float):
        dut, dice = self.dut, random.Random(6)

        async def consume(ctx) -> None:
            ring = self.g.constant_tiles
            for number, rows in enumerate(self.tiles):
                while (ctx.get(dut.constants.written) - number) % (2 * ring) == 0:
                    await ctx.tick()
                assert (ctx.get(dut.constants.written) - number) % (2 * ring) <= ring
                for index, row in enumerate(rows):
                    ctx.set(dut.constants.enable, 1)
                    ctx.set(dut.constants.tile, number % ring)
                    ctx.set(dut.constants.row, index)
                    await ctx.tick()
                    ctx.set(dut.constants.enable, 0)
                    assert ctx.get(dut.constants.data) == row, f"tile {number}, row {index}"
                while dice.random() < pause:
                    await ctx.tick()
                ctx.set(dut.constants.released, (number + 1) % (2 * ring))

        return consume

    async def watch(self, ctx) -> None:
        while True:
            _, _, valid, code, layer = await ctx.tick().sample(
                self.dut.error.valid, self.dut.error.code, self.dut.error.layer)
            if valid:
                self.errors.append((code, layer))

    def simulator(self, *benches, background=()) -> Simulator:
        readers = [self.memory.reader(port) for port in self.dut.axi]
        return simulator_of(self.dut, benches, (self.watch, *background, *readers))


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_rings_hold_what_memory_held(name, stall):
    bench = Bench(GEOMETRIES[name], 1, stall=stall)
    depth = bench.g.weight_depth
    for index in range(6):
        bench.load_constants(1 + index % bench.g.constant_tiles, layer=index)
        bench.load_weights(1 + bench.dice.randrange(depth), layer=index)
        bench.load_weights(depth, layer=index)

    async def rest(ctx):
        for _ in range(30000):
            await ctx.tick()
            if ctx.get(bench.dut.idle) and ctx.get(bench.dut.weights.written) == len(bench.words) % (2 * depth):
                break
        assert ctx.get(bench.dut.idle)

    bench.simulator(bench.issue, bench.consumer(stall), bench.constants_consumer(stall), rest).run()
    assert bench.errors == []


def test_fills_at_the_rate_of_the_bus():
    g = geometry(word_channels=8, fixed8_lanes=2, fixed4_lanes=10, lut_lanes=12, weight_ports=2, weight_depth=64)
    bench = Bench(g, 3, latency=40)
    for _ in range(10):
        bench.load_weights(20)
    cycles = [0]

    async def measure(ctx):
        written = seen = 0
        while written < len(bench.words):
            await ctx.tick()
            cycles[0] += 1
            step = (ctx.get(bench.dut.weights.written) - seen) % (2 * g.weight_depth)
            seen = (seen + step) % (2 * g.weight_depth)
            written += step
            ctx.set(bench.dut.weights.released, seen)

    bench.simulator(bench.issue, measure).run()
    beats = bench.memory.read_beats // 2
    print(f"{beats} beats a port in {cycles[0]} cycles at 40 cycles of latency")
    assert beats == 200 * g.weight_slice_bits // g.weights_bus_bits
    assert cycles[0] <= beats + 40 + 15


def test_stalls_without_room_and_says_so():
    bench = Bench(geometry(), 4)
    bench.load_weights(8)
    bench.load_weights(8)

    async def check(ctx):
        await ctx.tick().repeat(200)
        assert ctx.get(bench.dut.weights.written) == 8
        assert ctx.get(bench.dut.stalled)
        assert bench.memory.in_flight == 0
        ctx.set(bench.dut.weights.released, 8)
        await ctx.tick().repeat(200)
        assert ctx.get(bench.dut.weights.written) == 0
        assert not ctx.get(bench.dut.stalled)
        assert ctx.get(bench.dut.idle)

    bench.simulator(bench.issue, check).run()


LOAD = {"region": isa.Region.WORKSPACE, "address": 64, "layer": 77}


@pytest.mark.parametrize(("code", "error"), [
    (encode(isa.Opcode.LOAD_WEIGHTS, **LOAD, port_stride=64, words=0), isa.Error.FIELD),
    (encode(isa.Opcode.LOAD_WEIGHTS, **LOAD | {"address": 68}, port_stride=64, words=2), isa.Error.FIELD),
    (encode(isa.Opcode.LOAD_WEIGHTS, **LOAD, port_stride=60, words=2), isa.Error.FIELD),
    (encode(isa.Opcode.LOAD_CONSTANTS, **LOAD, tiles=0), isa.Error.FIELD),
    (encode(isa.Opcode.LOAD_CONSTANTS, **LOAD | {"address": 32}, tiles=1), isa.Error.FIELD),
    (encode(isa.Opcode.LOAD_MAP, **LOAD), isa.Error.OPCODE),
])
def test_malformed_instructions_are_refused(code, error):
    bench = Bench(geometry(weight_ports=2), 5)
    bench.program = [code]
    bench.memory.quiet = True

    async def check(ctx):
        await ctx.tick().repeat(40)
        assert ctx.get(bench.dut.idle)

    bench.simulator(bench.issue, check).run()
    assert bench.errors == [(error, 77)]


def test_bus_error_names_the_layer_and_ends_in_rest():
    bench = Bench(geometry(weight_ports=2), 6, stall=0.2)
    for layer in range(4):
        bench.load_weights(2, layer=layer)
    third = decode(bench.program[2])[1]
    bench.memory.fail_read = lambda address: 0 <= address - BASE - third["address"] < 16

    async def check(ctx):
        await ctx.tick().repeat(400)
        assert ctx.get(bench.dut.idle)
        assert bench.memory.in_flight == 0

    bench.simulator(check, background=[bench.issue]).run()
    assert bench.errors[0][0] == isa.Error.READ_RESPONSE
    assert bench.errors[0][1] in {layer for layer, code in enumerate(bench.program)
                                  if _overlap(decode(code)[1], third["address"])}
    assert len(bench.errors) == 1


def _overlap(fields: dict[str, int], address: int) -> bool:
    size = geometry(weight_ports=2).weight_slice_bits // 8 * fields["words"]
    starts = [fields["address"] + port * fields["port_stride"] for port in range(2)]
    return any(start // 128 * 128 <= address + 16 and address < start + size for start in starts)


@pytest.mark.parametrize("seed", range(8))
def test_abort_comes_to_rest(seed, abort_and_rest):
    bench = Bench(geometry(weight_ports=2), seed, latency=[0, 25][seed % 2], stall=[0.0, 0.6][seed // 4])
    for _ in range(6):
        bench.load_weights(8)
        bench.load_constants(1)

    async def check(ctx):
        await ctx.tick().repeat(1 + bench.dice.randrange(60))
        await abort_and_rest(ctx, bench)
        await ctx.tick().repeat(100)
        assert ctx.get(bench.dut.idle)

    bench.simulator(check, background=[bench.issue]).run()
    assert bench.errors == []

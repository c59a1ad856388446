"""StoreEngine against a direct reading of STORE and zlib's CRC-32, under stalls, errors and aborts."""

import random
import struct
import zlib

import pytest
from amaranth.sim import Simulator

from intramix.hdl import isa
from intramix.hdl.dma.store import StoreEngine
from intramix.hdl.geometry import Geometry
from intramix.sim.axi_memory import AxiMemory

BASE = 0x0400_0000
SIZE = 1 << 16
LOG = BASE + 0xF000
ROOM = 0xE000  # bytes that STOREs may write


def geometry(**fields) -> Geometry:
    return Geometry(**{"word_channels": 4, "pixel_lanes": 2, "fixed8_lanes": 0, "fixed4_lanes": 4, "lut_lanes": 0,
                       "activation_bits": 4, "output_depth": 200, **fields})


GEOMETRIES = {
    "2-byte words, 64": geometry(),
    "3-byte words, 32": geometry(activation_bits=6, maps_bus_bits=32, pixel_lanes=4),
    "5-byte words, 64": geometry(word_channels=8, activation_bits=5, fixed4_lanes=8, maximum_burst=4),
    "10-byte words, 64": geometry(word_channels=16, activation_bits=5, fixed4_lanes=16, pixel_lanes=8),
    "20-byte words, 128": geometry(word_channels=32, activation_bits=5, fixed4_lanes=32, maps_bus_bits=128),
    "20-byte words, 32, one lane": geometry(word_channels=32, activation_bits=5, fixed4_lanes=32, maps_bus_bits=32,
                                            pixel_lanes=1),
}


class Bench:
    """An engine, its output memories, the bus's memory with guard bytes everywhere, and what was seen."""

    def __init__(self, g: Geometry, seed: int, *, latency: int = 5, stall: float = 0.0) -> None:
        self.g = g
        self.dice = random.Random(seed)
        self.memory = AxiMemory(SIZE, base=BASE, latency=latency, stall=stall, seed=seed, maximum_burst=g.maximum_burst)
        self.memory.data[:] = self.dice.randbytes(SIZE)
        self.outputs = [[self.dice.getrandbits(g.word_bits) for _ in range(g.output_depth)]
                        for _ in range(g.pixel_lanes)]
        self.dut = StoreEngine(g)
        self.codes: list[bytes] = []
        self.tokens: list[tuple[int, int]] = []
        self.errors: list[tuple[int, int]] = []
        self.reads = 0
        self.cycle = 0
        self.finished = 0
        self.free = 100  # where the next random STORE may begin

    def random_store(self, layer: int, **fields: int) -> dict[str, int]:
        """A legal STORE whose chunks lie behind those of earlier ones, at any byte, with gaps."""
        dice, size = self.dice, self.g.word_bytes
        words, chunks, planes = dice.choice([1, 2, 7, 12]), dice.choice([1, 2, 3]), dice.choice([1, 1, 2])
        chunk_stride = words * size + dice.randrange(20)
        plane_stride = chunks * chunk_stride + dice.randrange(50)
        address = self.free + dice.randrange(40)
        self.free = address + planes * plane_stride
        pitch = dice.randrange(0, (self.g.output_depth - words * chunks) // planes)
        return {
            "layer": layer, "signal": dice.choice([0, 1 << isa.Token.STORED, 1 << isa.Token.OUTPUT_FREE,
                                                   1 << isa.Token.STORED | 1 << isa.Token.OUTPUT_FREE]),
            "region": isa.Region.OUTPUT, "address": address, "planes": planes, "plane_stride": plane_stride,
            "chunks": chunks, "chunk_stride": chunk_stride, "chunk_words": words,
            "lane": dice.randrange(self.g.pixel_lanes), "plane_pitch": pitch,
            "base": dice.randrange(self.g.output_depth - (planes - 1) * pitch - words * chunks + 1),
            "crc_register": dice.randrange(isa.CRC_REGISTERS), "crc_start": dice.random() < 0.5,
            "crc_emit": dice.random() < 0.5, "crc_slot": layer, **fields,
        }

    def add(self, fields: dict[str, int]) -> None:
        self.codes.append(isa.encode(isa.Opcode.STORE, **fields))

    async def issue(self, ctx) -> None:
        dut = self.dut
        ctx.set(dut.bases[isa.Region.OUTPUT], BASE)
        ctx.set(dut.log, LOG)
        for code in self.codes:
            ctx.set(dut.instruction.p, int.from_bytes(code, "little"))
            ctx.set(dut.instruction.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.instruction.ready)
            ctx.set(dut.instruction.valid, 0)

    async def output_memory(self, ctx) -> None:
        """Data two cycles after `enable`, noise otherwise."""
        output = self.dut.output
        pending = None
        while True:
            _, _, enable, lane, address = await ctx.tick().sample(output.enable, output.lane, output.address)
            noise = self.dice.getrandbits(self.g.word_bits)
            ctx.set(output.data, noise if pending is None else self.outputs[pending[0]][pending[1]])
            pending = (lane, address) if enable else None
            self.reads += enable

    async def watch(self, ctx) -> None:
        dut = self.dut
        while True:
            ctx.set(dut.cycle, self.cycle)
            _, _, signals, valid, code, layer, finished = await ctx.tick().sample(
                dut.signals, dut.error.valid, dut.error.code, dut.error.layer, dut.finished)
            self.cycle += 1
            for token in (isa.Token.OUTPUT_FREE, isa.Token.STORED):
                if signals >> token & 1:
                    self.tokens.append((token, self.reads))
            if valid:
                self.errors.append((code, layer))
            self.finished += finished

    def run(self, *benches, background=()) -> None:
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        for bench in benches:
            simulator.add_testbench(bench)
        for bench in (self.watch, self.output_memory, self.memory.writer(self.dut.axi), *background):
            simulator.add_testbench(bench, background=True)
        simulator.run()

    async def rest(self, ctx) -> None:
        for _ in range(30000):
            await ctx.tick()
            if self.finished or (self.errors and ctx.get(self.dut.idle)):
                break
        await ctx.tick().repeat(2)
        assert ctx.get(self.dut.idle), "the engine hangs"
        assert self.memory.in_flight == 0


class Reference:
    """What memory holds after STOREs, and the records of the log (cycle left out)."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.data = bytearray(bench.memory.data)
        self.records: dict[int, tuple[int, int, int]] = {}
        self.running = [(0, 0)] * isa.CRC_REGISTERS

    def store(self, fields: dict[str, int]) -> int:
        """Executes a STORE; the number of words."""
        size = self.bench.g.word_bytes
        register = fields.get("crc_register", 0)
        crc, words = (0, 0) if fields["crc_start"] else self.running[register]
        count = 0
        for plane in range(fields["planes"]):
            for chunk in range(fields["chunks"]):
                local = fields["base"] + plane * fields["plane_pitch"] + chunk * fields["chunk_words"]
                content = b"".join(word.to_bytes(size, "little") for word in
                                   self.bench.outputs[fields["lane"]][local:local + fields["chunk_words"]])
                place = fields["address"] + plane * fields["plane_stride"] + chunk * fields["chunk_stride"]
                self.data[place:place + len(content)] = content
                crc = zlib.crc32(content, crc)
                count += fields["chunk_words"]
        self.running[register] = crc, words + count
        if fields["crc_emit"]:
            self.records[fields["crc_slot"]] = (crc, fields["layer"], words + count)
        return count


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_stores_words_and_records(name, stall, seed):
    bench = Bench(GEOMETRIES[name], seed, stall=stall)
    reference = Reference(bench)
    started: set[int] = set()
    read, expected = 0, {isa.Token.OUTPUT_FREE: [], isa.Token.STORED: []}
    for layer in range(9):
        fields = bench.random_store(layer)
        fields["crc_start"] |= fields["crc_register"] not in started
        started.add(fields["crc_register"])
        bench.add(fields)
        read += reference.store(fields)
        for token, reads in expected.items():
            if fields["signal"] >> token & 1:
                reads.append(read)
    assert bench.free < ROOM
    bench.codes.append(isa.encode(isa.Opcode.FINISH))
    bench.run(bench.issue, bench.rest)
    assert bench.errors == []
    assert bench.finished == 1
    for slot, record in reference.records.items():
        start = LOG - BASE + 16 * slot
        *seen, cycle = struct.unpack("<4I", bench.memory.data[start:start + 16])
        assert tuple(seen) == record
        assert 0 < cycle < bench.cycle
        reference.data[start:start + 16] = bench.memory.data[start:start + 16]
    assert bench.memory.data == reference.data
    for token, reads in expected.items():
        seen = [count for kind, count in bench.tokens if kind == token]
        assert len(seen) == len(reads)
        assert all(after >= count for after, count in zip(seen, reads)), f"{token.name} before the last read"


def test_stored_comes_with_the_last_acknowledgement():
    bench = Bench(geometry(), 1, latency=60)
    fields = bench.random_store(3, signal=1 << isa.Token.STORED, crc_emit=1)
    bench.add(fields)
    bench.codes.append(isa.encode(isa.Opcode.FINISH))

    async def check(ctx):
        while not bench.tokens:
            assert not bench.finished
            await ctx.tick()
        assert bench.memory.in_flight == 0
        assert struct.unpack("<I", bench.memory.read(LOG + 16 * 3 + 4, 4)) == (3,)

    bench.run(bench.issue, check, bench.rest)
    assert [token for token, _ in bench.tokens] == [isa.Token.STORED]


def test_writes_at_the_rate_of_the_bus():
    g = geometry(word_channels=16, activation_bits=5, fixed4_lanes=16, pixel_lanes=4, output_depth=1024)
    bench = Bench(g, 1, latency=20)
    for layer in range(8):
        bench.add({"layer": layer, "region": isa.Region.OUTPUT, "address": 4003 * layer, "planes": 2,
                   "plane_stride": 2000, "chunks": 4, "chunk_stride": 490, "chunk_words": 49, "lane": layer % 4,
                   "base": 10, "plane_pitch": 300, "crc_start": layer == 0, "crc_emit": layer == 7})
    bench.codes.append(isa.encode(isa.Opcode.FINISH))
    bench.run(bench.issue, bench.rest)
    print(f"{bench.memory.write_beats} beats in {bench.cycle} cycles, chunks of 490 bytes at odd addresses")
    assert bench.cycle <= 1.05 * bench.memory.write_beats + 80


SOUND = {"layer": 9, "signal": 1 << isa.Token.STORED, "region": isa.Region.OUTPUT, "address": 33, "planes": 2,
         "plane_stride": 200, "chunks": 2, "chunk_stride": 60, "chunk_words": 6, "lane": 1, "base": 5,
         "plane_pitch": 20, "crc_emit": 1}


@pytest.mark.parametrize("change", [
    {"planes": 0}, {"chunks": 0}, {"chunk_words": 0}, {"lane": 2}, {"lane": 15}, {"base": 200}, {"base": 195},
    {"plane_pitch": 184}, {"plane_pitch": 4095},
])
def test_fields_out_of_range_are_refused(change):
    bench = Bench(geometry(), 2)
    bench.add(SOUND | change)
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.FIELD, 9)]
    assert bench.tokens == []


def test_largest_legal_addresses_are_accepted():
    bench = Bench(geometry(), 2)
    bench.add(SOUND | {"base": 168})
    bench.codes.append(isa.encode(isa.Opcode.FINISH))
    bench.run(bench.issue, bench.rest)
    assert bench.errors == []


def test_other_opcodes_are_refused():
    bench = Bench(geometry(), 2)
    bench.codes = [isa.encode(isa.Opcode.LOAD_WEIGHTS, layer=5, words=1)]
    bench.memory.quiet = True
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.OPCODE, 5)]


def test_bus_error_names_the_layer_and_ends_in_rest():
    bench = Bench(geometry(), 3, stall=0.3)
    for layer in range(5):
        bench.add(SOUND | {"layer": layer, "address": 1024 * layer, "crc_emit": 0})
    bench.memory.fail_write = lambda address: (address - BASE) // 1024 == 3
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.WRITE_RESPONSE, 3)]
    assert [token for token, _ in bench.tokens] == [isa.Token.STORED] * 3


@pytest.mark.parametrize("seed", range(12))
def test_abort_comes_to_rest_and_writes_nothing_else(seed, abort_and_rest):
    bench = Bench(geometry(), seed, latency=[0, 25][seed % 2], stall=[0.0, 0.6][seed // 6])
    reference = Reference(bench)
    before = bytes(bench.memory.data)
    for layer in range(8):
        fields = bench.random_store(layer, crc_emit=0)
        bench.add(fields)
        reference.store(fields)

    async def check(ctx):
        await ctx.tick().repeat(1 + bench.dice.randrange(150))
        await abort_and_rest(ctx, bench)
        tokens, beats = len(bench.tokens), bench.memory.write_beats
        for _ in range(100):
            await ctx.tick()
            assert ctx.get(bench.dut.idle)
        assert (len(bench.tokens), bench.memory.write_beats) == (tokens, beats)

    bench.run(check, background=[bench.issue])
    assert bench.errors == []
    assert all(now in (old, new) for old, new, now in zip(before, reference.data, bench.memory.data))

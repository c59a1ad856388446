"""What tests of the store engines share: a direct reading of STORE with zlib's CRC-32, random stores, a bench."""

import random
import struct
import zlib

from intramix.hdl import isa
from intramix.hdl.dma.store import StoreEngine
from intramix.hdl.geometry import Geometry
from intramix.sim.axi_memory import AxiMemory
from tests.support.raw_instructions import encode

from .engine_bench import hand_over, simulator_of

BASE = 0x0400_0000
SIZE = 1 << 16
LOG = BASE + 0xF000
ROOM = 0xE000  # bytes that STOREs may write

SOUND = {"layer": 9, "signal": 1 << isa.Token.STORED, "region": isa.Region.OUTPUT, "address": 33, "planes": 2,
         "plane_stride": 200, "chunks": 2, "chunk_stride": 60, "chunk_words": 6, "lane": 1, "base": 5,
         "plane_pitch": 20, "crc_emit": 1}
"""A STORE of layer 9 that is in order."""


class Bench:
    """An engine, its output memories, the bus's memory with guard bytes everywhere, and what was seen."""

    engine = StoreEngine

    def __init__(self, g: Geometry, seed: int, *, latency: int = 5, stall: float = 0.0) -> None:
        self.g = g
        self.dice = random.Random(seed)
        self.memory = AxiMemory(SIZE, base=BASE, latency=latency, stall=stall, seed=seed, maximum_burst=g.maximum_burst)
        self.memory.data[:] = self.dice.randbytes(SIZE)
        self.outputs = [[self.dice.getrandbits(g.word_bits) for _ in range(g.output_depth)]
                        for _ in range(g.pixel_lanes)]
        self.dut = self.engine(g)
        self.codes: list[bytes] = []
        self.tokens: list[tuple[int, list[int]]] = []
        self.errors: list[tuple[int, int]] = []
        self.reads = [0] * g.pixel_lanes
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
        self.codes.append(encode(isa.Opcode.STORE, **fields))

    async def issue(self, ctx) -> None:
        dut = self.dut
        ctx.set(dut.bases[isa.Region.OUTPUT], BASE)
        ctx.set(dut.log, LOG)
        await hand_over(ctx, dut, self.codes)

    def surroundings(self) -> list:
        return [self.watch, self.output_memory(self.dut.output), self.memory.writer(self.dut.axi)]

    def output_memory(self, output, first=0):
        """A testbench: data of lane `first` and those after it, two cycles after `enable`, noise otherwise."""
        async def answer(ctx) -> None:
            await self.answer(ctx, output, first)
        return answer

    async def answer(self, ctx, output, first) -> None:
        pending = None
        while True:
            _, _, enable, lane, address = await ctx.tick().sample(output.enable, output.lane, output.address)
            noise = self.dice.getrandbits(self.g.word_bits)
            ctx.set(output.data, noise if pending is None else self.outputs[pending[0]][pending[1]])
            pending = (first + lane, address) if enable else None
            if enable:
                self.reads[first + lane] += 1

    async def watch(self, ctx) -> None:
        dut = self.dut
        while True:
            ctx.set(dut.cycle, self.cycle)
            _, _, signals, valid, code, layer, finished = await ctx.tick().sample(
                dut.signals, dut.error.valid, dut.error.code, dut.error.layer, dut.finished)
            self.cycle += 1
            for token in (isa.Token.OUTPUT_FREE, isa.Token.STORED):
                if signals >> token & 1:
                    self.tokens.append((token, list(self.reads)))
            if valid:
                self.errors.append((code, layer))
            self.finished += finished

    def run(self, *benches, background=()) -> None:
        simulator_of(self.dut, benches, (*self.surroundings(), *background)).run()

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
        self.running: dict[tuple[int, int], tuple[int, int]] = {}

    def store(self, fields: dict[str, int]) -> int:
        """Executes a STORE; the number of words."""
        size = self.bench.g.word_bytes
        register = fields["lane"] // self.bench.g.group_lanes, fields.get("crc_register", 0)
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


def check_stores(bench: Bench, layers: int) -> None:
    """Random STOREs: memory, records, tokens."""
    reference = Reference(bench)
    started: set[tuple[int, int]] = set()
    read, expected = [0] * bench.g.pixel_lanes, {isa.Token.OUTPUT_FREE: [], isa.Token.STORED: []}
    for layer in range(layers):
        fields = bench.random_store(layer)
        register = fields["lane"] // bench.g.group_lanes, fields["crc_register"]
        fields["crc_start"] |= register not in started
        started.add(register)
        bench.add(fields)
        read[fields["lane"]] += reference.store(fields)
        for token, reads in expected.items():
            if fields["signal"] >> token & 1:
                reads.append(list(read))
    assert bench.free < ROOM
    bench.codes.append(encode(isa.Opcode.FINISH))
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
        early = [after for after, count in zip(seen, reads) if any(a < c for a, c in zip(after, count))]
        assert not early, f"{token.name} before the last read"


def check_abort(bench: Bench, abort_and_rest) -> None:
    """Random STOREs, cut off at some time: rest, no more tokens, and nothing in memory but what they write."""
    reference = Reference(bench)
    before = bytes(bench.memory.data)
    for layer in range(8):
        fields = bench.random_store(layer, crc_emit=0, crc_start=1)
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

"""What tests of the maps engines share: a direct reading of LOAD_MAP, random loads, a bench."""

import random

import numpy as np

from intramix.hdl import isa
from intramix.hdl.dma.depthwise_golden import depthwise_plane
from intramix.hdl.dma.maps import MapsEngine
from intramix.hdl.geometry import Geometry
from intramix.sim.axi_memory import AxiMemory
from tests.support.raw_instructions import encode

from .engine_bench import hand_over, simulator_of

BASE = 0x0300_0000
PARAMETERS = BASE + 0x8000
SIZE = 1 << 16

SOUND = {
    "layer": 9, "signal": 1, "region": isa.Region.INPUT, "address": 10, "planes": 2, "plane_stride": 100, "chunks": 2,
    "chunk_stride": 40, "chunk_words": 6, "row_words": 4, "lane_step": 1, "lane_rows": 2, "lane_mask": 3, "base": 0,
    "plane_pitch": 16,
}
"""A LOAD_MAP of layer 9 that is in order."""

Kernels = dict[int, int]
"""Words by row of the kernel memory."""


def reference(
    g: Geometry, memory: AxiMemory, fields: dict[str, int], kernels: Kernels
) -> list[tuple[int, int, int, int]]:
    """(lane, residual, address, word) of every write of a LOAD_MAP, lane by lane within a word.

    kernels: of the group of lanes that it loads.
    """
    writes = []
    size = g.word_bytes
    if fields.get("kernels"):
        content = memory.read(PARAMETERS + fields["address"], fields["chunk_words"] * size)
        kernels |= {fields["base"] + n: int.from_bytes(content[n * size:(n + 1) * size], "little")
                    for n in range(fields["chunk_words"])}
        return []
    for plane in range(fields["planes"]):
        words = []
        for chunk in range(fields["chunks"]):
            start = BASE + fields["address"] + plane * fields["plane_stride"] + chunk * fields["chunk_stride"]
            content = memory.read(start, fields["chunk_words"] * size)
            words += [int.from_bytes(content[k:k + size], "little") for k in range(0, len(content), size)]
        if fields.get("depthwise"):
            words = convolved(g, kernels, fields, plane, words)
        columns = fields["row_words"]
        rows = [words[k:k + columns] for k in range(0, len(words), columns)]
        rows = [[0] * columns] * fields["pad_top"] + rows + [[0] * columns] * fields["pad_bottom"]
        pointers = [fields["base"] + plane * fields["plane_pitch"]] * g.pixel_lanes
        for number, row in enumerate(rows):
            for word in row:
                for lane in range(g.pixel_lanes):
                    begin = lane % g.group_lanes * fields["lane_step"]
                    if fields["lane_mask"] >> lane & 1 and begin <= number < begin + fields["lane_rows"]:
                        writes.append((lane, fields["residual"], pointers[lane], word))
                        pointers[lane] += 1
    return writes


def slots(g: Geometry, words: list[int]) -> np.ndarray:
    """Slots of words: words × Ti."""
    bits = g.activation_bits
    return np.array([[word >> bits * slot & (1 << bits) - 1 for slot in range(g.word_channels)] for word in words])


def convolved(g: Geometry, memory: Kernels, fields: dict[str, int], plane: int, words: list[int]) -> list[int]:
    """A plane's words after the depthwise unit."""
    first = fields["kernel_base"] + plane * isa.KERNEL_WORDS
    digits = slots(g, [memory[row] for row in range(first, first + isa.KERNEL_WORDS)]) & 15
    kernels = [isa.unpack(isa.KERNEL_LAYOUT, sum(int(digit) << 4 * n for n, digit in enumerate(channel)))
               for channel in digits.T]
    codes = depthwise_plane(
        slots(g, words).reshape(-1, fields["source_words"], g.word_channels),
        np.array([[kernel[f"weight_{tap}"] for kernel in kernels] for tap in range(9)]).reshape(3, 3, -1),
        multiplier=np.array([kernel["multiplier"] for kernel in kernels]),
        bias=np.array([kernel["bias"] for kernel in kernels]),
        borders=tuple(fields[f"source_{side}"] for side in ("top", "bottom", "left", "right")),
        stride=fields["source_stride"], shift=fields["shift"], maximum=fields["maximum"],
    )
    return [sum(int(code) << g.activation_bits * slot for slot, code in enumerate(word))
            for word in codes.reshape(-1, g.word_channels)]


def random_depthwise(g: Geometry, dice: random.Random, layer: int) -> dict[str, int]:
    """A LOAD_MAP through the depthwise unit."""
    load = random_load(g, dice, layer)
    borders = {f"source_{side}": dice.randrange(2) for side in ("top", "bottom", "left", "right")}
    columns = dice.randrange(3 - borders["source_left"] - borders["source_right"], 9)
    rows = dice.randrange(3 - borders["source_top"] - borders["source_bottom"], 7)
    chunks = dice.choice([count for count in range(1, 13) if columns * rows % count == 0])
    stride = dice.choice([1, 2])
    after = columns + borders["source_left"] + borders["source_right"] - 3
    return load | borders | {
        "depthwise": 1, "kernel_base": dice.randrange(isa.KERNEL_ROWS - load["planes"] * isa.KERNEL_WORDS + 1),
        "source_words": columns, "source_stride": stride,
        "chunks": chunks, "chunk_words": columns * rows // chunks, "row_words": after // stride + 1,
        "shift": dice.randrange(38, 46), "maximum": (1 << g.activation_bits) - 1,
    }


def load_kernels(layer: int, row: int, planes: int, *, address: int) -> dict[str, int]:
    """A LOAD_MAP of planes' kernels, which are whatever lies in memory."""
    words = planes * isa.KERNEL_WORDS
    return {"layer": layer, "signal": 0, "region": isa.Region.PARAMETERS, "address": address, "planes": 1, "chunks": 1,
            "chunk_words": words, "row_words": words, "lane_rows": 1, "lane_mask": 1, "base": row, "kernels": 1}


def random_load(g: Geometry, dice: random.Random, layer: int) -> dict[str, int]:
    row_words, rows = dice.choice([1, 2, 5]), dice.choice([1, 2, 3, 6])
    chunks = dice.choice([count for count in (1, 2, 3, 6) if row_words * rows % count == 0])
    pad_top, pad_bottom = dice.choice([0, 0, 1, 2]), dice.choice([0, 0, 1, 3])
    padded = rows + pad_top + pad_bottom
    return {
        "layer": layer, "signal": 1 << dice.choice([isa.Token.INPUT_READY, isa.Token.RESIDUAL_READY]),
        "region": isa.Region.INPUT, "address": dice.randrange(4000, 4200), "planes": dice.choice([1, 2, 3]),
        "plane_stride": dice.randrange(5000), "chunks": chunks, "chunk_stride": dice.randrange(3000),
        "chunk_words": row_words * rows // chunks, "row_words": row_words, "pad_top": pad_top, "pad_bottom": pad_bottom,
        "lane_step": dice.choice([0, 1, 2, 5]), "lane_rows": dice.randrange(1, padded + 2),
        "lane_mask": dice.randrange(1, 1 << g.pixel_lanes), "residual": 0, "base": dice.randrange(100),
        "plane_pitch": dice.randrange(120),
    } | ({"residual": 1, "base": 3, "plane_pitch": 1} if dice.random() < 0.3 else {})


class Bench:
    """An engine, its memory, a program, and what was seen."""

    engine = MapsEngine

    def __init__(self, g: Geometry, seed: int, *, latency: int = 5, stall: float = 0.0) -> None:
        self.g = g
        self.dice = random.Random(seed)
        self.memory = AxiMemory(SIZE, base=BASE, latency=latency, stall=stall, seed=seed, maximum_burst=g.maximum_burst)
        self.memory.data[:] = self.dice.randbytes(SIZE)
        self.dut = self.engine(g)
        self.loads: list[dict[str, int]] = []
        self.codes: list[bytes] | None = None
        self.writes: list[tuple[int, int, int, int]] = []
        self.tokens: list[tuple[int, int]] = []
        self.errors: list[tuple[int, int]] = []
        self.cycles = 0

    async def issue(self, ctx) -> None:
        dut = self.dut
        ctx.set(dut.bases[isa.Region.INPUT], BASE)
        ctx.set(dut.bases[isa.Region.PARAMETERS], PARAMETERS)
        codes = self.codes or [encode(isa.Opcode.LOAD_MAP, **load) for load in self.loads]
        await hand_over(ctx, dut, codes)

    async def watch(self, ctx) -> None:
        dut, write = self.dut, self.dut.lane_write
        while True:
            _, _, enable, residual, addresses, word, signals, valid, code, layer = await ctx.tick().sample(
                write.enable, write.residual, write.address, write.data, dut.signals,
                dut.error.valid, dut.error.code, dut.error.layer)
            self.cycles += 1
            for lane in range(self.g.pixel_lanes):
                if enable >> lane & 1:
                    self.writes.append((lane, residual, addresses[lane], word))
            if signals:
                self.tokens.append((signals, len(self.writes)))
            if valid:
                self.errors.append((code, layer))

    def run(self, *benches, background=()) -> None:
        simulator_of(self.dut, benches, (*self.surroundings(), *background)).run()

    def surroundings(self) -> list:
        return [self.watch, self.memory.reader(self.dut.axi)]

    async def rest(self, ctx) -> None:
        resting = 0  # cycles: an instruction that is offered may still be examined
        for _ in range(30000):
            await ctx.tick()
            tokens = sum(load["signal"] != 0 for load in self.loads)
            resting = resting + 1 if ctx.get(self.dut.idle) else 0
            if resting > 4 and (len(self.tokens) == tokens or self.errors):
                break
        await ctx.tick()
        assert ctx.get(self.dut.idle), "the engine hangs"


def check_abort(bench: Bench, abort_and_rest, *, latest: int) -> None:
    """The loads of a bench, cut off within so many cycles: rest, and no more tokens."""
    async def check(ctx):
        await ctx.tick().repeat(1 + bench.dice.randrange(latest))
        await abort_and_rest(ctx, bench)
        tokens = len(bench.tokens)
        for _ in range(100):
            await ctx.tick()
            assert ctx.get(bench.dut.idle)
        assert len(bench.tokens) == tokens

    bench.run(check, background=[bench.issue])
    assert bench.errors == []

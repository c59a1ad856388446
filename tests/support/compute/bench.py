"""A testbench around the compute engine: memories filled, rings fed with stalls, outputs read back."""

import dataclasses

import numpy as np
from amaranth.sim import Simulator

from intramix.hdl import isa
from intramix.hdl.compute.engine import ComputeEngine
from intramix.hdl.encoding import pack_weight_words
from intramix.hdl.interfaces import OUTPUT_READ_LATENCY
from tests.support.raw_instructions import encode


@dataclasses.dataclass
class Run:
    """What an engine did."""

    outputs: np.ndarray
    cycles: int = 0
    steps: list = dataclasses.field(default_factory=list)
    """Cycles of the steps."""
    signals: list = dataclasses.field(default_factory=list)
    """(cycle, mask)"""
    waits: dict = dataclasses.field(default_factory=lambda: {"weights": 0, "drain": 0, "constants": 0})
    errors: list = dataclasses.field(default_factory=list)
    """(code, layer)"""
    error_cycle: int | None = None
    idle_from: int | None = None
    weights_released: int = 0
    tiles_released: int = 0
    idle: bool = True


def pack_slots(words, bits):
    """Slots (last axis) packed into integers."""
    return [sum(int(slot) << (c * bits) for c, slot in enumerate(word)) for word in words]


def pack_constants(geometry, tile):
    """Rows of a tile in drain order."""
    rows = geometry.drain_cycles
    names = [field.name for field in isa.CONSTANT_LAYOUT]
    packed = [isa.pack(isa.CONSTANT_LAYOUT, dict(zip(names, constants, strict=True))) for constants in tile]
    return [sum(packed[u * rows + row] << (64 * u) for u in range(geometry.post_units)) for row in range(rows)]


def run(
    geometry,
    instructions,
    *,
    activations,
    residuals,
    weights,
    constants,
    array=None,
    random=None,
    limit=20000,
    abort_at=None,
):
    """Executes COMPUTE instructions (dictionaries of fields) on an engine.

    Without `random` everything is there at once; with it, instructions, weights and constants come at random times.
    Words that are not loaded or were released read as garbage. `abort_at` is the cycle from which abort is high.
    """
    g = geometry
    dut = ComputeEngine(g, array=array)
    codes = [int.from_bytes(encode(isa.Opcode.COMPUTE, **fields), "little") for fields in instructions]
    stream = [int.from_bytes(word.tobytes(), "little") for word in pack_weight_words(g, weights)]
    rows = [pack_constants(g, tile) for tile in constants]
    result = Run(np.full((g.pixel_lanes, g.output_depth, g.word_channels), -1))
    chance = (lambda share: True) if random is None else (lambda share: random.random() < share)
    state = {"done": False, "started": False}

    async def fill(ctx):
        for residual, contents in ((0, activations), (1, residuals)):
            for maps in dut.maps:
                ctx.set(maps.residual, residual)
            for address in range(contents.shape[1]):
                # Lanes at addresses of their own.
                for lane, word in enumerate(pack_slots(contents[:, address], g.activation_bits)):
                    group, place = divmod(lane, g.group_lanes)
                    for number, maps in enumerate(dut.maps):
                        ctx.set(maps.enable, (number == group) << place)
                    ctx.set(dut.maps[group].address[place], address)
                    ctx.set(dut.maps[group].data, word)
                    await ctx.tick()
        for maps in dut.maps:
            ctx.set(maps.enable, 0)

    async def main(ctx):
        await fill(ctx)
        state["started"] = True
        queue = list(codes)
        previous = 0, 0
        quiet = 0
        for cycle in range(limit):
            ctx.set(dut.abort, int(abort_at is not None and cycle >= abort_at))
            if queue and not ctx.get(dut.instruction.valid) and chance(0.3):
                ctx.set(dut.instruction.valid, 1)
                ctx.set(dut.instruction.payload, queue[0])
            _, _, valid, ready, step, signals, error, idle, weights, tiles, *waits = await ctx.tick().sample(
                dut.instruction.valid, dut.instruction.ready, dut.step, dut.signals, dut.error, dut.idle,
                dut.weights.released, dut.constants.released,
                *(getattr(dut, f"wait_{name}") for name in result.waits),
            )  # fmt: skip
            if step:
                result.steps.append(cycle)
            for name, wait in zip(result.waits, waits, strict=True):
                result.waits[name] += wait
            if signals:
                result.signals.append((cycle, signals))
            if error.valid:
                result.errors.append((error.code, error.layer))
                result.error_cycle = cycle
            result.weights_released += (weights - previous[0]) % (2 * g.weight_depth)
            result.tiles_released += (tiles - previous[1]) % (2 * g.constant_tiles)
            previous = weights, tiles
            quiet = quiet + 1 if idle and (not queue or result.errors or abort_at is not None) else 0
            result.cycles = cycle
            if quiet == 1:
                result.idle_from = cycle
            if quiet > 40:
                break
            if valid and ready:
                queue.pop(0)
                following = bool(queue) and chance(0.5)
                ctx.set(dut.instruction.valid, int(following))
                if following:
                    ctx.set(dut.instruction.payload, queue[0])
        result.idle = quiet > 0
        state["done"] = True
        pipeline = []
        for lane in range(g.pixel_lanes):
            for address in range(g.output_depth):
                pipeline.append((lane, address))
        for position in range(len(pipeline) + OUTPUT_READ_LATENCY):
            if position < len(pipeline):
                group, place = divmod(pipeline[position][0], g.group_lanes)
                ctx.set(dut.outputs[group].enable, 1)
                ctx.set(dut.outputs[group].lane, place)
                ctx.set(dut.outputs[group].address, pipeline[position][1])
            if position >= OUTPUT_READ_LATENCY:
                word = ctx.get(dut.outputs[pipeline[position - OUTPUT_READ_LATENCY][0] // g.group_lanes].data)
                mask = (1 << g.activation_bits) - 1
                result.outputs[pipeline[position - OUTPUT_READ_LATENCY]] = [
                    word >> (c * g.activation_bits) & mask for c in range(g.word_channels)
                ]
            await ctx.tick()

    async def feed(ctx, ring, *places, contents, count, depth, garbage, share):
        written = released = 0
        memory = set()
        ctx.set(ring.data, garbage)
        previous = 0
        while not state["done"]:
            _, _, reading, now, *address = await ctx.tick().sample(ring.enable, ring.released, *places)
            for _ in range((now - previous) % (2 * depth)):
                memory.discard(released)
                released += 1
            previous = now
            if reading:
                matches = [number for number in memory if number % depth == address[0]]
                ctx.set(ring.data, contents(matches[0], *address[1:]) if matches else garbage)
            if state["started"]:
                for _ in range(depth if random is None else 1):
                    if written < count and written - released < depth and chance(share):
                        memory.add(written)
                        written += 1
                ctx.set(ring.written, written % (2 * depth))

    async def feed_weights(ctx):
        await feed(
            ctx,
            dut.weights,
            dut.weights.address,
            contents=lambda number: stream[number],
            count=len(stream),
            depth=g.weight_depth,
            garbage=(1 << g.weight_word_bits) - 1,
            share=0.7,
        )

    async def feed_constants(ctx):
        await feed(
            ctx,
            dut.constants,
            dut.constants.tile,
            dut.constants.row,
            contents=lambda number, row: rows[number][row],
            count=len(rows),
            depth=g.constant_tiles,
            garbage=(1 << (64 * g.post_units)) - 1,
            share=0.05,
        )

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(main)
    simulator.add_testbench(feed_weights, background=True)
    simulator.add_testbench(feed_constants, background=True)
    simulator.run()
    result.timing = dut.timing
    return result

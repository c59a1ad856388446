"""An instruction queue: order, contents, depth, and how fast the next instruction is there."""

import random

import pytest
from amaranth.sim import Simulator

from intramix.hdl.control.queue import BEATS, InstructionQueue
from intramix.hdl.isa import QUEUE_INSTRUCTIONS


def simulate(dut, *testbenches):
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    simulator.run()


async def send(ctx, dut, instructions, pause):
    for instruction in instructions:
        for beat in range(BEATS):
            for _ in range(pause()):
                await ctx.tick()
            ctx.set(dut.beats.payload, instruction >> 64 * beat & (1 << 64) - 1)
            ctx.set(dut.beats.valid, 1)
            await ctx.tick().until(dut.beats.ready)
            ctx.set(dut.beats.valid, 0)


async def take(ctx, dut, pause):
    for _ in range(pause()):
        seen = ctx.get(dut.instruction.valid), ctx.get(dut.instruction.payload)
        await ctx.tick()
        if seen[0]:
            assert (ctx.get(dut.instruction.valid), ctx.get(dut.instruction.payload)) == seen
    ctx.set(dut.instruction.ready, 1)
    (payload,) = await ctx.tick().sample(dut.instruction.payload).until(dut.instruction.valid)
    ctx.set(dut.instruction.ready, 0)
    return payload


@pytest.mark.parametrize(("sender", "taker"), [(0, 0), (0, 40), (4, 0), (2, 20)])
def test_instructions_pass_in_order(sender, taker):
    dut = InstructionQueue()
    dice = random.Random(sender + taker)
    instructions = [dice.getrandbits(512) for _ in range(30)]

    async def source(ctx):
        await send(ctx, dut, instructions, lambda: dice.randint(0, sender))

    async def sink(ctx):
        for instruction in instructions:
            assert await take(ctx, dut, lambda: dice.randint(0, taker)) == instruction

    simulate(dut, source, sink)


def test_depth_and_latency():
    dut = InstructionQueue()

    async def testbench(ctx):
        ctx.set(dut.beats.valid, 1)
        taken = 0
        for _ in range(200):
            taken += ctx.get(dut.beats.ready)
            await ctx.tick()
        assert taken == (QUEUE_INSTRUCTIONS + 1) * BEATS
        ctx.set(dut.beats.valid, 0)
        # Handed over at full rate: the next is there after BEATS cycles.
        ctx.set(dut.instruction.ready, 1)
        there = []
        for _ in range(QUEUE_INSTRUCTIONS * (BEATS + 1) + 20):
            there.append(ctx.get(dut.instruction.valid))
            await ctx.tick()
        assert sum(there) == QUEUE_INSTRUCTIONS + 1
        assert there[: 3 * (BEATS + 1)] == ([1] + [0] * BEATS) * 3

    simulate(dut, testbench)

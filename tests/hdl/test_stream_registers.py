"""Registers in streams: order, rate, and what passes from side to side within a cycle."""

import random

import pytest
from amaranth.sim import Simulator

from intramix.hdl.stream_registers import HalfRateRegister, SkidBuffer, StreamFIFO, StreamRegister

PAYLOADS = 150


class FourDeep(StreamFIFO):
    def __init__(self, shape) -> None:
        super().__init__(shape, 4)


def passed(kind: type = SkidBuffer, *, offered: float, taken: float, seed: int = 0) -> tuple[list[int], int]:
    """The payloads 0, 1, … as they come out, and the cycles it took.

    Parameters
    ----------
    offered, taken: probability, in a cycle, that the source has a payload and that the reader takes one.
    """
    dut = kind(16)
    pauses, takes = random.Random(f"source {seed}"), random.Random(seed)
    got: list[int] = []
    cycles = 0

    async def source(ctx):
        for payload in range(PAYLOADS):
            while pauses.random() >= offered:
                await ctx.tick()
            ctx.set(dut.source.payload, payload)
            ctx.set(dut.source.valid, 1)
            await ctx.tick().until(dut.source.ready)
            ctx.set(dut.source.valid, 0)

    async def reader(ctx):
        nonlocal cycles
        while len(got) < PAYLOADS:
            ready = takes.random() < taken
            ctx.set(dut.sink.ready, ready)
            _, _, valid, payload, empty = await ctx.tick().sample(dut.sink.valid, dut.sink.payload, dut.empty)
            cycles += 1
            assert cycles < 100 * PAYLOADS, "nothing comes"
            assert not (valid and empty)
            if valid and ready:
                got.append(payload)
        ctx.set(dut.sink.ready, 0)
        await ctx.tick()
        assert ctx.get(dut.empty)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(source)
    simulator.add_testbench(reader)
    simulator.run()
    return got, cycles


@pytest.mark.parametrize("taken", [1.0, 0.3])
@pytest.mark.parametrize("offered", [1.0, 0.3])
@pytest.mark.parametrize("kind", [SkidBuffer, StreamRegister, HalfRateRegister, FourDeep])
def test_passes_everything_once_in_order(kind, offered, taken):
    assert passed(kind, offered=offered, taken=taken)[0] == list(range(PAYLOADS))


@pytest.mark.parametrize(
    ("kind", "cycles"), [(SkidBuffer, 1), (StreamRegister, 1), (FourDeep, 1), (HalfRateRegister, 2)]
)
def test_rate(kind, cycles):
    assert passed(kind, offered=1.0, taken=1.0)[1] == cycles * PAYLOADS + (cycles == 1)


@pytest.mark.parametrize("kind", [SkidBuffer, StreamRegister, FourDeep])
def test_pauses_of_the_reader_cost_no_more_than_they_last(kind):
    """Whatever the reader would take in a cycle is there: a source that never pauses keeps the buffer filled."""
    dice = random.Random(0)
    takes = 0
    expected = 0
    while takes < PAYLOADS:
        takes += dice.random() < 0.5 and expected > 0  # in the first cycle nothing is there yet
        expected += 1
    assert passed(kind, offered=1.0, taken=0.5)[1] == expected


@pytest.mark.parametrize(("kind", "room"), [(SkidBuffer, 2), (FourDeep, 4), (HalfRateRegister, 1)])
def test_nothing_passes_within_a_cycle(kind, room):
    dut = kind(16)

    async def bench(ctx):
        for held in range(room + 1):
            for valid in (0, 1):
                ctx.set(dut.source.valid, valid)
                for ready in (0, 1):
                    ctx.set(dut.sink.ready, ready)
                    assert ctx.get(dut.source.ready) == (held < room)
                    assert ctx.get(dut.sink.valid) == (held > 0)
                    assert ctx.get(dut.empty) == (held == 0)
            ctx.set(dut.sink.ready, 0)
            ctx.set(dut.source.payload, held)
            await ctx.tick()
        assert ctx.get(dut.sink.payload) == 0

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("depth", [0, 1, 3, 12])
def test_depth_is_a_power_of_two(depth):
    with pytest.raises(ValueError, match="power of two"):
        StreamFIFO(16, depth)

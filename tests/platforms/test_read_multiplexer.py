"""Masters that share a port: every master gets its own data in order, from a memory that answers out of order."""

import random
from collections import deque

import pytest
from amaranth.sim import Simulator

from intramix.platforms.zynq.read_multiplexer import ReadMultiplexer

BURSTS = 30


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_every_master_gets_its_own(count, stall):
    dut = ReadMultiplexer(count=count, data_bits=64, address_bits=32)
    waiting = [deque() for _ in range(count)]  # bursts accepted, by ID
    served = []

    def requests(index):
        dice = random.Random(index)
        return [(index << 16 | dice.randrange(0, 0x8000, 8), dice.randrange(4)) for _ in range(BURSTS)]

    def master(index):
        bus = dut.masters[index]

        async def addresses(ctx):
            dice = random.Random(100 + index)
            for address, length in requests(index):
                while dice.random() < stall:
                    await ctx.tick()
                ctx.set(bus.araddr, address)
                ctx.set(bus.arlen, length)
                ctx.set(bus.arvalid, 1)
                while not (await ctx.tick().sample(bus.arready))[2]:
                    pass
                ctx.set(bus.arvalid, 0)

        async def data(ctx):
            dice = random.Random(200 + index)
            for address, length in requests(index):
                for beat in range(length + 1):
                    while dice.random() < stall:
                        await ctx.tick()
                    ctx.set(bus.rready, 1)
                    while True:
                        _, _, valid, value, last = await ctx.tick().sample(bus.rvalid, bus.rdata, bus.rlast)
                        if valid:
                            break
                    ctx.set(bus.rready, 0)
                    assert (value, last) == (address + 8 * beat, beat == length)
            served.append(index)

        return addresses, data

    async def accept(ctx):
        dice = random.Random(5)
        offered = None
        while True:
            ready = dice.random() >= stall
            ctx.set(dut.bus.arready, ready)
            sample = (dut.bus.arvalid, dut.bus.arid, dut.bus.araddr, dut.bus.arlen)
            _, _, valid, *address = await ctx.tick().sample(*sample)
            assert offered is None or (valid and address == offered), "an address changed before it was taken"
            offered = address if valid and not ready else None
            if valid and ready:
                waiting[address[0]].append([address[1], address[2], 0])

    async def answer(ctx):
        dice = random.Random(6)
        while True:
            busy = [index for index in range(count) if waiting[index]]
            if not busy or dice.random() < stall:
                await ctx.tick()
                continue
            index = dice.choice(busy)  # beats of different IDs interleave
            address, length, beat = waiting[index][0]
            answer = {"rid": index, "rdata": address + 8 * beat, "rlast": beat == length, "rvalid": 1}
            for name, value in answer.items():
                ctx.set(getattr(dut.bus, name), value)
            while not (await ctx.tick().sample(dut.bus.rready))[2]:
                pass
            ctx.set(dut.bus.rvalid, 0)
            waiting[index][0][2] += 1
            if beat == length:
                waiting[index].popleft()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    for index in range(count):
        for testbench in master(index):
            simulator.add_testbench(testbench)
    for testbench in (accept, answer):
        simulator.add_testbench(testbench, background=True)
    simulator.run()
    assert sorted(served) == list(range(count))

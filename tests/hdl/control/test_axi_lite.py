"""The AXI4-Lite slave, with addresses and data of writes any time apart and answers taken late."""

import random

import pytest
from amaranth.hdl import Cat, Module
from amaranth.sim import Simulator

from intramix.hdl.control.axi_lite import AxiLiteSlave
from intramix.sim.axi_lite_host import AxiLiteHost


def simulate(dut, *testbenches, background=(), wrapper=None):
    simulator = Simulator(wrapper or dut)
    simulator.add_clock(1e-8)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    for testbench in background:
        simulator.add_testbench(testbench, background=True)
    simulator.run()


@pytest.mark.parametrize("stall", [0.0, 0.3, 0.8])
def test_writes_arrive_once_and_in_order(stall):
    dut = AxiLiteSlave()
    dice = random.Random(stall)
    writes = [(dice.randrange(64), dice.getrandbits(32), dice.randrange(16)) for _ in range(40)]
    seen = []

    async def host(ctx):
        bus = AxiLiteHost(dut.bus, stall=stall, seed=1)
        for word, value, strobes in writes:
            await bus.write(ctx, 4 * word + dice.randrange(4), value, strobes=strobes)
            assert seen[-1] == (word, value, strobes), "answered before the register was written"

    async def registers(ctx):
        while True:
            _, _, write = await ctx.tick().sample(dut.write)
            if write.valid:
                seen.append((write.word, write.data, write.strobes))

    simulate(dut, host, background=[registers])
    assert seen == writes


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_reads_beside_writes(stall):
    dut = AxiLiteSlave()
    m = Module()
    m.submodules.dut = dut
    m.d.comb += dut.read_data.eq(Cat(~dut.read_word, dut.read_word))

    async def reader(ctx):
        bus = AxiLiteHost(dut.bus, stall=stall, seed=2)
        for word in range(64):
            assert await bus.read(ctx, 4 * word) == (63 - word) | word << 6

    async def writer(ctx):
        bus = AxiLiteHost(dut.bus, stall=stall, seed=3)
        for word in range(64):
            await bus.write(ctx, 4 * word, word)

    simulate(dut, reader, writer, wrapper=m)


def test_next_write_waits_for_the_answer():
    """A second write that is complete while the first one's answer waits has no effect before that is taken."""
    dut = AxiLiteSlave()

    async def host(ctx):
        bus = dut.bus
        ctx.set(bus.awvalid, 1)
        ctx.set(bus.wvalid, 1)
        strobes = []
        for cycle in range(20):
            ctx.set(bus.bready, cycle == 12)
            _, _, valid, answer = await ctx.tick().sample(dut.write.valid, bus.bvalid)
            if valid:
                strobes.append(cycle)
            assert answer == (cycle not in (0, 1, 13))
        assert strobes == [1, 13]

    simulate(dut, host)

"""The supervisor: which cause is recorded, when everything is reset, and the watchdog."""

import itertools

import pytest
from amaranth.sim import Simulator

from intramix.hdl.control.supervisor import REPORTERS, RESET_CYCLES, SETTLE_CYCLES, Supervisor
from intramix.hdl.isa import Engine, Error


class Bench:
    def __init__(self):
        self.dut = Supervisor()

    def simulate(self, testbench):
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        simulator.add_testbench(testbench)
        simulator.run()

    def engines(self, ctx, **fields):
        for engine in self.dut.engines:
            for name, value in fields.items():
                ctx.set(getattr(engine, name), value)

    async def pulse(self, ctx, *signals):
        for signal in signals:
            ctx.set(signal, 1)
        await ctx.tick()
        for signal in signals:
            ctx.set(signal, 0)

    async def begin(self, ctx, *, watchdog=0):
        ctx.set(self.dut.watchdog, watchdog)
        self.engines(ctx, idle=1, active=1)
        await self.pulse(ctx, self.dut.start)
        assert ctx.get(self.dut.status.busy)
        assert not ctx.get(self.dut.status.done)

    async def end(self, ctx):
        """Cycles from now to DONE, with everything idle; the reset must come just before."""
        resets = []
        for cycles in range(200):
            if ctx.get(self.dut.status.done):
                assert resets[-RESET_CYCLES:] == [1] * RESET_CYCLES
                assert sum(resets) == RESET_CYCLES
                assert not ctx.get(self.dut.reset) | ctx.get(self.dut.abort)
                return cycles
            resets.append(ctx.get(self.dut.reset))
            await ctx.tick()
        raise AssertionError("the run does not end")


def test_precedence_of_causes():
    """Every set of causes that hold in one cycle, against the order that the class states."""
    bench = Bench()
    dut = bench.dut
    order = [*REPORTERS, "tokens", "finished", "stop", "deadlock"]

    async def testbench(ctx):
        for engine, number in zip(dut.engines, itertools.count(1)):
            ctx.set(engine.error.code, number)
            ctx.set(engine.error.layer, 100 + number)
        ctx.set(dut.token_engine, Engine.MAPS)
        ctx.set(dut.blocked, {"engine": Engine.STORE, "layer": 77})
        strobes = [*(engine.error.valid for engine in dut.engines), dut.token_overflow, dut.finished, dut.stop]
        expected = [(1 + position, reporter, 101 + position) for position, reporter in enumerate(REPORTERS)]
        expected += [(Error.TOKENS, Engine.MAPS, 0), (Error.NONE, Engine.CONTROL, 0)]
        expected += [(Error.STOPPED, Engine.CONTROL, 0), (Error.DEADLOCK, Engine.STORE, 77)]
        for causes in range(1, 1 << len(order)):
            deadlock = causes >> 8 & 1
            await bench.begin(ctx, watchdog=2 * deadlock)
            ctx.set(dut.fetched, causes)
            if deadlock:  # two quiet cycles bring it about in the third
                bench.engines(ctx, active=0)
                await ctx.tick().repeat(2)
            await bench.pulse(ctx, *(strobe for bit, strobe in enumerate(strobes) if causes >> bit & 1))
            await ctx.tick()  # all are looked at a cycle later
            ctx.set(dut.watchdog, 0)
            assert ctx.get(dut.abort)
            error = ctx.get(dut.status.error)
            first = next(bit for bit in range(len(order)) if causes >> bit & 1)
            assert (error.code, error.engine, error.layer) == expected[first]
            assert ctx.get(dut.status.error_instruction) == (causes if error.code else 0)
            await bench.end(ctx)
            assert ctx.get(dut.status.error) == error

    bench.simulate(testbench)


@pytest.mark.parametrize("last", range(len(REPORTERS)))
def test_reset_waits_until_everything_is_idle_and_stays_so(last):
    bench = Bench()
    dut = bench.dut

    async def testbench(ctx):
        await bench.begin(ctx)
        ctx.set(dut.engines[last].idle, 0)
        await bench.pulse(ctx, dut.stop)
        for idle in (0, 1, 0):  # idle for less than SETTLE_CYCLES does not count
            ctx.set(dut.engines[last].idle, idle)
            for _ in range(SETTLE_CYCLES - 1):
                await ctx.tick()
                assert ctx.get(dut.abort)
                assert ctx.get(dut.status.draining)
                assert not ctx.get(dut.reset)
        ctx.set(dut.engines[last].idle, 1)
        assert SETTLE_CYCLES + RESET_CYCLES <= await bench.end(ctx) <= SETTLE_CYCLES + RESET_CYCLES + 4

    bench.simulate(testbench)


@pytest.mark.parametrize("watchdog", [1, 5, 40])
def test_watchdog_counts_quiet_cycles(watchdog):
    bench = Bench()
    dut = bench.dut

    async def testbench(ctx):
        await bench.begin(ctx, watchdog=watchdog)
        for _ in range(3):  # activity of any engine starts the count anew
            bench.engines(ctx, active=0)
            for _ in range(watchdog - 1):
                await ctx.tick()
            await bench.pulse(ctx, dut.engines[1].active)
            assert not ctx.get(dut.abort)
        bench.engines(ctx, active=0)
        await ctx.tick().repeat(watchdog + 1)
        assert not ctx.get(dut.abort)
        await ctx.tick()
        assert ctx.get(dut.abort)
        assert ctx.get(dut.status.error.code) == Error.DEADLOCK

    bench.simulate(testbench)


def test_later_errors_and_commands_change_nothing():
    bench = Bench()
    dut = bench.dut

    async def testbench(ctx):
        await bench.begin(ctx)
        ctx.set(dut.engines[2].error, {"code": Error.FIELD, "layer": 9})
        await bench.pulse(ctx, dut.engines[2].error.valid)
        await ctx.tick()
        record = ctx.get(dut.status.error)
        assert record.code == Error.FIELD
        ctx.set(dut.engines[0].error.code, Error.OPCODE)
        await bench.pulse(ctx, dut.engines[0].error.valid, dut.finished, dut.token_overflow, dut.stop)
        await ctx.tick()
        assert ctx.get(dut.status.error) == record
        await bench.end(ctx)
        assert ctx.get(dut.status.error) == record
        await bench.pulse(ctx, dut.clear)
        assert not ctx.get(dut.status.done) | ctx.get(dut.status.error.code)

    bench.simulate(testbench)

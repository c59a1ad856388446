"""Tests of the engines share how an abort is brought about."""

import pytest


@pytest.fixture
def abort_and_rest():
    """A coroutine function: aborts a bench's engine, and waits until it is idle with nothing in flight."""

    async def run(ctx, bench):
        ctx.set(bench.dut.abort, 1)
        await ctx.tick().repeat(3)  # what was decided on in the cycle of the abort is offered in the next one
        bench.memory.quiet = True
        for _ in range(2000):
            if ctx.get(bench.dut.idle):
                break
            await ctx.tick()
        await ctx.tick()
        assert ctx.get(bench.dut.idle)
        assert bench.memory.in_flight == 0

    return run

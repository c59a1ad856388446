"""Token counters against a count in Python."""

import random
from collections import Counter

import pytest
from amaranth.sim import Simulator

from intramix.hdl import isa
from intramix.hdl.control.tokens import Tokens


@pytest.mark.parametrize("generosity", [0.3, 0.5, 0.9])
def test_counts(generosity):
    """Gives and takes at random; with 0.9 the channels fill up and overflow again and again."""
    dut = Tokens()
    dice = random.Random(generosity)
    overflows = []

    async def testbench(ctx):
        held = Counter({token: 0 for token in isa.Token})
        lost_before = []
        for _ in range(1500):
            assert ctx.get(dut.available) == sum(1 << token for token in isa.Token if held[token])
            assert ctx.get(dut.overflow) == bool(lost_before)
            if lost_before:
                assert ctx.get(dut.overflow_engine) == min(token.source for token in lost_before)
                overflows.append(lost_before)
            give = [token for token in isa.Token if dice.random() < generosity]
            take = [token for token in isa.Token if held[token] and dice.random() < 0.4]
            ctx.set(dut.give, sum(1 << token for token in give))
            ctx.set(dut.take, sum(1 << token for token in take))
            held.subtract(take)
            held.update(give)
            lost_before = [token for token in isa.Token if held[token] > isa.TOKEN_LIMIT]
            held.subtract(lost_before)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    assert bool(overflows) == (generosity == 0.9)

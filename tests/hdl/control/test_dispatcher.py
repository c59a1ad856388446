"""The dispatcher: masks, tokens, and what it offers an engine."""

import pytest
from amaranth.sim import Simulator

from intramix.hdl import isa
from intramix.hdl.control.dispatcher import Dispatcher
from intramix.hdl.isa import Engine, Opcode, Token
from tests.support.raw_instructions import encode

pytestmark = pytest.mark.slow

OPCODE = {
    Engine.WEIGHTS: Opcode.LOAD_WEIGHTS,
    Engine.MAPS: Opcode.LOAD_MAP,
    Engine.COMPUTE: Opcode.COMPUTE,
    Engine.STORE: Opcode.STORE,
}
# From the table of docs/architecture.md.
WAITS = {
    Engine.WEIGHTS: set(),
    Engine.MAPS: {Token.INPUT_FREE, Token.RESIDUAL_FREE, Token.STORED},
    Engine.COMPUTE: {Token.INPUT_READY, Token.RESIDUAL_READY, Token.OUTPUT_FREE},
    Engine.STORE: {Token.OUTPUT_READY},
}
SIGNALS = {
    Engine.WEIGHTS: set(),
    Engine.MAPS: {Token.INPUT_READY, Token.RESIDUAL_READY},
    Engine.COMPUTE: {Token.INPUT_FREE, Token.RESIDUAL_FREE, Token.OUTPUT_READY},
    Engine.STORE: {Token.OUTPUT_FREE, Token.STORED},
}


def mask(tokens):
    return sum(1 << token for token in tokens)


def simulate(dut, testbench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()


def instruction(engine, **fields):
    return int.from_bytes(encode(OPCODE[engine], **fields), "little")


@pytest.mark.parametrize("engine", OPCODE)
def test_every_mask(engine):
    """All wait and all signal masks: an error exactly for a foreign channel, otherwise the instruction, once."""
    dut = Dispatcher(engine)
    cases = [(wait, 0) for wait in range(256)] + [(0, signal) for signal in range(256)]

    async def testbench(ctx):
        ctx.set(dut.available, 0x7F)
        ctx.set(dut.instruction.ready, 1)
        for wait, signal in cases:
            code = instruction(engine, layer=77, wait=wait, signal=signal)
            legal = not (wait & ~mask(WAITS[engine]) or signal & ~mask(SIGNALS[engine]))
            ctx.set(dut.queued.payload, code)
            ctx.set(dut.queued.valid, 1)
            offers = takes = errors = 0
            while not (offers or errors):
                error = ctx.get(dut.error)
                errors += error.valid
                if error.valid:
                    assert (error.code, error.layer) == (isa.Error.FIELD, 77)
                offers += ctx.get(dut.instruction.valid)
                takes |= ctx.get(dut.take)
                assert ctx.get(dut.queued.ready) == ctx.get(dut.instruction.valid)
                assert ctx.get(dut.instruction.payload) == code
                await ctx.tick()
            assert (offers, errors) == ((1, 0) if legal else (0, 1))
            assert takes == (wait if legal else 0)
            ctx.set(dut.queued.valid, not legal)
            if not legal:  # nothing follows it, and it is reported once
                for _ in range(3):
                    assert not ctx.get(dut.error).valid | ctx.get(dut.instruction.valid) | ctx.get(dut.take)
                    assert not ctx.get(dut.waiting) | ctx.get(dut.queued.ready)
                    await ctx.tick()
                return

    # A malformed instruction stops the dispatcher for good, so each illegal case has a fresh simulation.
    legal_masks = [(w, s) for w, s in cases if not (w & ~mask(WAITS[engine]) or s & ~mask(SIGNALS[engine]))]
    illegal = [(w, s) for w, s in cases if (w, s) not in legal_masks]
    for group in ([*legal_masks, illegal[0]], *([case] for case in illegal[1:])):
        cases = group
        simulate(dut, testbench)


def test_takes_all_tokens_at_once_and_offers_until_accepted():
    dut = Dispatcher(Engine.COMPUTE)
    wait = mask({Token.INPUT_READY, Token.OUTPUT_FREE})

    async def testbench(ctx):
        ctx.set(dut.queued.payload, instruction(Engine.COMPUTE, layer=5, wait=wait))
        ctx.set(dut.queued.valid, 1)
        for available in (0, mask({Token.INPUT_READY}), 0x7F & ~mask({Token.OUTPUT_FREE}), mask({Token.STORED})):
            ctx.set(dut.available, available)
            assert ctx.get(dut.waiting)
            assert not ctx.get(dut.holding) | ctx.get(dut.take) | ctx.get(dut.instruction.valid)
            assert ctx.get(dut.layer) == 5
            await ctx.tick()
        ctx.set(dut.available, wait)
        assert ctx.get(dut.take) == wait
        await ctx.tick()
        for _ in range(4):
            assert ctx.get(dut.holding)
            assert ctx.get(dut.instruction.valid)
            assert not ctx.get(dut.waiting) | ctx.get(dut.take) | ctx.get(dut.queued.ready)
            await ctx.tick()
        ctx.set(dut.instruction.ready, 1)
        assert ctx.get(dut.queued.ready)
        await ctx.tick()
        assert ctx.get(dut.waiting)
        assert not ctx.get(dut.instruction.valid)

    simulate(dut, testbench)


def test_abort_withdraws():
    dut = Dispatcher(Engine.STORE)

    async def testbench(ctx):
        ctx.set(dut.queued.payload, instruction(Engine.STORE))
        ctx.set(dut.queued.valid, 1)
        await ctx.tick()
        assert ctx.get(dut.instruction.valid)
        ctx.set(dut.abort, 1)
        ctx.set(dut.instruction.ready, 1)
        for _ in range(3):
            assert not ctx.get(dut.instruction.valid) | ctx.get(dut.queued.ready) | ctx.get(dut.take)
            await ctx.tick()

    simulate(dut, testbench)

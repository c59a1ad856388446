"""CRC registers against zlib."""

import random
import zlib

import pytest
from amaranth.sim import Simulator

from intramix.hdl.dma.crc import CrcRegisters
from intramix.hdl.isa import CRC_REGISTERS


@pytest.mark.parametrize("word_bits", [32, 80])
def test_registers_take_turns(word_bits):
    dice = random.Random(word_bits)
    dut = CrcRegisters(word_bits=word_bits)
    expected: dict[int, tuple[int, int]] = {}

    async def drive(ctx):
        for _ in range(200):
            register, word = dice.randrange(CRC_REGISTERS), dice.randbytes(word_bits // 8)
            start = register not in expected or dice.random() < 0.05
            ctx.set(dut.register, register)
            ctx.set(dut.valid, 0)
            await ctx.tick()
            if register in expected:
                assert (ctx.get(dut.crc), ctx.get(dut.words)) == expected[register]
            valid = dice.random() < 0.8
            ctx.set(dut.word, int.from_bytes(word, "little"))
            ctx.set(dut.valid, valid)
            ctx.set(dut.start, start)
            await ctx.tick()
            if valid:
                crc, words = (0, 0) if start else expected[register]
                expected[register] = zlib.crc32(word, crc), words + 1

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()

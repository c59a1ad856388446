"""The register file against registers.py."""

import random

import pytest
from amaranth.sim import Simulator

from intramix.hdl import isa, registers
from intramix.hdl.control.register_file import RegisterFile
from intramix.hdl.geometry import ISA_VERSION, Geometry
from intramix.hdl.registers import OFFSET, REGISTERS, Access, Control, Status

START, STOP, CLEAR, ENABLE = Control.START, Control.STOP, Control.CLEAR, Control.INTERRUPT_ENABLE
WRITABLE = [register for register in REGISTERS if register.access is Access.WRITE]


def geometry(address_bits: int = 64) -> Geometry:
    return Geometry(word_channels=4, pixel_lanes=1, fixed8_lanes=0, fixed4_lanes=4, lut_lanes=0, activation_bits=4,
                    address_bits=address_bits)  # fmt: skip


def simulate(dut, testbench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()


async def write(ctx, dut, register, value, *, strobes=0b1111):
    """A write; the commands (start, stop, clear) that it raised in the cycle after it, for that cycle."""
    offset = OFFSET[register] if isinstance(register, str) else register
    ctx.set(dut.write, {"valid": 1, "word": offset // 4, "data": value, "strobes": strobes})
    await ctx.tick()
    ctx.set(dut.write.valid, 0)
    commands = ctx.get(dut.start), ctx.get(dut.stop), ctx.get(dut.clear)
    await ctx.tick()
    assert not ctx.get(dut.start) | ctx.get(dut.stop) | ctx.get(dut.clear)
    return commands


def read(ctx, dut, register):
    offset = OFFSET[register] if isinstance(register, str) else register
    ctx.set(dut.read_word, offset // 4)
    return ctx.get(dut.read_data)


async def rejected(ctx, dut):
    """Whether REJECTED is set; clears it."""
    value = bool(read(ctx, dut, "STATUS") & Status.REJECTED)
    before = {name: ctx.get(getattr(dut.status, name)) for name in ("busy", "draining")}
    ctx.set(dut.status.busy, 0)
    ctx.set(dut.status.draining, 0)
    await write(ctx, dut, "CONTROL", CLEAR)
    assert not read(ctx, dut, "STATUS") & Status.REJECTED
    for name, level in before.items():
        ctx.set(getattr(dut.status, name), level)
    return value


def test_every_register_is_there_and_nothing_else():
    dut = RegisterFile(geometry())
    dice = random.Random(0)

    async def testbench(ctx):
        values = {register.name: dice.getrandbits(32) for register in WRITABLE}
        counters = {name: dice.getrandbits(32) for name, _ in registers.COUNTERS}
        for name, value in values.items():
            await write(ctx, dut, name, value)
        ctx.set(dut.counters, list(counters.values()))
        ctx.set(dut.status.error, {"code": 0xA5, "engine": 3, "layer": 0xBCD})
        ctx.set(dut.status.error_instruction, 0x12345678)
        values |= counters | {
            "ID": int.from_bytes(b"IMIX", "little"),
            "VERSION": ISA_VERSION,
            "SIGNATURE": dut.geometry.signature,
            "CONTROL": 0,
            "STATUS": int(Status.ERROR),
            "ERROR": 0xBCD03A5,
            "ERROR_INSTRUCTION": 0x12345678,
        }
        assert values.keys() == OFFSET.keys()
        for offset in range(0, registers.SPACE_BYTES, 4):
            names = [name for name, place in OFFSET.items() if place == offset]
            assert read(ctx, dut, offset) == (values[names[0]] if names else 0), names
        assert not await rejected(ctx, dut)
        # The engines see what was written.
        for name, signal in {"PROGRAM": dut.program, "LOG": dut.log,
                             **{region.name: dut.bases[region] for region in isa.Region}}.items():  # fmt: skip
            assert ctx.get(signal) == values[f"{name}_LOW"] | values[f"{name}_HIGH"] << 32
        assert ctx.get(dut.watchdog) == values["WATCHDOG"]
        assert ctx.get(dut.instructions) == values["INSTRUCTIONS"]

    simulate(dut, testbench)


def test_values_after_reset():
    dut = RegisterFile(geometry())

    async def testbench(ctx):
        for register in (*WRITABLE, "CONTROL", "STATUS"):
            name = getattr(register, "name", register)
            assert read(ctx, dut, name) == (registers.WATCHDOG_DEFAULT if name == "WATCHDOG" else 0)

    simulate(dut, testbench)


@pytest.mark.parametrize(("busy", "draining"), [(0, 0), (1, 0), (1, 1), (0, 1)])
def test_writes_are_rejected_at_the_wrong_time_and_place(busy, draining):
    dut = RegisterFile(geometry())

    async def testbench(ctx):
        ctx.set(dut.status.busy, busy)
        ctx.set(dut.status.draining, draining)
        for offset in range(0, registers.SPACE_BYTES, 4):
            if offset == OFFSET["CONTROL"]:
                continue
            before = read(ctx, dut, offset)
            await write(ctx, dut, offset, 0x5A5A5A40)
            may_write = offset in {register.offset for register in WRITABLE} and not busy and not draining
            flag = Status.REJECTED if offset == OFFSET["STATUS"] else 0
            assert read(ctx, dut, offset) == (0x5A5A5A40 if may_write else before | flag)
            assert await rejected(ctx, dut) == (not may_write), hex(offset)

    simulate(dut, testbench)


def test_partial_writes_are_rejected():
    dut = RegisterFile(geometry())

    async def testbench(ctx):
        for strobes in range(15):
            for register in ("LOG_LOW", "CONTROL"):
                assert await write(ctx, dut, register, 0x101, strobes=strobes) == (0, 0, 0)
                assert read(ctx, dut, register) == 0
                assert await rejected(ctx, dut)

    simulate(dut, testbench)


@pytest.mark.parametrize("address_bits", [32, 40, 63])
def test_address_bits_that_do_not_exist(address_bits):
    dut = RegisterFile(geometry(address_bits))

    async def testbench(ctx):
        for name in ("PROGRAM", "LOG", "WORKSPACE"):
            for bit in range(32):
                await write(ctx, dut, f"{name}_HIGH", 1 << bit)
                exists = bit < address_bits - 32
                assert read(ctx, dut, f"{name}_HIGH") == (1 << bit if exists else 0)
                assert await rejected(ctx, dut) == (not exists)
                if exists:
                    await write(ctx, dut, f"{name}_HIGH", 0)

    simulate(dut, testbench)


def test_commands_in_every_state():
    """All values of CONTROL × busy, draining, done, error, against the rules in words of registers.py."""
    dut = RegisterFile(geometry())

    async def testbench(ctx):
        for case in range(16 * 16):
            word = Control(case & 15)
            busy, draining, done, error = (case >> bit & 1 for bit in range(4, 8))
            status = {"busy": busy, "draining": draining, "done": done, "error": {"code": 5 * error, "engine": 0}}
            ctx.set(dut.status, status)
            start, stop, clear = await write(ctx, dut, "CONTROL", word)
            running = busy or draining
            assert stop == (STOP in word and busy)
            assert clear == (CLEAR in word and not busy)
            assert start == (START in word and not running and (not error or CLEAR in word))
            refused = (START in word and not start) or (CLEAR in word and not clear)
            assert read(ctx, dut, "CONTROL") == word & ENABLE
            await ctx.tick()
            assert ctx.get(dut.interrupt) == (done and ENABLE in word)
            assert read(ctx, dut, "STATUS") & ~Status.REJECTED == (
                Status.BUSY * busy | Status.DONE * done | Status.ERROR * error | Status.DRAINING * draining
            )
            assert await rejected(ctx, dut) == refused, word

    simulate(dut, testbench)

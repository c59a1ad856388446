"""The bridge from a processor's AXI3 and AXI4 to AXI4-Lite: every burst against the specification's formula."""

import random

import pytest
from amaranth.sim import Simulator

from intramix.platforms.zynq.axi import AxiVersion, axi_master
from intramix.platforms.zynq.lite_bridge import LiteBridge

BASE, SIZE = 0x43C0_0000, 0x1_0000
FIXED, INCR, WRAP = 0, 1, 2
OKAY, SLVERR, DECERR = 0, 2, 3
FAULTY = range(0x80, 0x90)
"""Addresses at which the slave answers SLVERR."""


def bridge(version=AxiVersion.AXI3):
    signature = axi_master(version=version, data_bits=32, address_bits=32, id_bits=12)
    return LiteBridge(signature, base=BASE, size=SIZE)


def beat_addresses(start, length, size, burst):
    """AMBA AXI (IHI 0022), A3.4.1, literally: Start_Address, Number_Bytes, Aligned_Address, Wrap_Boundary."""
    number_bytes, burst_length = 2**size, length + 1
    aligned = start // number_bytes * number_bytes
    wrap_boundary = start // (number_bytes * burst_length) * (number_bytes * burst_length)
    addresses = [start]
    for n in range(2, burst_length + 1):
        if burst == FIXED:
            addresses.append(start)
            continue
        address = aligned + (n - 1) * number_bytes
        if burst == WRAP and address >= wrap_boundary + number_bytes * burst_length:
            address -= number_bytes * burst_length
        addresses.append(address)
    return addresses


def random_burst(dice, version):
    burst = dice.choice((FIXED, INCR, WRAP))
    size = dice.choice((0, 1, 2))
    longest = 16 if version is AxiVersion.AXI3 or burst != INCR else 40
    length = dice.choice((2, 4, 8, 16)) - 1 if burst == WRAP else dice.randrange(longest)
    start = dice.randrange(0x100 - (length + 1) * 2**size)
    if burst == WRAP:
        start -= start % 2**size
    base = dice.choice((BASE, BASE, BASE, BASE + SIZE, 0x4000_0000))
    return {"addr": base + start, "len": length, "size": size, "burst": burst, "id": dice.randrange(4096)}


async def taken(ctx, other, *values):
    """Waits for the tick at which the other side's valid or ready is high, and returns `values` at it."""
    while True:
        _, _, high, *samples = await ctx.tick().sample(other, *values)
        if high:
            return samples


async def address(ctx, bus, channel, burst):
    for name, value in burst.items():
        ctx.set(getattr(bus, channel + name), value)
    ctx.set(getattr(bus, f"{channel}valid"), 1)
    await taken(ctx, getattr(bus, f"{channel}ready"))
    ctx.set(getattr(bus, f"{channel}valid"), 0)


async def pause(ctx, dice, stall):
    while dice.random() < stall:
        await ctx.tick()


def lite_slave(dut, writes, reads, stall):
    """Writes are recorded, reads answer with the address; everything may take its time."""
    lite = dut.lite

    async def write_side(ctx):
        dice = random.Random(11)
        while True:
            if dice.random() < 0.5:  # either may come first
                await pause(ctx, dice, stall)
                ctx.set(lite.awready, 1)
                (target,) = await taken(ctx, lite.awvalid, lite.awaddr)
                ctx.set(lite.awready, 0)
                await pause(ctx, dice, stall)
                ctx.set(lite.wready, 1)
                data, strobes = await taken(ctx, lite.wvalid, lite.wdata, lite.wstrb)
                ctx.set(lite.wready, 0)
            else:
                await pause(ctx, dice, stall)
                ctx.set(lite.wready, 1)
                data, strobes = await taken(ctx, lite.wvalid, lite.wdata, lite.wstrb)
                ctx.set(lite.wready, 0)
                await pause(ctx, dice, stall)
                ctx.set(lite.awready, 1)
                (target,) = await taken(ctx, lite.awvalid, lite.awaddr)
                ctx.set(lite.awready, 0)
            writes.append((target, data, strobes))
            await pause(ctx, dice, stall)
            ctx.set(lite.bvalid, 1)
            ctx.set(lite.bresp, SLVERR if target in FAULTY else OKAY)
            await taken(ctx, lite.bready)
            ctx.set(lite.bvalid, 0)

    async def read_side(ctx):
        dice = random.Random(12)
        while True:
            await pause(ctx, dice, stall)
            ctx.set(lite.arready, 1)
            (target,) = await taken(ctx, lite.arvalid, lite.araddr)
            ctx.set(lite.arready, 0)
            reads.append(target)
            await pause(ctx, dice, stall)
            ctx.set(lite.rvalid, 1)
            ctx.set(lite.rdata, target * 0x01010101)
            ctx.set(lite.rresp, SLVERR if target in FAULTY else OKAY)
            await taken(ctx, lite.rready)
            ctx.set(lite.rvalid, 0)

    return write_side, read_side


def simulate(dut, *testbenches, background):
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    for testbench in background:
        simulator.add_testbench(testbench, background=True)
    simulator.run()


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("version", AxiVersion)
def test_random_bursts(version, stall):
    dut = bridge(version)
    bus = dut.bus
    writes, reads, expected_writes, expected_reads = [], [], [], []

    async def writer(ctx):
        dice = random.Random(1)
        for _ in range(30):
            burst = random_burst(dice, version)
            inside = burst["addr"] & ~(SIZE - 1) == BASE
            targets = [a & 0xFF for a in beat_addresses(burst["addr"], burst["len"], burst["size"], burst["burst"])]
            await pause(ctx, dice, stall)
            await address(ctx, bus, "aw", burst)
            for index, target in enumerate(targets):
                data, strobes = dice.getrandbits(32), dice.randrange(16)
                await pause(ctx, dice, stall)
                for name, value in (("wdata", data), ("wstrb", strobes), ("wlast", index == burst["len"])):
                    ctx.set(getattr(bus, name), value)
                ctx.set(bus.wvalid, 1)
                await taken(ctx, bus.wready)
                ctx.set(bus.wvalid, 0)
                if inside:
                    expected_writes.append((target, data, strobes))
            await pause(ctx, dice, stall)
            ctx.set(bus.bready, 1)
            identity, response = await taken(ctx, bus.bvalid, bus.bid, bus.bresp)
            ctx.set(bus.bready, 0)
            assert identity == burst["id"]
            assert response == (DECERR if not inside else SLVERR if set(FAULTY) & set(targets) else OKAY)

    async def reader(ctx):
        dice = random.Random(2)
        for _ in range(30):
            burst = random_burst(dice, version)
            inside = burst["addr"] & ~(SIZE - 1) == BASE
            targets = [a & 0xFF for a in beat_addresses(burst["addr"], burst["len"], burst["size"], burst["burst"])]
            await pause(ctx, dice, stall)
            await address(ctx, bus, "ar", burst)
            for index, target in enumerate(targets):
                await pause(ctx, dice, stall)
                ctx.set(bus.rready, 1)
                beat = await taken(ctx, bus.rvalid, bus.rid, bus.rdata, bus.rresp, bus.rlast)
                ctx.set(bus.rready, 0)
                response = (SLVERR if target in FAULTY else OKAY) if inside else DECERR
                data = target * 0x01010101 if inside else 0
                if inside:
                    expected_reads.append(target)
                assert beat == [burst["id"], data, response, index == burst["len"]]

    simulate(dut, writer, reader, background=lite_slave(dut, writes, reads, stall))
    assert writes == expected_writes
    assert reads == expected_reads
    assert set(FAULTY) & set(reads)
    assert len(writes) > 100


def test_window_must_be_aligned():
    signature = axi_master(version=AxiVersion.AXI3, data_bits=32, address_bits=32, id_bits=12)
    with pytest.raises(ValueError, match="must be a power of two, aligned to its size"):
        LiteBridge(signature, base=0x43C0_8000, size=0x1_0000)


def test_data_must_be_32_bits():
    signature = axi_master(version=AxiVersion.AXI4, data_bits=128, address_bits=40, id_bits=16)
    with pytest.raises(ValueError, match="32 bits of data"):
        LiteBridge(signature, base=BASE, size=SIZE)

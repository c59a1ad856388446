"""The interrupt controller behind the bridge, by the accesses that `pynq.interrupt` makes, in its order."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from intramix.hdl.control.axi_lite import AxiLiteSlave
from intramix.hdl.dma.axi import axi4_lite_slave
from intramix.platforms.zynq.interrupt_controller import InterruptController, LiteSplitter, Register

BITS = 17
HIGH = 1 << (BITS - 1)


class Bench(wiring.Component):
    """A master's port, the splitter, a slave that reads as 0xACCE1 and counts writes, and the controller."""

    lite: Out(axi4_lite_slave(address_bits=BITS))
    interrupt: In(1)
    irq: Out(1)
    writes: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.submodules.splitter = splitter = LiteSplitter(address_bits=BITS)
        m.submodules.low = low = AxiLiteSlave()
        m.submodules.controller = controller = InterruptController()
        wiring.connect(m, wiring.flipped(self.lite), splitter.lite)
        wiring.connect(m, splitter.low, low.bus)
        wiring.connect(m, splitter.high, controller.lite)
        m.d.comb += [low.read_data.eq(0xACCE1), controller.interrupt.eq(self.interrupt), self.irq.eq(controller.irq)]
        with m.If(low.write.valid):
            m.d.sync += self.writes.eq(self.writes + 1)
        return m


async def access(ctx, lite, address, value=None):
    """One access, the address held until its answer is taken; the answer of a read."""
    channel, answer = ("ar", "r") if value is None else ("aw", "b")
    ctx.set(getattr(lite, f"{channel}addr"), address)
    sent = [channel] if value is None else [channel, "w"]
    if value is not None:
        ctx.set(lite.wdata, value)
        ctx.set(lite.wstrb, 0xF)
    for name in sent:
        ctx.set(getattr(lite, f"{name}valid"), 1)
    while sent:
        _, _, *ready = await ctx.tick().sample(*(getattr(lite, f"{name}ready") for name in sent))
        for name, high in list(zip(sent, ready)):
            if high:
                ctx.set(getattr(lite, f"{name}valid"), 0)
                sent.remove(name)
    ctx.set(getattr(lite, f"{answer}ready"), 1)
    while True:
        _, _, valid, data = await ctx.tick().sample(getattr(lite, f"{answer}valid"), lite.rdata)
        if valid:
            ctx.set(getattr(lite, f"{answer}ready"), 0)
            return data


def simulate(testbench):
    bench = Bench()
    simulator = Simulator(bench)
    simulator.add_clock(1e-8)

    async def run(ctx):
        await testbench(ctx, bench)

    simulator.add_testbench(run)
    simulator.run()


def test_an_interrupt_as_pynq_takes_it():
    async def testbench(ctx, bench):
        async def read(register):
            return await access(ctx, bench.lite, HIGH + register)

        async def write(register, value):
            await access(ctx, bench.lite, HIGH + register, value)

        await write(Register.IER, 0)
        for turn in range(2):
            await write(Register.SIE, 1)
            await write(Register.MER, 3)
            assert not ctx.get(bench.irq)
            assert await read(Register.IVR) == 0xFFFF_FFFF
            ctx.set(bench.interrupt, 1)
            await ctx.tick().repeat(2)
            assert ctx.get(bench.irq)
            assert await read(Register.IPR) == 1
            assert await read(Register.IVR) == 0
            await write(Register.CIE, 1)
            assert not ctx.get(bench.irq)
            if turn:  # acknowledged while the level is high: it is seen again
                await write(Register.IAR, 1)
                assert await read(Register.ISR) == 1
                assert await read(Register.IPR) == 0
            ctx.set(bench.interrupt, 0)
            await write(Register.IAR, 1)
            assert await read(Register.ISR) == 0
        assert await read(Register.MER) == 3
        assert await read(Register.IER) == 0
        assert ctx.get(bench.writes) == 0

    simulate(testbench)


def test_nothing_before_it_is_switched_on():
    async def testbench(ctx, bench):
        ctx.set(bench.interrupt, 1)
        await access(ctx, bench.lite, HIGH + Register.SIE, 1)
        await ctx.tick().repeat(3)
        assert not ctx.get(bench.irq)
        assert await access(ctx, bench.lite, HIGH + Register.ISR) == 0
        await access(ctx, bench.lite, HIGH + Register.MER, 2)
        await ctx.tick().repeat(3)
        assert not ctx.get(bench.irq)
        await access(ctx, bench.lite, HIGH + Register.MER, 1)  # the bit for hardware interrupts cannot be cleared
        assert ctx.get(bench.irq)

    simulate(testbench)


def test_the_other_slave_is_reached_too():
    async def testbench(ctx, bench):
        assert await access(ctx, bench.lite, 0x10) == 0xACCE1
        await access(ctx, bench.lite, 0x1C, 3)
        await ctx.tick()
        assert ctx.get(bench.writes) == 1
        assert await access(ctx, bench.lite, HIGH + Register.MER) == 0

    simulate(testbench)

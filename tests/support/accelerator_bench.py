"""The whole accelerator in Amaranth's simulator: memory behind every master, a host, and programs in regions."""

from amaranth.sim import Simulator

from intramix.compiler.interpreter.interpret import interpret, memory_for
from intramix.hdl.accelerator import Accelerator
from intramix.hdl.isa import INSTRUCTION_BYTES, Engine, Error
from intramix.hdl.registers import Control, Status
from intramix.sim.axi_lite_host import AxiLiteHost
from intramix.sim.axi_memory import AxiMemory

BASE = 0x2000_0000
GUARD = 0x5C
"""What lies between the regions, and must lie there after the run."""


class Bench:
    """An accelerator with a program and its data in memory.

    Parameters
    ----------
    contents, expected: bytes by region name (and "LOG") before and after a run; of the log, cycles are not compared.
    stall, latency, seed: of memory and host.

    Members
    -------
    memory: all of it; `regions` gives (address, size) by name, "PROGRAM" included.
    """

    def __init__(self, geometry, instructions, contents, expected, *, stall=0.0, latency=8, seed=0):
        self.geometry, self.instructions = geometry, instructions
        self.dut = Accelerator(geometry)
        self.contents = {"PROGRAM": instructions, **contents}
        self.expected = {"PROGRAM": instructions, **expected}
        self.regions, address = {}, BASE
        for name, content in self.contents.items():
            self.regions[name] = (address, len(content))
            address = (address + len(content) + 4096) // 64 * 64 + 64
        self.memory = AxiMemory(address - BASE, base=BASE, stall=stall, latency=latency, seed=seed,
                                maximum_burst=geometry.maximum_burst)  # fmt: skip
        self.fill()
        self.host = AxiLiteHost(self.dut.s_axi, stall=stall / 2, seed=seed)

    @classmethod
    def of_program(cls, program, codes, **options):
        """A compiled program with an input; what it must do is what the interpreter does."""
        contents = memory_for(program, codes)
        before = {name: bytes(content) for name, content in contents.items()}
        interpret(program, contents)
        expected = {name: bytes(content) for name, content in contents.items()}
        return cls(program.geometry, program.instructions, before, expected, **options)

    def fill(self):
        """Puts everything as it was before the first run."""
        self.memory.data[:] = bytes([GUARD]) * len(self.memory.data)
        for name, content in self.contents.items():
            self.memory.write(self.regions[name][0], content)

    def replace_program(self, instructions):
        """Has `fill` put other instructions in the place of the present ones; there is room for some more."""
        self.instructions = self.contents["PROGRAM"] = self.expected["PROGRAM"] = instructions
        self.regions["PROGRAM"] = (self.regions["PROGRAM"][0], len(instructions))

    def simulate(self, testbench):
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        simulator.add_testbench(testbench)
        simulator.add_testbench(self.memory.reader(self.dut.m_axi_instructions), background=True)
        for port in range(self.geometry.weight_ports):
            bus = getattr(self.dut, f"m_axi_weights_{port}")
            simulator.add_testbench(self.memory.reader(bus), background=True)
        for name in ("m_axi_maps", "m_axi_maps_1")[: self.geometry.maps_ports]:
            bus = getattr(self.dut, name)
            simulator.add_testbench(self.memory.reader(bus), background=True)
            simulator.add_testbench(self.memory.writer(bus), background=True)
        simulator.run()

    # What a host does ---------------------------------------------------------------------------------------------

    async def write(self, ctx, register, value):
        await self.host.write(ctx, register, int(value))

    async def read(self, ctx, register):
        return await self.host.read(ctx, register)

    async def start(self, ctx, *, watchdog=3000):
        await self.write(ctx, "WATCHDOG", watchdog)
        for name, (address, _) in self.regions.items():
            await self.write(ctx, f"{name}_LOW", address)
        await self.write(ctx, "INSTRUCTIONS", len(self.instructions) // INSTRUCTION_BYTES)
        await self.write(ctx, "CONTROL", Control.CLEAR | Control.START | Control.INTERRUPT_ENABLE)
        await ctx.tick()

    async def interrupt(self, ctx, limit=60000):
        for _ in range(limit):
            if ctx.get(self.dut.interrupt):
                return
            await ctx.tick()
        raise AssertionError("no interrupt")

    async def error(self, ctx):
        """(code, engine, layer) of the error register of a run that has ended."""
        status = await self.read(ctx, "STATUS")
        word = await self.read(ctx, "ERROR")
        assert status & Status.DONE
        assert bool(status & Status.ERROR) == bool(word & 0xFF)
        assert not status & (Status.BUSY | Status.REJECTED | Status.DRAINING)
        return Error(word & 0xFF), Engine(word >> 8 & 0xF), word >> 16 & 0xFFF

    async def run_to_end(self, ctx):
        """Starts, with CLEAR, and checks that everything in memory is right at the end."""
        self.fill()
        await self.start(ctx)
        await self.interrupt(ctx)
        assert await self.error(ctx) == (Error.NONE, Engine.CONTROL, 0)
        self.check(await self.read(ctx, "CYCLES"))

    def check(self, cycles):
        """Every byte of memory after a run of `cycles`, log and what lies between the regions included."""
        image = bytearray([GUARD]) * len(self.memory.data)
        for name, content in self.expected.items():
            address, size = self.regions[name]
            found = self.memory.read(address, size)
            image[address - BASE : address - BASE + size] = found if name == "LOG" else content
            if name == "LOG":
                records = [found[at : at + 16] for at in range(0, size, 16)]
                for group in range(self.geometry.maps_ports):
                    written = [record for record in records[group :: self.geometry.maps_ports] if any(record)]
                    stamps = [int.from_bytes(record[12:], "little") for record in written]
                    assert stamps == sorted(stamps)
                    assert group > 0 or 0 < stamps[0] <= stamps[-1] <= cycles
                found = b"".join(record[:12] for record in records)
                content = b"".join(content[at : at + 12] for at in range(0, size, 16))
            assert found == content, f"{name} differs from byte {_first(found, content)} on"
        assert self.memory.data == image, "bytes outside the regions were written"


def _first(found, content):
    return next(index for index, pair in enumerate(zip(found, content)) if pair[0] != pair[1])

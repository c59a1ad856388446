"""Control with stand-ins for the engines, which keep their side of `interfaces.engine_members` in Python."""

import random
from collections import Counter

from amaranth.sim import Simulator

from intramix.hdl import isa, registers
from intramix.hdl.control.control import Control
from intramix.hdl.control.fetch import ENGINES
from intramix.hdl.geometry import Geometry
from intramix.hdl.isa import ENGINE_OF, Engine, Opcode, Token
from intramix.hdl.registers import Status
from intramix.sim.axi_lite_host import AxiLiteHost
from intramix.sim.axi_memory import AxiMemory
from tests.support.raw_instructions import decode, encode

BASE = 0x1000_0000
GEOMETRY = Geometry(word_channels=4, pixel_lanes=1, fixed8_lanes=0, fixed4_lanes=4, lut_lanes=0, activation_bits=4)
GIVES = {
    Engine.WEIGHTS: (),
    Engine.MAPS: (Token.INPUT_READY, Token.RESIDUAL_READY),
    Engine.COMPUTE: (Token.INPUT_FREE, Token.RESIDUAL_FREE, Token.OUTPUT_READY),
    Engine.STORE: (Token.OUTPUT_FREE, Token.STORED),
}


def mask(tokens) -> int:
    return sum(1 << token for token in tokens)


def random_program(count: int, seed: int) -> list[bytes]:
    """A topological program of at least `count` instructions; layers number them.

    An instruction waits only for tokens that instructions before it give. At the end every token is taken, and FINISH
    waits for a COMPUTE that waits for everything before it (COMPUTE stand-ins wait for earlier weights by themselves).
    """
    dice = random.Random(seed)
    pending = Counter()
    program = []

    def add(opcode, wait=(), give=()):
        pending.subtract(wait)
        pending.update(give)
        program.append(encode(opcode, layer=len(program), wait=mask(wait), signal=mask(give)))

    while len(program) < count:
        opcode = dice.choice([opcode for opcode in Opcode if opcode is not Opcode.FINISH])
        engine = ENGINE_OF[opcode]
        add(
            opcode,
            [token for token in Token if token.target == engine and pending[token] and dice.random() < 0.8],
            [token for token in GIVES[engine] if dice.random() < 0.7],
        )
    for token in Token:
        while pending[token]:
            opcode = {Engine.MAPS: Opcode.LOAD_MAP, Engine.COMPUTE: Opcode.COMPUTE, Engine.STORE: Opcode.STORE}
            add(opcode[token.target], [token])
    add(Opcode.LOAD_MAP, give=[Token.INPUT_READY])
    add(Opcode.COMPUTE, [Token.INPUT_READY], [Token.OUTPUT_READY])
    add(Opcode.FINISH, [Token.OUTPUT_READY])
    return program


class StandIn:
    """An engine that takes a random time for each instruction, then gives its tokens.

    It checks that no instruction comes before its tokens were given, counted over the whole run.

    Members
    -------
    begun: instructions of the present run, as (opcode, fields).
    fails: layer -> error code that the instruction reports instead of ending.
    freezes: layers whose instruction never ends, unless `bench.thaw`; a bus transaction that hangs.
    """

    def __init__(self, bench, engine):
        self.bench, self.engine = bench, engine
        self.begun, self.ended, self.fails, self.freezes = [], 0, {}, set()

    async def run(self, ctx):
        bench, port = self.bench, getattr(self.bench.dut, self.engine.name.lower())
        dice = random.Random(f"{bench.seed}/{self.engine}")
        while True:
            ctx.set(port.idle, 1)
            ctx.set(port.instruction.ready, 1)
            _, _, valid, code, reset = await ctx.tick().sample(
                port.instruction.valid, port.instruction.payload, bench.dut.reset)
            if reset:
                self.begun, self.ended = [], 0
            if not valid:
                continue
            ctx.set(port.instruction.ready, 0)
            ctx.set(port.idle, 0)
            opcode, fields = decode(code.to_bytes(64, "little"))
            assert ENGINE_OF[opcode] == self.engine
            self.begun.append((opcode, fields))
            bench.take(fields["wait"])
            if not await self._busy(ctx, port, dice.randrange(bench.duration), fields["layer"]):
                continue
            if (error := self.fails.get(fields["layer"])) is not None:
                ctx.set(port.error, {"valid": 1, "code": error, "layer": fields["layer"]})
                await ctx.tick()
                ctx.set(port.error.valid, 0)
                await self._busy(ctx, port, 3, None)
                while not ctx.get(bench.dut.reset):
                    ctx.set(port.idle, 1)
                    await ctx.tick()
                continue
            self.ended += 1
            bench.give(fields["signal"])
            ctx.set(port.signals, fields["signal"])
            ctx.set(bench.dut.finished, opcode is Opcode.FINISH)
            await ctx.tick()
            ctx.set(port.signals, 0)
            ctx.set(bench.dut.finished, 0)

    async def _busy(self, ctx, port, cycles, layer):
        """Works; false when it was aborted meanwhile. A frozen instruction stands still until it is thawed.

        COMPUTE waits for all weights before it in the program, as it would find them missing in the ring.
        """
        if self.engine is Engine.COMPUTE and layer is not None:
            needed = sum(before < layer for before in self.bench.expected()[Engine.WEIGHTS])
            while self.bench.engines[Engine.WEIGHTS].ended < needed and not ctx.get(port.abort):
                await ctx.tick()
        while layer in self.freezes and not self.bench.thaw:
            await ctx.tick()
        for _ in range(cycles):
            ctx.set(port.active, 1)
            await ctx.tick()
            if layer is not None and ctx.get(port.abort):
                break
        ctx.set(port.active, 0)
        if layer is not None and ctx.get(port.abort):
            await ctx.tick().repeat(2)  # what is under way ends
            return False
        return True


class Bench:
    """Control, a memory with a program, stand-ins, and a host."""

    def __init__(self, program, *, seed=0, stall=0.0, duration=20, latency=5):
        self.seed, self.duration, self.thaw = seed, duration, False
        self.dut = Control(GEOMETRY)
        self.program = program
        self.memory = AxiMemory(1 << 16, base=BASE, latency=latency, stall=stall, seed=seed)
        self.memory.write(BASE, b"".join(program))
        self.host = AxiLiteHost(self.dut.s_axi, stall=stall / 2, seed=seed)
        self.engines = {engine: StandIn(self, engine) for engine in ENGINES}
        self.given, self.taken = Counter(), Counter()

    def give(self, mask):
        self.given.update(token for token in Token if mask >> token & 1)

    def take(self, mask):
        self.taken.update(token for token in Token if mask >> token & 1)
        assert all(self.taken[token] <= self.given[token] for token in Token), "began before its tokens were given"

    def simulate(self, testbench):
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        simulator.add_testbench(testbench)
        for stand_in in self.engines.values():
            simulator.add_testbench(stand_in.run, background=True)
        simulator.add_testbench(self.memory.reader(self.dut.m_axi_instructions), background=True)
        simulator.run()

    # What a host does ---------------------------------------------------------------------------------------------

    async def write(self, ctx, register, value):
        await self.host.write(ctx, register, int(value))

    async def read(self, ctx, register):
        return await self.host.read(ctx, register)

    async def start(self, ctx, *, watchdog=2000, control=registers.Control.START | registers.Control.INTERRUPT_ENABLE):
        self.given, self.taken = Counter(), Counter()
        await self.write(ctx, "WATCHDOG", watchdog)
        await self.write(ctx, "PROGRAM_LOW", BASE)
        await self.write(ctx, "INSTRUCTIONS", len(self.program))
        await self.write(ctx, "CONTROL", control)

    async def interrupt(self, ctx, limit=20000):
        for _ in range(limit):
            if ctx.get(self.dut.interrupt):
                return
            await ctx.tick()
        raise AssertionError("no interrupt")

    async def error(self, ctx):
        """(code, engine, layer) of the error register; STATUS must agree."""
        status = await self.read(ctx, "STATUS")
        word = await self.read(ctx, "ERROR")
        code, engine, layer = word & 0xFF, word >> 8 & 0xF, word >> 16 & 0xFFF
        assert status & Status.DONE
        assert bool(status & Status.ERROR) == bool(code)
        assert not status & (Status.BUSY | Status.REJECTED)
        return isa.Error(code), Engine(engine), layer

    def executed(self):
        """Layers begun, by engine."""
        return {engine: [fields["layer"] for _, fields in stand_in.begun] for engine, stand_in in self.engines.items()}

    def expected(self):
        """Layers in program order, by engine; unknown instructions left out."""
        layers = {engine: [] for engine in ENGINES}
        for code in self.program:
            if code[0] & 0xF in set(Opcode):
                opcode, fields = decode(code)
                layers[ENGINE_OF[opcode]].append(fields["layer"])
        return layers

"""Control: everything of the accelerator that is not an engine."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..dma.axi import Direction, axi4_lite_slave, axi4_master
from ..geometry import Geometry
from ..interfaces import bases_layout, engine_members
from .axi_lite import AxiLiteSlave
from .counters import Counters, events_layout
from .dispatcher import Dispatcher
from .fetch import ENGINES, Fetch
from .queue import BEAT_BITS, InstructionQueue
from .register_file import RegisterFile
from .supervisor import REPORTERS, Supervisor
from .tokens import Tokens

CONTROL_EVENTS = ("cycles", "weights_busy", "maps_busy", "maps_wait", "compute_wait", "store_busy", "store_wait")
"""Counted events that Control works out itself; of `Control.events` only the others are read."""


def engine_signature() -> wiring.Signature:
    """The ports of an engine towards control, as the engine has them."""
    return wiring.Signature(engine_members())


class Control(wiring.Component):
    """Registers, FETCH, queues, tokens, dispatchers, supervisor and counters.

    An engine counts as busy from the moment an instruction's tokens are taken until it is idle; it counts as waiting
    in cycles in which its oldest instruction waits for tokens and it is not busy. COMPUTE waits when it waits for
    tokens or constants and nothing is counted as a step, or as a wait for weights or for a drain. So no cycle is
    counted twice for one engine.

    Members
    -------
    s_axi: the registers.
    m_axi_instructions: AXI4 master that reads the program.
    interrupt: high while DONE and INTERRUPT_ENABLE are set.
    weights, maps, compute, store: the other side of each engine's `interfaces.engine_members`.
    finished: FINISH has completed; from the store engine.
    bases, log: configuration, for the engines.
    cycle: cycles since START, modulo 2^32.
    wait_constants: COMPUTE waits for constants in this cycle.
    events: what the engines count in this cycle; the members in CONTROL_EVENTS are ignored, and `read_bytes` is
        without FETCH's.
    reset: a pulse at the end of every run, for the engines.
    """

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        address_bits = geometry.address_bits
        super().__init__({
            "s_axi": Out(axi4_lite_slave(address_bits=8)),
            "m_axi_instructions": Out(
                axi4_master(data_bits=BEAT_BITS, address_bits=address_bits, direction=Direction.READ)
            ),
            "interrupt": Out(1),
            **{engine.name.lower(): In(engine_signature()) for engine in ENGINES},
            "finished": In(1),
            "bases": Out(bases_layout(geometry)),
            "log": Out(address_bits),
            "cycle": Out(32),
            "wait_constants": In(1),
            "events": In(events_layout()),
            "reset": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.slave = slave = AxiLiteSlave()
        m.submodules.registers = registers = RegisterFile(self.geometry)
        m.submodules.supervisor = supervisor = Supervisor()
        m.submodules.counters = counters = Counters()

        def cleared(component):
            """The component, reset at the end of every run."""
            return ResetInserter(supervisor.reset)(component)

        fetch = Fetch(self.geometry)
        tokens = Tokens()
        m.submodules.fetch = cleared(fetch)
        m.submodules.tokens = cleared(tokens)

        # Registers.
        wiring.connect(m, wiring.flipped(self.s_axi), slave.bus)
        m.d.comb += [
            registers.write.eq(slave.write),
            registers.read_word.eq(slave.read_word),
            slave.read_data.eq(registers.read_data),
            registers.status.eq(supervisor.status),
            registers.counters.eq(counters.values),
            self.interrupt.eq(registers.interrupt),
            self.bases.eq(registers.bases),
            self.log.eq(registers.log),
        ]

        # Fetch.
        wiring.connect(m, fetch.bus, wiring.flipped(self.m_axi_instructions))
        m.d.comb += [
            fetch.start.eq(registers.start),
            fetch.program.eq(registers.program),
            fetch.instructions.eq(registers.instructions),
        ]
        m.d.sync += fetch.abort.eq(supervisor.abort)

        # Engines: queue, dispatcher, tokens.
        dispatchers: dict[isa.Engine, Dispatcher] = {}
        for engine, beats in zip(ENGINES, fetch.beats):
            name = engine.name.lower()
            port = getattr(self, name)
            queue = InstructionQueue()
            dispatchers[engine] = dispatcher = Dispatcher(engine)
            m.submodules[f"{name}_queue"] = cleared(queue)
            m.submodules[f"{name}_dispatcher"] = cleared(dispatcher)
            wiring.connect(m, beats, queue.beats)
            wiring.connect(m, queue.instruction, dispatcher.queued)
            wiring.connect(m, dispatcher.instruction, wiring.flipped(port.instruction))
            # A register for each engine, for the loads that it has there.
            m.d.sync += port.abort.eq(supervisor.abort)
            m.d.comb += [dispatcher.available.eq(tokens.available), dispatcher.abort.eq(port.abort)]
        for token in isa.Token:
            m.d.comb += [
                tokens.take[token].eq(dispatchers[token.target].take[token]),
                tokens.give[token].eq(getattr(self, token.source.name.lower()).signals[token]),
            ]

        # The run.
        m.d.comb += [
            supervisor.start.eq(registers.start),
            supervisor.stop.eq(registers.stop),
            supervisor.clear.eq(registers.clear),
            supervisor.watchdog.eq(registers.watchdog),
            supervisor.finished.eq(self.finished),
            supervisor.token_overflow.eq(tokens.overflow),
            supervisor.token_engine.eq(tokens.overflow_engine),
            supervisor.fetched.eq(fetch.fetched),
            self.reset.eq(supervisor.reset),
        ]
        for reporter, state in zip(REPORTERS, supervisor.engines):
            if reporter is isa.Engine.FETCH:
                m.d.comb += [state.error.eq(fetch.error), state.idle.eq(fetch.idle), state.active.eq(fetch.active)]
                continue
            port, dispatcher = getattr(self, reporter.name.lower()), dispatchers[reporter]
            with m.If(port.error.valid):
                m.d.comb += state.error.eq(port.error)
            with m.Else():
                m.d.comb += state.error.eq(dispatcher.error)
            m.d.comb += [state.idle.eq(port.idle), state.active.eq(port.active | dispatcher.take.any())]
        # A deadlock is put down to the first waiting engine in the order in which data flow.
        for engine in (isa.Engine.STORE, isa.Engine.COMPUTE, isa.Engine.MAPS):
            with m.If(dispatchers[engine].waiting):
                m.d.comb += [
                    supervisor.blocked.engine.eq(engine),
                    supervisor.blocked.layer.eq(dispatchers[engine].layer),
                ]

        # Counters.
        busy = {engine: Signal(name=f"{engine.name.lower()}_busy") for engine in ENGINES}
        for engine in ENGINES:
            m.d.comb += busy[engine].eq(dispatchers[engine].holding | ~getattr(self, engine.name.lower()).idle)
        events = Signal(events_layout())
        stepping = self.events.compute_steps | self.events.compute_weights | self.events.compute_drain
        bus = self.m_axi_instructions
        m.d.comb += [
            events.eq(self.events),
            events.cycles.eq(1),
            events.weights_busy.eq(busy[isa.Engine.WEIGHTS]),
            events.maps_busy.eq(busy[isa.Engine.MAPS]),
            events.maps_wait.eq(dispatchers[isa.Engine.MAPS].waiting & ~busy[isa.Engine.MAPS]),
            events.compute_wait.eq((dispatchers[isa.Engine.COMPUTE].waiting | self.wait_constants) & ~stepping),
            events.store_busy.eq(busy[isa.Engine.STORE]),
            events.store_wait.eq(dispatchers[isa.Engine.STORE].waiting & ~busy[isa.Engine.STORE]),
            events.read_bytes.eq(self.events.read_bytes + ((bus.rvalid & bus.rready) * (BEAT_BITS // 8))),
            self.cycle.eq(counters.values[0]),
        ]
        m.d.sync += [
            counters.clear.eq(registers.start),
            counters.enable.eq(supervisor.status.busy),
            counters.events.eq(events),
        ]
        return m

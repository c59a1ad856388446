"""The maps and store engines of two lane groups, as one engine each towards control."""

from collections.abc import Iterable, Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..geometry import Geometry
from ..interfaces import (
    bases_layout,
    engine_members,
    instruction_layout,
    lane_write_signature,
    map_read_signature,
    map_write_signature,
    output_read_signature,
)
from ..stream_registers import StreamFIFO
from .axi import Direction, axi4_master
from .maps import MapsEngine
from .store import StoreEngine

UNDER_WAY = 16
"""Instructions of all lane groups whose tokens are not given yet, at most."""


class TokenOrder(wiring.Component):
    """Gives the tokens of instructions that several engines execute side by side in the order of the instructions.

    Members
    -------
    begins: the next instruction: which engine has it, and its tokens.
    done: strobes: an engine has come to where it gives the tokens of its oldest instruction.
    signals: tokens; those of one instruction in a cycle.
    empty: all are given.
    """

    def __init__(self, engines: int) -> None:
        self._engines = engines
        super().__init__({
            "begins": In(stream.Signature(data.StructLayout({"engine": range(engines), "signal": 8}))),
            "done": In(engines),
            "signals": Out(8),
            "empty": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.begun = begun = StreamFIFO(self.begins.p.shape(), UNDER_WAY)
        wiring.connect(m, wiring.flipped(self.begins), begun.source)
        oldest = begun.sink
        m.d.comb += self.empty.eq(begun.empty)
        for engine in range(self._engines):
            ahead = Signal(range(UNDER_WAY + 1), name=f"ahead_{engine}")  # instructions done, their tokens not given
            some = Signal(name=f"some_{engine}")  # `ahead` is not 0: a register of its own
            gives = Signal(name=f"gives_{engine}")
            done = self.done[engine]
            m.d.comb += gives.eq(oldest.valid & (oldest.p.engine == engine) & some)
            m.d.sync += [ahead.eq(ahead + done - gives), some.eq(done | (some & ~(gives & (ahead == 1))))]
            with m.If(gives):
                m.d.comb += [oldest.ready.eq(1), self.signals.eq(oldest.p.signal)]
        return m


class _LaneGroups(wiring.Component):
    """What both have in common: one engine for each lane group, errors, abort and rest.

    Instructions are handed out in order, each to the engine of its lane group, and run side by side.
    """

    engines: Sequence[MapsEngine | StoreEngine]

    def _join(self, m: Module, orders: Iterable[TokenOrder]) -> Signal:
        """Connects what all engines share; returns whether everything stops."""
        failed, stop = Signal(), Signal()
        m.d.comb += stop.eq(self.abort | failed)
        for number, engine in enumerate(self.engines):
            m.submodules[f"group_{number}"] = engine
            m.d.comb += [Value.cast(engine.bases).eq(Value.cast(self.bases)), engine.abort.eq(stop)]
        for engine in reversed(self.engines):
            with m.If(engine.error.valid & ~failed):
                m.d.comb += self.error.eq(engine.error)
                m.d.sync += failed.eq(1)
        m.d.comb += [
            self.active.eq(Cat(engine.active for engine in self.engines).any()),
            self.idle.eq(
                Cat(engine.idle for engine in self.engines).all()
                & (stop | Cat(order.empty for order in orders).all())
            ),
        ]
        return stop

    def _join_memory(self, m: Module) -> None:
        """Connects the engines with their ports of the map memory, where there is one."""
        if self._geometry.map_words:
            for port, engine in zip(self.memory, self.engines):
                wiring.connect(m, wiring.flipped(port), engine.memory)

    def _hand_out(self, m: Module, group: Value, instructions: Sequence[Value], ready: Value) -> Signal:
        """Hands the instruction to its lane group's engine, as that sees it, when `ready`; returns whether it goes."""
        goes = Signal()
        m.d.comb += goes.eq(self.instruction.valid & self.instruction.ready)
        for number, (engine, instruction) in enumerate(zip(self.engines, instructions)):
            m.d.comb += Value.cast(engine.instruction.p).eq(instruction)
            with m.If(group == number):
                m.d.comb += [
                    engine.instruction.valid.eq(self.instruction.valid & ready),
                    self.instruction.ready.eq(engine.instruction.ready & ready),
                ]
        return goes


class MapsLaneGroups(_LaneGroups):
    """The maps engines of both lane groups.

    Members
    -------
    `interfaces.engine_members`, and
    bases: base address by region.
    lane_write: by lane group, words to the lanes' memories.
    memory: by lane group, the map memory; only where there is one.
    axi: by lane group, the read master.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        self.engines = [MapsEngine(g.group) for _ in range(g.maps_ports)]
        axi = axi4_master(data_bits=g.maps_bus_bits, address_bits=g.address_bits, direction=Direction.READ)
        super().__init__({
            **engine_members(),
            "bases": In(bases_layout(g)),
            **({"memory": Out(map_read_signature(g)).array(g.maps_ports)} if g.map_words else {}),
            "lane_write": Out(lane_write_signature(g)).array(g.maps_ports),
            "axi": Out(axi).array(g.maps_ports),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        layout = instruction_layout(isa.LOAD_MAP)
        load = data.View(layout, self.instruction.p)
        group = ~load.lane_mask[: g.group_lanes].any()
        m.submodules.order = order = TokenOrder(g.maps_ports)
        stop = self._join(m, [order])
        seen = []
        for number in range(g.maps_ports):
            # An engine says when an instruction is done by whatever token; kernels give none.
            view = Signal(layout, name=f"seen_{number}")
            m.d.comb += [
                view.eq(load),
                view.lane_mask.eq(load.lane_mask >> number * g.group_lanes),
                view.signal.eq(Mux(load.kernels, load.signal, 1 << isa.Token.INPUT_READY)),
            ]
            seen.append(Value.cast(view))
        goes = self._hand_out(m, group, seen, order.begins.ready)
        m.d.comb += [
            order.begins.valid.eq(goes & ~load.kernels),
            order.begins.p.engine.eq(group),
            order.begins.p.signal.eq(load.signal),
            order.done.eq(Cat(engine.signals.any() for engine in self.engines)),
            self.signals.eq(Mux(stop, 0, order.signals)),
        ]
        for engine, lane_write, axi in zip(self.engines, self.lane_write, self.axi):
            wiring.connect(m, wiring.flipped(lane_write), engine.lane_write)
            wiring.connect(m, wiring.flipped(axi), engine.axi)
        self._join_memory(m)
        return m


class StoreLaneGroups(_LaneGroups):
    """The store engines of both lane groups. FINISH goes to the first one when all before it is done.

    Members
    -------
    `interfaces.engine_members`, and
    bases, log, cycle, finished: as `StoreEngine`'s.
    output: by lane group, output memory.
    memory: by lane group, the map memory; only where there is one.
    axi: by lane group, the write master.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        self.engines = [StoreEngine(g.group, shared=True) for _ in range(g.maps_ports)]
        axi = axi4_master(data_bits=g.maps_bus_bits, address_bits=g.address_bits, direction=Direction.WRITE)
        super().__init__({
            **engine_members(),
            "bases": In(bases_layout(g)),
            "log": In(g.address_bits),
            "cycle": In(32),
            **({"memory": Out(map_write_signature(g)).array(g.maps_ports)} if g.map_words else {}),
            "output": Out(output_read_signature(g)).array(g.maps_ports),
            "axi": Out(axi).array(g.maps_ports),
            "finished": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        layout = instruction_layout(isa.STORE)
        store = data.View(layout, self.instruction.p)
        finish = store.opcode == isa.Opcode.FINISH
        group = (store.lane >= g.group_lanes) & ~finish
        orders = {}
        for token in (isa.Token.OUTPUT_FREE, isa.Token.STORED):
            m.submodules[token.name.lower()] = orders[token] = TokenOrder(g.maps_ports)
        stop = self._join(m, orders.values())
        seen = []
        for number in range(g.maps_ports):
            view = Signal(layout, name=f"seen_{number}")
            m.d.comb += [
                view.eq(store),
                view.lane.eq(store.lane - number * g.group_lanes),
                view.signal.eq(Mux(finish, 0, sum(1 << token for token in orders))),
            ]
            seen.append(Value.cast(view))
        # FINISH waits until nothing before it is under way; seen when it is the next one, and then it stays so.
        rest = Signal()
        before = Cat(*(engine.idle for engine in self.engines[1:]), *(order.empty for order in orders.values()))
        m.d.sync += rest.eq(self.instruction.valid & finish & before.all())
        room = Cat(order.begins.ready for order in orders.values()).all()
        goes = self._hand_out(m, group, seen, Mux(finish, rest, room))
        for token, order in orders.items():
            m.d.comb += [
                order.begins.valid.eq(goes & ~finish),
                order.begins.p.engine.eq(group),
                order.begins.p.signal.eq(store.signal & 1 << token),
                order.done.eq(Cat(engine.signals[token] for engine in self.engines)),
            ]
        given = [order.signals for order in orders.values()]
        m.d.comb += [
            self.signals.eq(Mux(stop, 0, given[0] | given[1])),
            self.finished.eq(self.engines[0].finished),
        ]
        for engine, output, axi in zip(self.engines, self.output, self.axi):
            wiring.connect(m, wiring.flipped(output), engine.output)
            wiring.connect(m, wiring.flipped(axi), engine.axi)
            m.d.comb += [engine.log.eq(self.log), engine.cycle.eq(self.cycle)]
        self._join_memory(m)
        return m

"""The accelerator: control and the four engines."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import ClockDomain, Module, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .compute.engine import ComputeEngine
from .control.control import Control
from .control.fetch import ENGINES
from .control.queue import BEAT_BITS
from .dma.axi import Direction, axi4_lite_slave, axi4_master
from .dma.lane_groups import MapsLaneGroups, StoreLaneGroups
from .dma.map_memory import MapMemory
from .dma.maps import MapsEngine
from .dma.store import StoreEngine
from .dma.weights import WeightsEngine
from .geometry import Geometry
from .isa import Engine
from .verilog import generate

TOP = "accelerator"
"""Name of the top module."""


def accelerator_signature(geometry: Geometry) -> wiring.Signature:
    """The ports of a geometry's accelerator, without its clock and reset; `Accelerator` explains them."""
    g = geometry
    weights = axi4_master(data_bits=g.weights_bus_bits, address_bits=g.address_bits, direction=Direction.READ)
    maps = axi4_master(
        data_bits=g.maps_bus_bits, address_bits=g.address_bits, direction=Direction.READ | Direction.WRITE
    )
    instructions = axi4_master(data_bits=BEAT_BITS, address_bits=g.address_bits, direction=Direction.READ)
    return wiring.Signature({
        "s_axi": Out(axi4_lite_slave(address_bits=8)),
        "m_axi_instructions": Out(instructions),
        **{f"m_axi_weights_{port}": Out(weights) for port in range(g.weight_ports)},
        "m_axi_maps": Out(maps),
        **{f"m_axi_maps_{port}": Out(maps) for port in range(1, g.maps_ports)},
        "interrupt": Out(1),
    })


class Accelerator(wiring.Component):
    """The top level of a geometry: docs/architecture.md. One clock domain, `sync`, of its own and without a reset.

    `rst` resets control; a register of each engine, one after the other, hands it on, so that no flip-flop drives all
    (and no two are equal: tools would take them for one). Modules that are placed many times (`modules.place`) have no
    reset: they hold initial values when the part is configured, and have run empty before a reset ends.

    Members
    -------
    clk, rst: the clock, and the reset: synchronous, active high, for a cycle at least; it is everywhere after four.
    s_axi: registers, AXI4-Lite, 8 address bits.
    m_axi_instructions: reads the program, 64 bits.
    m_axi_weights_0 …: read weights and constants; one for each of `weight_ports`, `weights_bus_bits`.
    m_axi_maps: reads and writes maps, writes the log; `maps_bus_bits`.
    m_axi_maps_1: likewise, of the second lane group, with `maps_ports` = 2.
    interrupt: high while DONE and INTERRUPT_ENABLE are set.
    """

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        super().__init__({"clk": In(1), "rst": In(1), **accelerator_signature(geometry).members})

    def elaborate(self, platform):
        m = Module()
        g = self.geometry
        m.domains.sync = domain = ClockDomain(reset_less=True)
        domain.clk = self.clk
        control = Control(g)
        weights = WeightsEngine(g)
        compute = ComputeEngine(g)
        maps: MapsEngine | MapsLaneGroups
        store: StoreEngine | StoreLaneGroups
        maps, store = (MapsEngine(g), StoreEngine(g)) if g.maps_ports == 1 else (MapsLaneGroups(g), StoreLaneGroups(g))

        m.submodules.control = ResetInserter(self.rst)(control)
        engines = {
            Engine.WEIGHTS: weights,
            Engine.MAPS: maps,
            Engine.COMPUTE: compute,
            Engine.STORE: store,
        }
        reset: Value = self.rst | control.reset
        for engine in ENGINES:
            name = engine.name.lower()
            branch = Signal(name=f"{name}_reset")
            m.d.sync += branch.eq(reset)
            m.submodules[name] = ResetInserter(branch)(engines[engine])
            reset = branch
            self._join(m, getattr(control, name), engines[engine])

        # Between the engines.
        wiring.connect(m, compute.weights, weights.weights)
        wiring.connect(m, compute.constants, weights.constants)
        for write, lanes in zip(_by_group(maps.lane_write), compute.maps):
            wiring.connect(m, write, lanes)
        for read, lanes in zip(_by_group(store.output), compute.outputs):
            wiring.connect(m, read, lanes)
        if g.map_words:
            m.submodules.map_memory = memory = MapMemory(g)
            for ports, engine in ((memory.reads, maps), (memory.writes, store)):
                for port, own in zip(ports, _by_group(engine.memory)):
                    wiring.connect(m, own, port)
        m.d.comb += [
            weights.bases.eq(control.bases),
            maps.bases.eq(control.bases),
            store.bases.eq(control.bases),
            store.log.eq(control.log),
            store.cycle.eq(control.cycle),
            control.finished.eq(store.finished),
            control.wait_constants.eq(compute.wait_constants),
        ]

        # Buses.
        wiring.connect(m, wiring.flipped(self.s_axi), control.s_axi)
        wiring.connect(m, control.m_axi_instructions, wiring.flipped(self.m_axi_instructions))
        weight_ports = [getattr(self, f"m_axi_weights_{port}") for port in range(g.weight_ports)]
        for inner, outer in zip(weights.axi, weight_ports):
            wiring.connect(m, inner, wiring.flipped(outer))
        map_ports = [self.m_axi_maps] + [getattr(self, f"m_axi_maps_{port}") for port in range(1, g.maps_ports)]
        for engine in (maps, store):
            for axi, port in zip(_by_group(engine.axi), map_ports):
                for name, member in axi.signature.members.items():
                    inner, outer = getattr(axi, name), getattr(port, name)
                    m.d.comb += outer.eq(inner) if member.flow is Out else inner.eq(outer)
        m.d.comb += self.interrupt.eq(control.interrupt)

        # Events.
        reads = [(bus, g.weights_bus_bits // 8) for bus in weight_ports]
        reads += [(bus, g.maps_bus_bits // 8) for bus in map_ports]
        m.d.comb += [
            control.events.weights_stall.eq(weights.stalled),
            control.events.compute_steps.eq(compute.step),
            control.events.compute_weights.eq(compute.wait_weights),
            control.events.compute_drain.eq(compute.wait_drain),
            control.events.read_bytes.eq(sum((read.rvalid & read.rready) * count for read, count in reads)),
            control.events.write_bytes.eq(
                sum(strobe & bus.wvalid & bus.wready for bus in map_ports for strobe in bus.wstrb)
            ),
        ]
        return m

    @staticmethod
    def _join(m: Module, port, engine: wiring.Component) -> None:
        """Connects control's `port` for an engine with the engine's own members."""
        wiring.connect(m, port.instruction, engine.instruction)
        m.d.comb += [
            port.signals.eq(engine.signals),
            port.error.eq(engine.error),
            port.idle.eq(engine.idle),
            port.active.eq(engine.active),
            engine.abort.eq(port.abort),
        ]


def _by_group(port: Any) -> Sequence[Any]:
    """An engine's port for each lane group, where it has one for the only one."""
    return port if isinstance(port, Sequence) else [port]


def accelerator_verilog(geometry: Geometry) -> str:
    """The Verilog of a geometry's accelerator: top module TOP, with the ports of `Accelerator`.

    Raises
    ------
    TypeError: not a geometry.
    """
    if not isinstance(geometry, Geometry):
        raise TypeError(f"geometry must be a Geometry, not {geometry!r}")
    return generate(Accelerator(geometry), TOP)

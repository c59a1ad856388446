"""The compute engine."""

from amaranth.hdl import Array as Choice
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..array.array import Array
from ..geometry import Geometry
from ..interfaces import (
    EngineError,
    constant_read_signature,
    engine_members,
    lane_write_signature,
    output_read_signature,
    weight_read_signature,
)
from ..modules import place
from .drain import DrainControl, DrainTiming
from .lane import PixelLane
from .layouts import lane_control_layout
from .pipeline import SELECTION_CYCLES, delay
from .sequencer import Sequencer


class ComputeEngine(wiring.Component):
    """Executes COMPUTE instructions: docs/architecture.md.

    An instruction's first step comes 3 cycles after it is taken, or right after the last step of the one before.
    Then a step is issued in every cycle, except to wait for weights, for constants (before the first step) or for the
    drain: last steps of accumulator groups are at least `timing.spacing` cycles apart, and a MAXIMUM waits until every
    word of the CONVOLVEs before it is written.

    After an error, or under `abort`, nothing more is read, written or signalled; `idle` under `abort` comes when the
    array has run empty. Only a reset ends that state.

    Parameters
    ----------
    geometry: any.
    array: another implementation of the array.

    Members
    -------
    Those of `interfaces.engine_members`, and
    maps: by lane group, writes by MAPS.
    weights, constants: the rings.
    outputs: by lane group, reads by STORE.
    step, wait_weights, wait_drain, wait_constants: strobes for the counters.
    """

    def __init__(self, geometry: Geometry, *, array: wiring.Component | None = None) -> None:
        self._geometry = g = geometry
        super().__init__({
            **engine_members(),
            "maps": In(lane_write_signature(g)).array(g.maps_ports),
            "weights": Out(weight_read_signature(g)),
            "constants": Out(constant_read_signature(g)),
            "outputs": In(output_read_signature(g)).array(g.maps_ports),
            "step": Out(1),
            "wait_weights": Out(1),
            "wait_drain": Out(1),
            "wait_constants": Out(1),
        })
        self._array = Array(g) if array is None else array
        self.timing = DrainTiming(g, latency=self._array.LATENCY, hold=self._array.HOLD)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        m.submodules.array = array = self._array
        m.submodules.sequencer = sequencer = Sequencer(g, spacing=self.timing.spacing)
        m.submodules.drain = drain = DrainControl(g, self.timing)

        # Errors and rest. The last step is issued as the halt begins; the array, which no halt reaches, runs empty.
        halt = Signal()
        rest = Signal(range(self._array.LATENCY + 5))
        settled = rest == self._array.LATENCY + 4
        error = Signal(EngineError)  # reported a cycle after it is found
        m.d.comb += error.eq(Mux(drain.error.valid, drain.error, sequencer.error))
        m.d.sync += self.error.eq(error)
        with m.If(self.abort | error.valid):
            m.d.sync += halt.eq(1)
        with m.If(halt & ~settled):
            m.d.sync += rest.eq(rest + 1)
        m.d.comb += [
            sequencer.halt.eq(halt),
            drain.halt.eq(halt),
            self.idle.eq(Mux(halt | self.abort, settled, ~sequencer.busy & drain.drained & ~drain.pooling)),
            self.signals.eq(drain.signals | (sequencer.input_free & ~halt) << 1),
        ]

        m.d.sync += self.active.eq(
            ~halt & (sequencer.stepping | ~drain.drained | (self.instruction.valid & self.instruction.ready))
        )

        wiring.connect(m, wiring.flipped(self.instruction), sequencer.instruction)
        m.d.comb += [
            self.step.eq(sequencer.stepping),
            self.wait_weights.eq(sequencer.wait_weights),
            self.wait_drain.eq(sequencer.wait_drain),
            self.wait_constants.eq(sequencer.wait_constants),
            sequencer.drained.eq(drain.drained),
            sequencer.weights_written.eq(self.weights.written),
            sequencer.constants_written.eq(self.constants.written),
            self.weights.enable.eq(sequencer.weight_enable),
            self.weights.address.eq(sequencer.weight_address),
            self.weights.released.eq(sequencer.weights_released),
            drain.issue.eq(sequencer.issue),
            drain.group.eq(sequencer.group),
            drain.pool.eq(sequencer.pool),
            drain.pool_parameters.eq(sequencer.pool_parameters),
            self.constants.enable.eq(drain.constant_enable),
            self.constants.tile.eq(drain.constant_tile),
            self.constants.row.eq(drain.constant_row),
            self.constants.released.eq(drain.constants_released),
            array.step.eq(sequencer.step),
            array.weights.eq(self.weights.data),
        ]

        constants = delay(m, self.constants.data, SELECTION_CYCLES, name="constants")
        for number, (maps, output) in enumerate(zip(self.maps, self.outputs)):
            control = Signal(lane_control_layout(g), name=f"control_{number}")
            m.d.comb += [
                control.eq(drain.control),
                control.activation_address.eq(sequencer.activation_address),
                control.activation_zero.eq(sequencer.activation_outside),
                control.pool_valid.eq(sequencer.pool.valid),
                control.pool_first.eq(sequencer.pool.first),
                control.captured.eq(array.captured),
                control.read_address.eq(output.address),
            ]
            stored = []
            for place_in_group in range(g.group_lanes):
                index = number * g.group_lanes + place_in_group
                lane = PixelLane(g, copied=self.timing.copied)
                m.submodules[f"lane_{index}"] = place(platform, lane)
                written = maps.enable[place_in_group]
                m.d.comb += [
                    lane.control.eq(control),
                    lane.maps_activation.eq(written & ~maps.residual),
                    lane.maps_residual.eq(written & maps.residual),
                    lane.maps_address.eq(maps.address[place_in_group]),
                    lane.maps_data.eq(maps.data),
                    lane.accumulators.eq(array.accumulators[index]),
                    lane.sum.eq(array.sums[index]),
                    lane.constants.eq(constants),
                    array.activations[index].eq(lane.activations),
                ]
                stored.append(lane.output)
            # STORE's read: the memory takes one cycle, the choice of the lane another one.
            chosen = delay(m, output.lane, 1, name=f"output_lane_{number}")
            m.d.sync += output.data.eq(Choice(stored)[chosen])
        return m

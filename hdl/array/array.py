"""The arithmetic array: P pixel lanes by To filter lanes by Ti channels, a step a cycle."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from amaranth.hdl import Elaboratable, Module, Signal, Value
from amaranth.lib import data, wiring

from ..geometry import Dsp, Geometry
from ..interfaces import Step, array_signature
from ..lane_classes import LaneClass
from ..modules import place
from . import dsp_lanes
from .arithmetic import Control, delay
from .channel_sum import ChannelSum
from .packing import WEIGHT_BITS, packing_plan
from .rows import DspRow, LutRow, skewed


class _Lane(NamedTuple):
    """A filter lane: its number, class and where its weights begin in a weight word."""

    number: int
    kind: LaneClass
    start: int


class Array(wiring.Component):
    """The array of a geometry; ports as `hdl.interfaces.array_signature` says, seen from the array.

    Steps come at most one a cycle, with gaps wherever `step.valid` is low; the first step of an accumulator group may
    follow the last of the one before in the next cycle. Results are final (multiplied by 16 between digits), not
    offset-corrected: accumulators hold Σ stored weight · code modulo 2^accumulator_bits, as `golden.array_group`
    computes.

    With Dsp.NONE, fixed-point lanes are LUT lanes of 4 or 8 bit planes.

    Members
    -------
    LATENCY: cycles from a step with `last` to its `captured`; results are valid in that same cycle.
    HOLD: results stay as they are for HOLD − 1 cycles after the next accumulator group's `last` step, may change in the
        HOLD-th. (Lane classes have pipelines of different depths; each captures its results when they are ready.)
    """

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = g = geometry
        widths = {
            "channels": g.word_channels, "bits": g.activation_bits, "accumulator_bits": g.accumulator_bits,
        }  # fmt: skip
        lanes = []
        start = 0
        for number, kind in enumerate(g.lanes):
            lanes.append(_Lane(number, kind, start))
            start += g.word_channels * kind.weight_bits
        on_dsp = [lane for lane in lanes if not lane.kind.is_lut and g.dsp is not Dsp.NONE]
        self._channel_sums = [ChannelSum(**widths) for _ in range(g.pixel_lanes)]
        self._dsp_rows = [
            (filters, DspRow(g.dsp, filters[0].kind, filters=len(filters), pixel_lanes=g.pixel_lanes, **widths))
            for filters in _half_lane_pairs(on_dsp)
        ]
        self._lut_rows = [
            (lane, LutRow(lane.kind, pixel_lanes=g.pixel_lanes, **widths)) for lane in lanes[len(on_dsp) :]
        ]
        super().__init__(array_signature(geometry).flip())

    @property
    def LATENCY(self) -> int:
        return 3 + max(part.depth for part in self._parts())

    @property
    def HOLD(self) -> int:
        return 3 + min(part.depth for part in self._parts())

    def _parts(self) -> Iterator[Any]:
        yield from self._channel_sums
        for _, row in (*self._dsp_rows, *self._lut_rows):
            yield row

    # Hardware -----------------------------------------------------------------------------------------------------

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        g = self.geometry

        # Cycle 1: everything into registers.
        weights = delay(m, self.weights[: g.weight_payload_bits], 1)
        activations = [
            data.View(word.shape(), delay(m, word.as_value(), 1)) for word in self.activations
        ]
        steps = [self.step]
        for _ in range(self.LATENCY):
            later = Signal(Step)
            m.d.sync += later.eq(steps[-1])
            steps.append(later)
        m.d.comb += self.captured.eq(steps[self.LATENCY].valid & steps[self.LATENCY].last)

        def control(part: Any) -> None:
            """Connect a part's controls: its operands come in cycle 1, its controls depth − 1 later."""
            step = steps[part.depth]
            m.d.comb += [part.control[name].eq(step[name]) for name in Control.as_shape().members]

        def lane_weights(lane: _Lane) -> Value:
            return weights[lane.start : lane.start + g.word_channels * lane.kind.weight_bits]

        for pixel, channel_sum in enumerate(self._channel_sums):
            m.submodules[f"channel_sum_{pixel}"] = place(platform, channel_sum)
            control(channel_sum)
            m.d.comb += [
                channel_sum.activations.eq(activations[pixel]),
                channel_sum.count.eq(steps[channel_sum.depth].count),
                self.sums[pixel].eq(channel_sum.total),
            ]
        if self._dsp_rows:
            self._connect_dsp(m, platform, activations, lane_weights, control)
        for kind in dict.fromkeys(lane.kind for lane, _ in self._lut_rows):
            self._connect_lut(m, platform, kind, lane_weights, control)
        return m

    def _connect_dsp(self, m: Module, platform: object, activations: Any, lane_weights: Any, control: Any) -> None:
        g = self.geometry
        plan = packing_plan(g.dsp, WEIGHT_BITS, g.activation_bits)
        delays = dsp_lanes.operand_delays(plan, g.word_channels)
        codes = [
            skewed(m, platform, f"dsp_activations_{pixel}", word, g.activation_bits, delays)
            for pixel, word in enumerate(activations)
        ]
        for index, (filters, row) in enumerate(self._dsp_rows):
            m.submodules[f"dsp_row_{index}"] = place(platform, row)
            control(row)
            m.d.comb += [port.eq(lane_weights(lane)) for port, lane in zip(row.weights, filters, strict=True)]
            for pixel, totals in enumerate(row.totals):
                m.d.comb += row.codes[pixel].eq(codes[pixel])
                m.d.comb += [
                    self.accumulators[pixel][lane.number].eq(total)
                    for lane, total in zip(filters, totals, strict=True)
                ]

    def _connect_lut(self, m: Module, platform: object, kind: LaneClass, lane_weights: Any, control: Any) -> None:
        bits = self.geometry.activation_bits
        rows = [(lane, row) for lane, row in self._lut_rows if lane.kind is kind]
        first = rows[0][1]
        name = kind.name.lower()
        shared: dict[str, list[Any]] = {"codes": [], "pairs": [], "step_sums": []}
        for pixel, source in enumerate(self._channel_sums):
            delays = first.chains.channel_delays
            shared["codes"].append(skewed(m, platform, f"{name}_codes_{pixel}", source.codes, bits, delays))
            if first.takes("step_sums"):
                shared["step_sums"].append(delay(m, source.step_sum, first.depth - 2 - source.depth))
            if first.takes("pairs"):
                units = first.chains.unit_delays
                shared["pairs"].append(skewed(m, platform, f"{name}_pairs_{pixel}", source.pairs, bits + 1, units))
        for lane, row in rows:
            m.submodules[f"row_{lane.number}"] = place(platform, row)
            control(row)
            m.d.comb += row.weights.eq(lane_weights(lane))
            for member, values in shared.items():
                m.d.comb += [getattr(row, member)[pixel].eq(value) for pixel, value in enumerate(values)]
            m.d.comb += [self.accumulators[pixel][lane.number].eq(total) for pixel, total in enumerate(row.totals)]


def _half_lane_pairs(lanes: list[_Lane]) -> list[list[_Lane]]:
    """Filter lanes on DSPs by pair of half-lanes: a Fixed-8 lane, or one or two Fixed-4 lanes."""
    wide = [[lane] for lane in lanes if lane.kind is LaneClass.FIXED8]
    narrow = [lane for lane in lanes if lane.kind is LaneClass.FIXED4]
    return wide + [narrow[i : i + 2] for i in range(0, len(narrow), 2)]

"""The arithmetic array: P pixel lanes by To filter lanes by Ti channels, a step a cycle."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from amaranth.hdl import Elaboratable, Module, Signal, Value, unsigned
from amaranth.lib import data, wiring

from ..geometry import Dsp, Geometry, LaneClass
from ..interfaces import Step, array_signature
from ..modules import place
from . import dsp_lanes, lut_weights
from .arithmetic import Control, Skew, delay
from .channel_sum import ChannelSum
from .dsp_lanes import DspCell
from .lut_lanes import FixedCell, PotCell, Sp2Cell
from .lut_weights import LutWeights
from .packing import WEIGHT_BITS, packing_plan


class _Lane(NamedTuple):
    """A filter lane: its number, class and where its weights begin in a weight word."""

    number: int
    kind: LaneClass
    start: int


class Array(wiring.Component):
    """The array of a geometry; ports as `hdl.interfaces.array_signature` says, seen from the array.

    Steps come at most one a cycle, with gaps wherever `step.valid` is low; the first step of a group may follow the
    last of the one before in the next cycle. Results are final (multiplied by 16 between digits), not offset-corrected:
    accumulators hold Σ stored weight · code modulo 2^accumulator_bits, as `golden.array_group` computes.

    With Dsp.NONE, fixed-point lanes are LUT lanes of 4 or 8 bit planes.

    Members
    -------
    LATENCY: cycles from a step with `last` to its `captured`; results are valid in that same cycle.
    HOLD: results stay as they are for HOLD − 1 cycles after the next group's `last` step, may change in the HOLD-th.
        (Lane classes have pipelines of different depths; each captures its results when they are ready.)
    """

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = g = geometry
        self._common = {
            "channels": g.word_channels, "bits": g.activation_bits, "accumulator_bits": g.accumulator_bits,
        }  # fmt: skip
        lanes = []
        start = 0
        for number, kind in enumerate(g.lanes):
            lanes.append(_Lane(number, kind, start))
            start += g.word_channels * kind.weight_bits
        on_dsp = [lane for lane in lanes if not lane.kind.is_lut and g.dsp is not Dsp.NONE]
        self._dsp_lanes = on_dsp
        self._lut_lanes = lanes[len(on_dsp) :]
        self._channel_sums = [ChannelSum(**self._common) for _ in range(g.pixel_lanes)]
        self._dsp_cells = [
            [self._dsp_cell(filters, pixel) for pixel in range(0, g.pixel_lanes, 2)] for filters in self._dsp_filters()
        ]
        self._lut_cells = [[self._lut_cell(lane) for _ in range(g.pixel_lanes)] for lane in self._lut_lanes]
        super().__init__(array_signature(geometry).flip())

    @property
    def LATENCY(self) -> int:
        return 3 + max(cell.depth for cell in self._cells())

    @property
    def HOLD(self) -> int:
        return 3 + min(cell.depth for cell in self._cells())

    # Lanes --------------------------------------------------------------------------------------------------------

    def _cells(self) -> Iterator[Any]:
        yield from self._channel_sums
        for cells in (*self._dsp_cells, *self._lut_cells):
            yield from cells

    def _dsp_filters(self) -> list[list[_Lane]]:
        """Filter lanes by pair of half-lanes: a Fixed-8 lane, or one or two Fixed-4 lanes."""
        wide = [[lane] for lane in self._dsp_lanes if lane.kind is LaneClass.FIXED8]
        narrow = [lane for lane in self._dsp_lanes if lane.kind is LaneClass.FIXED4]
        return wide + [narrow[i : i + 2] for i in range(0, len(narrow), 2)]

    def _dsp_cell(self, filters: list[_Lane], pixel: int) -> DspCell:
        g = self.geometry
        pixels = min(2, g.pixel_lanes - pixel)
        return DspCell(g.dsp, filters[0].kind, filters=len(filters), pixels=pixels, **self._common)

    def _lut_cell(self, lane: _Lane) -> FixedCell | Sp2Cell | PotCell:
        if lane.kind is LaneClass.LUT_SP2:
            return Sp2Cell(**self._common)
        if lane.kind is LaneClass.LUT_POT:
            return PotCell(**self._common)
        return FixedCell(planes=lane.kind.weight_bits, **self._common)

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

        def control(cell: Any) -> None:
            """Connect a cell's controls: its operands come in cycle 1, its controls depth − 1 later."""
            step = steps[cell.depth]
            m.d.comb += [cell.control[name].eq(step[name]) for name in Control.as_shape().members]

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
        if self._dsp_cells:
            self._connect_dsp(m, platform, activations, lane_weights, control)
        for kind in dict.fromkeys(lane.kind for lane in self._lut_lanes):
            self._connect_lut(m, platform, kind, lane_weights, control)
        return m

    def _skewed(self, m: Module, platform: object, name: str, value: Any, bits: int, delays: tuple[int, ...]) -> Any:
        """A vector with a delay for each element."""
        if not any(delays):
            return data.View(data.ArrayLayout(unsigned(bits), len(delays)), Value.cast(value))
        skew = Skew(bits=bits, delays=delays)
        m.submodules[name] = place(platform, skew)
        m.d.comb += skew.input.eq(value)
        return skew.output

    def _connect_dsp(self, m: Module, platform: object, activations: Any, lane_weights: Any, control: Any) -> None:
        g = self.geometry
        channels = g.word_channels
        plan = packing_plan(g.dsp, WEIGHT_BITS, g.activation_bits)
        delays = dsp_lanes.operand_delays(plan, channels)
        codes = [
            self._skewed(m, platform, f"dsp_activations_{pixel}", word, g.activation_bits, delays)
            for pixel, word in enumerate(activations)
        ]
        for index, (filters, cells) in enumerate(zip(self._dsp_filters(), self._dsp_cells, strict=True)):
            halves = []
            for number, lane in enumerate(filters):
                bits = lane.kind.weight_bits
                stored = self._skewed(m, platform, f"dsp_weights_{index}_{number}", lane_weights(lane), bits, delays)
                for digit in range(0, bits, WEIGHT_BITS):
                    halves.append([weight[digit : digit + WEIGHT_BITS] for weight in stored])
            for pair, cell in enumerate(cells):
                m.submodules[f"dsp_cell_{index}_{pair}"] = place(platform, cell)
                control(cell)
                for port, half in zip(cell.weights, halves, strict=False):
                    m.d.comb += [element.eq(weight) for element, weight in zip(port, half, strict=True)]
                for side, totals in enumerate(cell.totals):
                    pixel = 2 * pair + side
                    m.d.comb += cell.activations[side].eq(codes[pixel])
                    m.d.comb += [
                        self.accumulators[pixel][lane.number].eq(total)
                        for lane, total in zip(filters, totals, strict=True)
                    ]

    def _connect_lut(self, m: Module, platform: object, kind: LaneClass, lane_weights: Any, control: Any) -> None:
        g = self.geometry
        channels, bits = g.word_channels, g.activation_bits
        units = lut_weights.unit_delays(kind, channels)
        delays = lut_weights.channel_delays(kind, channels)
        fixed = kind not in (LaneClass.LUT_SP2, LaneClass.LUT_POT)
        name = kind.name.lower()
        lanes = [pair for pair in zip(self._lut_lanes, self._lut_cells, strict=True) if pair[0].kind is kind]
        depth = lanes[0][1][0].depth

        codes, pairs, step_sums = [], [], []
        for pixel, source in enumerate(self._channel_sums):
            codes.append(self._skewed(m, platform, f"{name}_codes_{pixel}", source.codes, bits, delays))
            if fixed:
                pairs.append(self._skewed(m, platform, f"{name}_pairs_{pixel}", source.pairs, bits + 1, units))
            if kind is LaneClass.LUT_SP2:
                step_sums.append(delay(m, source.step_sum, depth - 2 - source.depth))

        for lane, cells in lanes:
            stored = lane_weights(lane)
            if fixed:
                late = tuple(1 + cycles for cycles in delays)
                decoded = self._skewed(m, platform, f"weights_{lane.number}", stored, kind.weight_bits, late)
            else:
                decoder = LutWeights(kind, channels=channels, bits=bits)
                m.submodules[f"weights_{lane.number}"] = place(platform, decoder)
                m.d.comb += decoder.codes.eq(stored)
                decoded = decoder.weights
            for pixel, cell in enumerate(cells):
                m.submodules[f"cell_{lane.number}_{pixel}"] = place(platform, cell)
                control(cell)
                m.d.comb += [
                    cell.codes.eq(codes[pixel]),
                    cell.weights.eq(decoded),
                    self.accumulators[pixel][lane.number].eq(cell.total),
                ]
                if fixed:
                    m.d.comb += cell.pairs.eq(pairs[pixel])
                else:
                    m.d.comb += [cell.negatives.eq(decoder.negatives), cell.correction.eq(decoder.correction)]
                if kind is LaneClass.LUT_SP2:
                    m.d.comb += cell.step_sum.eq(step_sums[pixel])

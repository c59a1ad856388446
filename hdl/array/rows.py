"""Rows of the array: the cells of one or two filter lanes in all pixel lanes, with what those share.

A row is one module, instantiated for every filter lane of its class: the array is then small enough for a synthesiser
whose passes take longer than in proportion, whatever the number of lanes.
"""

from typing import Any

from amaranth.hdl import Elaboratable, Module, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import Dsp
from ..lane_classes import LaneClass
from ..modules import module_name, place
from . import dsp_lanes
from .arithmetic import Control, Skew
from .cells import CELLS
from .cells.chains import AdderChains
from .dsp_lanes import DspCell
from .packing import WEIGHT_BITS, packing_plan


def skewed(m: Module, platform: object, name: str, value: Any, bits: int, delays: tuple[int, ...]) -> Any:
    """A vector of elements of `bits` bits with a delay for each."""
    if not any(delays):
        return value
    skew = Skew(bits=bits, delays=delays)
    m.submodules[name] = place(platform, skew)
    m.d.comb += skew.input.eq(value)
    return skew.output


class DspRow(wiring.Component):
    """One Fixed-8, or one or two Fixed-4 filter lanes on packed multipliers, by all pixel lanes.

    Parameters
    ----------
    filters: filter lanes, 1 or 2.
    pixel_lanes: P.

    Members
    -------
    weights: In, stored weights of each filter by channel, in cycle t.
    codes: In, by pixel lane, from cycle t on, delayed by `dsp_lanes.operand_delays`.
    control: In, cycle t + depth − 1.
    totals: Out, [pixel lane][filter], as captured, from cycle t + depth + 2 on.
    """

    def __init__(
        self, dsp: Dsp, kind: LaneClass, *, filters: int, pixel_lanes: int, channels: int, bits: int,
        accumulator_bits: int,
    ) -> None:  # fmt: skip
        self._kind = kind
        self._bits = bits
        self._channels = channels
        self._dsp = dsp
        widths = {"channels": channels, "bits": bits, "accumulator_bits": accumulator_bits}
        self.parts = [
            DspCell(dsp, kind, filters=filters, pixels=min(2, pixel_lanes - pixel), **widths)
            for pixel in range(0, pixel_lanes, 2)
        ]
        self.module_name = module_name(
            "dsp_row", dsp.value, kind.value, channels, bits, accumulator_bits, f"{filters}x{pixel_lanes}"
        )
        weights = data.ArrayLayout(unsigned(kind.weight_bits), channels)
        codes = data.ArrayLayout(unsigned(bits), channels)
        super().__init__({
            "weights": In(data.ArrayLayout(weights, filters)),
            "codes": In(data.ArrayLayout(codes, pixel_lanes)),
            "control": In(Control),
            "totals": Out(data.ArrayLayout(data.ArrayLayout(unsigned(accumulator_bits), filters), pixel_lanes)),
        })

    @property
    def depth(self) -> int:
        return self.parts[0].depth

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        bits = self._kind.weight_bits
        delays = dsp_lanes.operand_delays(packing_plan(self._dsp, WEIGHT_BITS, self._bits), self._channels)
        halves = []
        for number, stored in enumerate(self.weights):
            late = skewed(m, platform, f"weights_{number}", stored, bits, delays)
            for digit in range(0, bits, WEIGHT_BITS):
                halves.append([weight[digit : digit + WEIGHT_BITS] for weight in late])
        for pair, cell in enumerate(self.parts):
            m.submodules[f"cell_{pair}"] = place(platform, cell)
            m.d.comb += cell.control.eq(self.control)
            for port, half in zip(cell.weights, halves, strict=False):
                m.d.comb += [element.eq(weight) for element, weight in zip(port, half, strict=True)]
            for side, total in enumerate(cell.totals):
                m.d.comb += [cell.activations[side].eq(self.codes[2 * pair + side])]
                m.d.comb += [self.totals[2 * pair + side].eq(total)]
        return m


class LutRow(wiring.Component):
    """One filter lane in LUTs, by all pixel lanes.

    Parameters
    ----------
    kind: its class; Fixed-8 and Fixed-4 too, where there are no DSPs.

    Members
    -------
    weights: In, stored weights by channel, in cycle t.
    codes: In, by pixel lane, from cycle t + 1 on, delayed by `chains.channel_delays`.
    pairs: In, if the cells take them: sums of channel pairs by pixel lane, delayed by `chains.unit_delays`.
    step_sums: In, if the cells take them: the sum of each pixel lane's codes, in cycle t + depth − 2.
    control: In, cycle t + depth − 1.
    totals: Out, by pixel lane, as captured, from cycle t + depth + 2 on.
    """

    def __init__(
        self, kind: LaneClass, *, pixel_lanes: int, channels: int, bits: int, accumulator_bits: int
    ) -> None:
        self._kind = kind
        self.parts = [
            CELLS[kind](kind, channels=channels, bits=bits, accumulator_bits=accumulator_bits)
            for _ in range(pixel_lanes)
        ]
        self.module_name = module_name(
            "lut_row", kind.value, kind.weight_bits, channels, bits, accumulator_bits, pixel_lanes
        )
        cell = self.parts[0].signature.members
        every = {"codes": "codes", "pairs": "pairs", "step_sum": "step_sums"}
        super().__init__({
            "weights": In(data.ArrayLayout(unsigned(kind.weight_bits), channels)),
            **{
                plural: In(data.ArrayLayout(cell[name].shape, pixel_lanes))
                for name, plural in every.items() if name in cell
            },
            "control": In(Control),
            "totals": Out(data.ArrayLayout(unsigned(accumulator_bits), pixel_lanes)),
        })

    @property
    def depth(self) -> int:
        return self.parts[0].depth

    @property
    def chains(self) -> AdderChains:
        """When the cells add which channels."""
        return self.parts[0].chains

    def takes(self, member: str) -> bool:
        """Whether the row has a port that only some cells need, `pairs` or `step_sums`."""
        return member in self.signature.members

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        decoder = self.parts[0].decoder()
        if decoder is None:
            late = tuple(1 + cycles for cycles in self.chains.channel_delays)
            weights = skewed(m, platform, "weights_skew", self.weights, self._kind.weight_bits, late)
        else:
            m.submodules.decoder = place(platform, decoder)
            m.d.comb += decoder.codes.eq(self.weights)
            weights = decoder.weights
        for pixel, cell in enumerate(self.parts):
            m.submodules[f"cell_{pixel}"] = place(platform, cell)
            m.d.comb += [
                cell.control.eq(self.control),
                cell.codes.eq(self.codes[pixel]),
                cell.weights.eq(weights),
                self.totals[pixel].eq(cell.total),
            ]
            if self.takes("pairs"):
                m.d.comb += cell.pairs.eq(self.pairs[pixel])
            if decoder is not None:
                own = (name for name in decoder.signature.members if name not in ("codes", "weights"))
                m.d.comb += [getattr(cell, name).eq(getattr(decoder, name)) for name in own]
            if self.takes("step_sums"):
                m.d.comb += cell.step_sum.eq(self.step_sums[pixel])
        return m

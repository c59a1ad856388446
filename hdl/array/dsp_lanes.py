"""Filter lanes on packed multipliers: two half-lanes of 4-bit weights by two pixel lanes in every DSP48.

Channels run along cascades of as many DSPs as a field can sum; operands of the k-th DSP of a cascade come k cycles
after those of the first (see `operand_delays`), one of them by its second input register. The fields of all cascades
are then added in a pipelined tree. Fixed-4: the half-lanes are two filters. Fixed-8: they are the two digits of one.
"""

from amaranth.hdl import Cat, Const, Elaboratable, Module, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import Dsp, LaneClass
from ..modules import module_name, place
from .arithmetic import Accumulator, Control, Term, add_shifted, register, tree, tree_levels
from .dsp48 import MultiplyAdd
from .packing import WEIGHT_BITS, PackingPlan, packing_plan


def cascade_length(plan: PackingPlan, channels: int) -> int:
    """DSPs of a cascade: what a field can sum, at most all channels."""
    return min(plan.cascade, channels)


def operand_delays(plan: PackingPlan, channels: int) -> tuple[int, ...]:
    """Cycles by which each channel's operands must come later than those of channel 0."""
    return tuple(max(0, channel % cascade_length(plan, channels) - 1) for channel in range(channels))


class DspCell(wiring.Component):
    """One or two 4-bit filters, or one 8-bit filter, by one or two pixels, with their accumulators.

    Parameters
    ----------
    kind: LaneClass.FIXED4 or FIXED8.
    filters: filters on the two half-lanes, 1 or 2; 1 for Fixed-8.
    pixels: pixel lanes in use, 1 or 2.

    Members
    -------
    weights: In, low and high half-lane's 4-bit weights by channel, delayed by `operand_delays`.
    activations: In, the pixels' codes by channel, delayed likewise.
    control: In, `depth` − 1 cycles after the undelayed operands.
    totals: Out, [pixel][filter], as captured, from `depth` + 2 cycles after the operands on.
    """

    def __init__(
        self,
        dsp: Dsp,
        kind: LaneClass,
        *,
        channels: int,
        bits: int,
        accumulator_bits: int,
        filters: int = 2,
        pixels: int = 2,
    ) -> None:
        self._plan = packing_plan(dsp, WEIGHT_BITS, bits)
        self._kind = kind
        self._channels = channels
        self._accumulator_bits = accumulator_bits
        self._filters = filters
        self._pixels = pixels
        weights = data.ArrayLayout(unsigned(WEIGHT_BITS), channels)
        super().__init__({
            "weights": In(data.ArrayLayout(weights, 2)),
            "activations": In(data.ArrayLayout(data.ArrayLayout(unsigned(bits), channels), 2)),
            "control": In(Control),
            "totals": Out(data.ArrayLayout(data.ArrayLayout(unsigned(accumulator_bits), filters), pixels)),
        })

    @property
    def depth(self) -> int:
        """Cycles from undelayed operands to the sum of their products."""
        length = cascade_length(self._plan, self._channels)
        first = 3  # input, product and result registers of a cascade's first DSP
        return first + length - 1 + tree_levels(self._channels // length) + (self._kind is LaneClass.FIXED8)

    @property
    def module_name(self) -> str:
        plan = self._plan
        parameters = (plan.dsp.value, self._kind.value, self._channels, plan.activation_bits, self._accumulator_bits)
        return module_name("dsp_cell", *parameters, f"{self._filters}x{self._pixels}")

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        plan = self._plan
        length = cascade_length(plan, self._channels)
        results = [self._cascade(m, platform, first) for first in range(0, self._channels, length)]
        control = Accumulator.controls(m, self.control)

        def half_lane(half: int, pixel: int) -> Term:
            start = (2 * half + pixel) * plan.spacing
            fields = [
                Term(result[start : start + plan.spacing][: (length * plan.largest_product).bit_length()],
                     length * plan.largest_product)
                for result in results
            ]  # fmt: skip
            return tree(m, fields)

        for pixel in range(self._pixels):
            if self._kind is LaneClass.FIXED8:
                totals = [register(m, add_shifted(half_lane(0, pixel), half_lane(1, pixel), WEIGHT_BITS))]
            else:
                totals = [half_lane(half, pixel) for half in range(self._filters)]
            for port, total in zip(self.totals[pixel], totals, strict=True):
                m.d.comb += port.eq(control.accumulate(m, total.value, self._accumulator_bits))
        return m

    def _cascade(self, m: Module, platform: object, first: int) -> Value:
        """Multipliers of the channels from `first` on; returns the last one's result."""
        plan = self._plan
        previous = None
        for position in range(cascade_length(plan, self._channels)):
            channel = first + position
            multiplier = MultiplyAdd(
                plan.dsp,
                a_bits=plan.a_bits,
                b_bits=plan.b_bits,
                add="pcin" if position else None,
                input_registers=2 if position else 1,
                p_bits=plan.result_bits,
            )
            m.submodules[f"dsp_{channel}"] = place(platform, multiplier)
            low, high = (self.weights[half][channel] for half in range(2))
            left, right = (self.activations[pixel][channel] for pixel in range(2))
            m.d.comb += [
                multiplier.a.eq(Cat(low, Const(0, 2 * plan.spacing - len(low)), high)),
                multiplier.b.eq(Cat(left, Const(0, plan.spacing - len(left)), right)),
            ]
            if previous is not None:
                m.d.comb += multiplier.pcin.eq(previous.pcout)
            previous = multiplier
        return multiplier.p.as_unsigned()

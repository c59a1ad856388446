"""Weights of a LUT filter lane, decoded once for all its pixel lanes, and the timing that its cells expect.

A cell adds the operands of its *units* in chains: a unit is a pair of channels for fixed point, one channel for SP2 and PoT. A chain
takes `CHAIN` units, `ADDITIONS` a cycle, so the operands of later units must come later: `unit_delays`. Chains of SP2 and PoT start
from a constant of the filter, so their first cycle takes one unit less than that of a chain that starts from a unit.
"""

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import LaneClass
from ..modules import module_name
from .arithmetic import Term, add, delay, register, tree

CHAIN = 8
ADDITIONS = 2


def chains(lane: LaneClass, channels: int) -> list[list[list[int]]]:
    """Units by chain and by cycle of the chain."""
    fixed = lane not in (LaneClass.LUT_SP2, LaneClass.LUT_POT)
    units = channels // 2 if fixed else channels
    result = []
    for start in range(0, units, CHAIN):
        chain = list(range(start, min(start + CHAIN, units)))
        first = ADDITIONS + 1 if fixed else ADDITIONS
        cuts = [chain[:first], *(chain[i : i + ADDITIONS] for i in range(first, len(chain), ADDITIONS))]
        result.append(cuts)
    return result


def chain_cycles(lane: LaneClass, channels: int) -> int:
    """Cycles of a chain."""
    return len(chains(lane, channels)[0])


def unit_delays(lane: LaneClass, channels: int) -> tuple[int, ...]:
    """Cycles by which each unit's operands come later than those of unit 0."""
    delays = {
        unit: cycle for chain in chains(lane, channels) for cycle, units in enumerate(chain) for unit in units
    }
    return tuple(delays[unit] for unit in range(len(delays)))


def channel_delays(lane: LaneClass, channels: int) -> tuple[int, ...]:
    """The same for each channel."""
    delays = unit_delays(lane, channels)
    return tuple(delays[channel * len(delays) // channels] for channel in range(channels))


def sum_bits(channels: int, bits: int) -> int:
    """Bits of the largest sum of a step, Σ 16 · q: SP2 sums are computed modulo two to this."""
    return (16 * channels * ((1 << bits) - 1)).bit_length()


class Sp2Weight(data.Struct):
    """A decoded SP2 weight: ± (low · q + high · 4q), low of {0, 1, 2}, high of {0, 1, 2}."""

    one: unsigned(1)
    two: unsigned(1)
    four: unsigned(1)
    eight: unsigned(1)
    negative: unsigned(1)


class PotWeight(data.Struct):
    """A decoded PoT weight: ± q · 2^(shift + 4 · far), or zero."""

    shift: unsigned(2)
    far: unsigned(1)
    nonzero: unsigned(1)
    negative: unsigned(1)


class LutWeights(wiring.Component):
    """Decodes a filter's stored weights.

    Negative products are added as bitwise complements, 2^n − 1 too large for n-bit operands; what that comes to depends only
    on the signs, so it is counted here. SP2: a negative weight owes 1 − 2^n to each of two chains, of weight 1 and 4. The
    chain of weight 1 starts from `negatives[chain]`, so that 5 · 2^n a weight remain, which the chain of weight 4 starts from. PoT:
    chains start from `negatives[chain]`, and the cells subtract 2^n · `negative`, the count of the whole filter.

    Parameters
    ----------
    lane: LaneClass.LUT_SP2 or LUT_POT. (Fixed-point weights need no decoder, only a `Skew`.)

    Members
    -------
    codes: In, stored weights in cycle t.
    weights: Out, decoded, in cycle t + 1 plus the channel's delay.
    negatives: Out, negative weights by chain, in cycle t + 1.
    corrections: Out, SP2: what the upper chains start from, modulo 2^(sum_bits − 2), in cycle t + 1.
    negative: Out, PoT: negative weights of the word, when the cells have added their chains.
    """

    def __init__(self, lane: LaneClass, *, channels: int, bits: int) -> None:
        self._lane = lane
        self._channels = channels
        self._bits = bits
        self._chains = chains(lane, channels)
        count = unsigned(min(CHAIN, channels).bit_length())
        members = {
            "codes": In(data.ArrayLayout(unsigned(4), channels)),
            "weights": Out(data.ArrayLayout(Sp2Weight if lane is LaneClass.LUT_SP2 else PotWeight, channels)),
            "negatives": Out(data.ArrayLayout(count, len(self._chains))),
        }
        if lane is LaneClass.LUT_SP2:
            members["corrections"] = Out(
                data.ArrayLayout(unsigned(sum_bits(channels, bits) - 2), len(self._chains))
            )
        else:
            members["negative"] = Out(unsigned(channels.bit_length()))
        super().__init__(members)

    @property
    def module_name(self) -> str:
        return module_name("weights", self._lane.value, self._channels, self._bits)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        decode = self._decode_sp2 if self._lane is LaneClass.LUT_SP2 else self._decode_pot
        for port, code, cycles in zip(
            self.weights, self.codes, channel_delays(self._lane, self._channels), strict=True
        ):
            m.d.comb += port.as_value().eq(delay(m, decode(code), 1 + cycles))
        counts = []
        for index, chain in enumerate(self._chains):
            signs = [Term(self.codes[channel][3], 1) for cycle in chain for channel in cycle]
            while len(signs) > 1:
                pairs = zip(signs[::2], signs[1::2], strict=True)
                signs = [add(left, right) for left, right in pairs]
            count = register(m, signs[0])
            counts.append(count)
            m.d.comb += self.negatives[index].eq(count.value)
            if self._lane is LaneClass.LUT_SP2:
                correction = Signal(self.corrections[index].shape(), reset_less=True)
                m.d.sync += correction.eq(signs[0].value * self._sp2_constant)
                m.d.comb += self.corrections[index].eq(correction)
        if self._lane is LaneClass.LUT_POT:
            total = tree(m, counts)
            m.d.comb += self.negative.eq(delay(m, total.value, chain_cycles(self._lane, self._channels)))
        return m

    @property
    def _sp2_constant(self) -> int:
        # Lower operands owe 1 − 2^n each, upper ones 4 · (1 − 2^n), n = A + 1. Less the 1 of `negatives`, in units of 4:
        return (4 - 5 * (1 << (self._bits + 1))) // 4

    @staticmethod
    def _decode_sp2(code: Value) -> Value:
        magnitude = code[:3]
        return Cat(
            code[:2] == 1, code[:2] == 2, (magnitude >= 3) & (magnitude != 7), magnitude == 7, code[3]
        )

    @staticmethod
    def _decode_pot(code: Value) -> Value:
        nonzero = code[:3].any()
        exponent = Mux(nonzero, code[:3] - 1, 0)[:3]
        return Cat(exponent, nonzero, code[3])

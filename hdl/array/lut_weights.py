"""Weights of a LUT filter lane, decoded once for all its pixel lanes, and the timing that its cells expect.

A cell adds the operands of its *units* in chains: a unit is a pair of channels for fixed point, one channel for SP2 and
PoT. A chain takes `CHAIN` units, `ADDITIONS` a cycle, so the operands of later units must come later: `unit_delays`.
Chains of SP2 and PoT start from a count of the filter; others from a unit, taking one more in the first cycle.
"""

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import LaneClass
from ..modules import module_name
from .arithmetic import Term, count_ones, delay, register, tree

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


def shifting_cycles(lane: LaneClass) -> int:
    """Cycles between a cell's codes and its chains: PoT cells shift them first."""
    return int(lane is LaneClass.LUT_POT)


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


def product_bits(lane: LaneClass, bits: int) -> int:
    """n, bits of the operands that chains add: of 2q for SP2 (low and high part alike), of 64q for PoT."""
    return bits + (1 if lane is LaneClass.LUT_SP2 else 6)


def sum_bits(lane: LaneClass, channels: int, bits: int) -> int:
    """Bits of the sum of a step: SP2, unsigned, Σ 16 · q at most; PoT, signed, ± Σ 64 · q."""
    largest = channels * ((1 << bits) - 1)
    return (16 * largest).bit_length() if lane is LaneClass.LUT_SP2 else (64 * largest).bit_length() + 1


CORRECTION_FACTOR = {LaneClass.LUT_SP2: 5, LaneClass.LUT_POT: 1}
"""Multiples of 2^n that a negative weight adds too much: SP2's low part one, its high part, of weight 4, four."""


def correction_bits(lane: LaneClass, channels: int, bits: int) -> int:
    """Bits of a step's sum from 2^n up."""
    return sum_bits(lane, channels, bits) - product_bits(lane, bits)


def negatives_layout(lane: LaneClass, channels: int) -> data.ArrayLayout:
    """Counts of negative weights by chain."""
    return data.ArrayLayout(unsigned(min(CHAIN, channels).bit_length()), len(chains(lane, channels)))


class Sp2Weight(data.Struct):
    """A decoded SP2 weight: ± (low · q + high · 4q), where 3 means 0 like 0."""

    low: unsigned(2)
    high: unsigned(2)
    negative: unsigned(1)


class PotWeight(data.Struct):
    """A decoded PoT weight: ± q · 2^(shift + 4 · far), or zero."""

    shift: unsigned(2)
    far: unsigned(1)
    nonzero: unsigned(1)
    negative: unsigned(1)


class LutWeights(wiring.Component):
    """Decodes a filter's stored weights.

    Negative products are added as bitwise complements of n bits, 2^n − 1 too large. That depends only on the signs, so
    it is counted here: chains start from `negatives`; the multiples of 2^n left are subtracted once, as `correction`.

    Parameters
    ----------
    lane: LaneClass.LUT_SP2 or LUT_POT. (Fixed-point weights need no decoder, only a `Skew`.)

    Members
    -------
    codes: In, stored weights in cycle t.
    weights: Out, decoded, in cycle t + 1 plus the channel's delay; of PoT weights only `shift`, the rest a cycle later.
    negatives: Out, negative weights by chain, when the chains begin.
    correction: Out, `correction_factor` times the negative weights of the word, modulo its width, when the cells have
        added their chains.
    """

    def __init__(self, lane: LaneClass, *, channels: int, bits: int) -> None:
        self._lane = lane
        self._channels = channels
        self._chains = chains(lane, channels)
        self._bits = bits
        super().__init__({
            "codes": In(data.ArrayLayout(unsigned(4), channels)),
            "weights": Out(data.ArrayLayout(Sp2Weight if lane is LaneClass.LUT_SP2 else PotWeight, channels)),
            "negatives": Out(negatives_layout(lane, channels)),
            "correction": Out(correction_bits(lane, channels, bits)),
        })

    @property
    def module_name(self) -> str:
        return module_name("weights", self._lane.value, self._channels, self._bits)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        decode = self._decode_sp2 if self._lane is LaneClass.LUT_SP2 else self._decode_pot
        delays = channel_delays(self._lane, self._channels)
        for port, code, cycles in zip(self.weights, self.codes, delays, strict=True):
            if self._lane is LaneClass.LUT_POT:
                m.d.comb += port.shift.eq(delay(m, decode(code)[:2], 1 + cycles))
                m.d.comb += port.as_value()[2:].eq(delay(m, decode(code)[2:], 2 + cycles))
            else:
                m.d.comb += port.as_value().eq(delay(m, decode(code), 1 + cycles))
        counts = []
        for port, chain in zip(self.negatives, self._chains, strict=True):
            signs = [self.codes[channel][3] for cycle in chain for channel in cycle]
            counts.append(register(m, Term(Cat(count_ones(signs)), len(signs))))
            m.d.comb += port.eq(delay(m, counts[-1].value, shifting_cycles(self._lane)))
        later = chain_cycles(self._lane, self._channels) + shifting_cycles(self._lane) - 1
        total = delay(m, tree(m, counts).value, later)
        correction = Signal(self.correction.shape(), reset_less=True)
        m.d.sync += correction.eq(total * CORRECTION_FACTOR[self._lane])
        m.d.comb += self.correction.eq(correction)
        return m

    @staticmethod
    def _decode_sp2(code: Value) -> Value:
        magnitude = code[:3]
        return Cat(code[:2], (magnitude >= 3) & (magnitude != 7), magnitude == 7, code[3])

    @staticmethod
    def _decode_pot(code: Value) -> Value:
        nonzero = code[:3].any()
        exponent = Mux(nonzero, code[:3] - 1, 0)[:3]
        return Cat(exponent, nonzero, code[3])

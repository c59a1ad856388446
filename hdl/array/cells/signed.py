"""Cells whose products are complemented when negative, and the decoder of their weights.

A negative product is added as a bitwise complement of n bits, 2^n − 1 too large. That depends only on the signs, so it
is counted once for all pixel lanes, in the decoder: chains start from `negatives`, and the multiples of 2^n that are
left are subtracted once a step, as `correction`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...lane_classes import LaneClass
from ...modules import module_name
from ..arithmetic import Term, count_ones, delay, register, tree
from .cell import LutCell
from .chains import CHAIN, AdderChains


@dataclass(frozen=True, kw_only=True)
class SignedForm:
    """What a signed cell and its decoder agree on; the top bit of a stored weight is its sign.

    Parameters
    ----------
    weight: shape of a decoded weight, with a field `negative` of 1 bit.
    decode: the decoded weight of a stored one, as a value of its bits.
    late_from: bits of a decoded weight from this one on come a cycle later, because the cell uses them a cycle after
        the others; 0: all come at once. The chains then begin a cycle later.
    product_bits: n, bits of the operands that chains add.
    sum_bits: of the sum of a step.
    correction_factor: multiples of 2^n that a negative weight adds too much.
    """

    lane: LaneClass
    chains: AdderChains
    weight: Any
    decode: Callable[[Value], Value]
    late_from: int = 0
    product_bits: int
    sum_bits: int
    correction_factor: int = 1

    @property
    def lead(self) -> int:
        """Cycles between a cell's codes and its chains."""
        return int(self.late_from > 0)

    @property
    def correction_bits(self) -> int:
        """Bits of a step's sum from 2^n up."""
        return self.sum_bits - self.product_bits

    @property
    def negatives(self) -> data.ArrayLayout:
        """Counts of negative weights by chain."""
        return data.ArrayLayout(unsigned(min(CHAIN, self.chains.channels).bit_length()), len(self.chains.units))


class SignedCell(LutCell):
    """A cell of signed products.

    Members, beyond those of all cells
    -------
    negatives, correction: In, of `SignedWeights`.
    """

    def __init__(self, form: SignedForm, members: dict, *, bits: int, accumulator_bits: int) -> None:
        self._form = form
        own = {"negatives": In(form.negatives), "correction": In(form.correction_bits)}
        super().__init__(
            form.lane, form.weight, {**own, **members}, chains=form.chains, bits=bits, accumulator_bits=accumulator_bits
        )

    @property
    def _lead(self) -> int:
        return self._form.lead

    def decoder(self) -> "SignedWeights":
        return SignedWeights(self._form, bits=self._bits)

    def _products(self, m: Module, magnitude: Callable[[int], Value]) -> Term:
        """Σ of the magnitudes, complemented where the weight is negative, plus `negatives`."""
        bits = self._form.product_bits

        def complemented(channel: int) -> Value:
            return magnitude(channel) ^ self.weights[channel].negative.replicate(bits)

        return self._chain_sum(m, complemented, bits=bits, unit_maximum=(1 << bits) - 1, starts=list(self.negatives))

    def _corrected(self, total: Term) -> Value:
        """The total without the multiples of 2^n that complements added, modulo 2^`sum_bits`."""
        cut = self._form.product_bits
        return Cat(total.value[:cut], (total.value[cut:] - self.correction)[: self._form.correction_bits])


class SignedWeights(wiring.Component):
    """Decodes a filter's stored weights for its signed cells.

    Members
    -------
    codes: In, stored weights in cycle t.
    weights: Out, decoded, in cycle t + 1 plus the channel's delay; their bits from `late_from` on a cycle later.
    negatives: Out, negative weights by chain, when the chains begin.
    correction: Out, `correction_factor` times the negative weights of the word, modulo its width, when the cells have
        added their chains.
    """

    def __init__(self, form: SignedForm, *, bits: int) -> None:
        self._form = form
        self._bits = bits
        channels = form.chains.channels
        super().__init__({
            "codes": In(data.ArrayLayout(unsigned(form.lane.weight_bits), channels)),
            "weights": Out(data.ArrayLayout(form.weight, channels)),
            "negatives": Out(form.negatives),
            "correction": Out(form.correction_bits),
        })

    @property
    def module_name(self) -> str:
        return module_name("weights", self._form.lane.value, self._form.chains.channels, self._bits)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        form = self._form
        for port, code, cycles in zip(self.weights, self.codes, form.chains.channel_delays, strict=True):
            early, late = port.as_value()[: form.late_from], port.as_value()[form.late_from :]
            if form.late_from:
                m.d.comb += early.eq(delay(m, form.decode(code)[: form.late_from], 1 + cycles))
            m.d.comb += late.eq(delay(m, form.decode(code)[form.late_from :], 1 + form.lead + cycles))
        counts = []
        for port, chain in zip(self.negatives, form.chains.units, strict=True):
            signs = [self.codes[channel][-1] for cycle in chain for channel in cycle]
            counts.append(register(m, Term(Cat(count_ones(signs)), len(signs))))
            m.d.comb += port.eq(delay(m, counts[-1].value, form.lead))
        total = delay(m, tree(m, counts).value, form.chains.cycles + form.lead - 1)
        correction = Signal(self.correction.shape(), reset_less=True)
        m.d.sync += correction.eq(total * form.correction_factor)
        m.d.comb += self.correction.eq(correction)
        return m

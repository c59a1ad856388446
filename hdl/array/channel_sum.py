"""What a pixel lane computes for all its filters: sums of channel pairs, and Σq."""

from amaranth.hdl import Elaboratable, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..modules import module_name
from .arithmetic import Accumulator, Control, Term, add, delay, register, tree, tree_levels


class ChannelSum(wiring.Component):
    """Sums over the channels of one pixel lane.

    Parameters
    ----------
    channels: Ti.
    bits: A.
    accumulator_bits: width of Σq.

    Members
    -------
    activations: In, the lane's word, in cycle t.
    control, count: In, for Σq, in cycle t + depth − 1; a step without `count` adds 0 (and clears, shifts, ends).
    codes, pairs: Out, in cycle t + 1: the word's codes, and the sums of channels 2i and 2i + 1.
    step_sum: Out, in cycle t + depth: the sum of the word's codes.
    total: Out: Σq as captured, from cycle t + depth + 2 on.
    """

    def __init__(self, *, channels: int, bits: int, accumulator_bits: int) -> None:
        self._channels = channels
        self._bits = bits
        self._accumulator_bits = accumulator_bits
        codes = data.ArrayLayout(unsigned(bits), channels)
        super().__init__({
            "activations": In(codes),
            "control": In(Control),
            "count": In(1),
            "codes": Out(codes),
            "pairs": Out(data.ArrayLayout(unsigned(bits + 1), channels // 2)),
            "step_sum": Out(unsigned((channels * ((1 << bits) - 1)).bit_length())),
            "total": Out(accumulator_bits),
        })

    @property
    def depth(self) -> int:
        """Cycles from a word to its `step_sum`."""
        return 1 + tree_levels(self._channels // 2)

    @property
    def module_name(self) -> str:
        return module_name("channel_sum", self._channels, self._bits, self._accumulator_bits)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        largest = (1 << self._bits) - 1
        terms = [Term(code, largest) for code in self.activations]
        pairs = [register(m, add(terms[i], terms[i + 1])) for i in range(0, self._channels, 2)]
        m.d.comb += [
            *(port.eq(pair.value) for port, pair in zip(self.pairs, pairs, strict=True)),
            *(port.eq(delay(m, code, 1)) for port, code in zip(self.codes, self.activations, strict=True)),
        ]
        step_sum = tree(m, pairs).value
        m.d.comb += self.step_sum.eq(step_sum)

        count = Signal(attrs={"keep": "TRUE"})
        m.d.sync += count.eq(self.count)
        counted = step_sum & count.replicate(len(step_sum))
        m.d.comb += self.total.eq(
            Accumulator.controls(m, self.control).accumulate(m, counted, self._accumulator_bits)
        )
        return m

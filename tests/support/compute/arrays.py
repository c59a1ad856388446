"""A behavioural array with any latency: the contract of `interfaces.array_signature` at its least favourable."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring

from intramix.hdl.encoding import weight_of
from intramix.hdl.geometry import Geometry, LaneClass
from intramix.hdl.interfaces import array_signature


class BehaviouralArray(wiring.Component):
    """Results are wrong before `captured` and from HOLD cycles after the next group's last step on."""

    def __init__(self, geometry: Geometry, *, latency: int, hold: int) -> None:
        assert 1 <= hold <= latency
        self._geometry = geometry
        self.LATENCY = latency
        self.HOLD = hold
        super().__init__(array_signature(geometry).flip())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        bits = g.accumulator_bits
        last = Signal(self.LATENCY)
        m.d.sync += last.eq(self.step.last & self.step.valid | last << 1)
        m.d.comb += self.captured.eq(last[-1])

        def accumulate(name: str, amount: object, result: object) -> None:
            total = Signal(bits, name=name)
            before = Signal(bits, name=f"{name}_before")
            with m.If(self.step.clear):
                m.d.comb += before.eq(0)
            with m.Elif(self.step.shift):
                m.d.comb += before.eq(total << 4)
            with m.Else():
                m.d.comb += before.eq(total)
            with m.If(self.step.valid):
                m.d.sync += total.eq(before + amount)
            # Finished totals travel with `last`.
            value = Signal(bits, name=f"{name}_0")
            with m.If(last[0]):
                m.d.comb += value.eq(total)
            for stage in range(1, self.LATENCY):
                following = Signal(bits, name=f"{name}_{stage}")
                m.d.sync += following.eq(value)
                value = following
            spoiled = Signal(init=1, name=f"{name}_spoiled")
            kept = Signal(bits, name=f"{name}_kept")
            m.d.sync += kept.eq(result)
            with m.If(last[-1]):
                m.d.comb += result.eq(value)
                m.d.sync += spoiled.eq(0)
            with m.Elif(spoiled | last[self.HOLD - 1]):
                m.d.comb += result.eq(~kept)
                m.d.sync += spoiled.eq(1)
            with m.Else():
                m.d.comb += result.eq(kept)

        for p in range(g.pixel_lanes):
            words = self.activations[p]
            position = 0
            for f, lane in enumerate(g.lanes):
                products = []
                for c in range(g.word_channels):
                    code = self.weights[position : position + lane.weight_bits]
                    position += lane.weight_bits
                    weight = Signal(signed(9), name=f"w_{p}_{f}_{c}")
                    if lane in (LaneClass.LUT_SP2, LaneClass.LUT_POT):
                        offset = 8 if lane is LaneClass.LUT_SP2 else 0
                        with m.Switch(code):
                            for value in range(16):
                                with m.Case(value):
                                    m.d.comb += weight.eq(weight_of(lane, value) + offset)
                    else:
                        m.d.comb += weight.eq(code)
                    products.append(weight * words[c])
                accumulate(f"a_{p}_{f}", sum(products), self.accumulators[p][f])
            counted = sum(words[c] & self.step.count.replicate(8) for c in range(g.word_channels))
            accumulate(f"s_{p}", counted, self.sums[p])
        return m

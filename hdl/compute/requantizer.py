"""The requantizer: from an accumulator to an output code."""

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..array.dsp48 import Addend, MultiplyAdd
from ..geometry import Geometry
from ..modules import module_name
from .clip import shift_and_clip
from .layouts import constant_layout
from .pipeline import delay

_MULTIPLIER_LAG = 1
"""The product with M runs one cycle behind the product with R, whose sum it takes over the cascade."""


class Requantizer(wiring.Component):
    """y = clip((a·M + r·R + B) >> S, 0, maximum), a = acc − {0, 8, 128}[offset]·Σq in accumulator_bits, signed.

    docs/numbers.md. One result a cycle, `LATENCY` cycles after its operands; exact for all operands (the sum fits
    the 48 bits of a DSP). Two multipliers: r·R + B, and a·M on top of it, through the cascade or, where r·R + B is
    logic, through port C. Offset code 3, which no program has, subtracts 128·Σq.

    Parameters
    ----------
    logic_addend: r·R + B is computed in logic, which saves a DSP and costs about 260 LUTs.

    Members
    -------
    accumulator, sum: In, modulo 2^accumulator_bits.
    constants: In, `layouts.constant_layout()`.
    residual: In, r, 8 bits.
    residual_scale: In, R, signed.
    shift, maximum: In, of the operands of `SHIFT_LAG` cycles before; shift is at most 47.
    code: Out, 8 bits.
    """

    LATENCY = 8
    SHIFT_LAG = 4

    def __init__(self, geometry: Geometry, *, logic_addend: bool = False) -> None:
        self._geometry = geometry
        self._logic_addend = logic_addend
        super().__init__({
            "accumulator": In(unsigned(geometry.accumulator_bits)),
            "sum": In(unsigned(geometry.accumulator_bits)),
            "constants": In(constant_layout()),
            "residual": In(8),
            "residual_scale": In(signed(18)),
            "shift": In(6),
            "maximum": In(8),
            "code": Out(8),
        })

    @property
    def module_name(self) -> str:
        kind = ["logic_addend"] if self._logic_addend else []
        return module_name("requantizer", self._geometry.dsp.value, self._geometry.accumulator_bits, *kind)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        constants = self.constants

        # Cycle 0: the weights' offset is paid back, while r·R + B begins.
        owed = Signal(g.accumulator_bits)
        with m.If(constants.offset[1]):
            m.d.comb += owed.eq(self.sum << 7)
        with m.Elif(constants.offset[0]):
            m.d.comb += owed.eq(self.sum << 3)
        a = Signal(signed(g.accumulator_bits), reset_less=True)
        m.d.sync += a.eq(self.accumulator - owed)

        # Cycles 1 … 3: a·M on top of it.
        add: Addend = "c" if self._logic_addend else "pcin"
        m.submodules.product = product = MultiplyAdd(g.dsp, a_bits=g.accumulator_bits, b_bits=18, add=add)
        m.d.comb += [
            product.a.eq(a),
            product.b.eq(delay(m, constants.multiplier, _MULTIPLIER_LAG, name="multiplier")),
        ]
        if self._logic_addend:
            m.d.comb += product.c.eq(self._addend_in_logic(m, _MULTIPLIER_LAG + product.c_lag))
        else:
            m.submodules.addend = addend = MultiplyAdd(g.dsp, a_bits=9, b_bits=18, add="c", c_bits=44)
            m.d.comb += [
                addend.a.eq(self.residual),
                addend.b.eq(self.residual_scale),
                addend.c.eq(delay(m, constants.bias, addend.c_lag, name="bias")),
                product.pcin.eq(addend.pcout),
            ]
        assert _MULTIPLIER_LAG + product.latency == self.SHIFT_LAG

        # Cycles 4 … 7.
        m.d.comb += self.code.eq(shift_and_clip(m, product.p, shift=self.shift, maximum=self.maximum))
        return m

    def _addend_in_logic(self, m: Module, cycles: int) -> Value:
        """r·R + B, `cycles` (2 at least) after its operands. Adders, because synthesis would make `*` a DSP."""
        residual = delay(m, self.residual, cycles - 2, name="residual")
        scale = delay(m, self.residual_scale, cycles - 2, name="residual_scale")
        quarters = []  # r's bits two by two
        for low in range(0, len(residual), 2):
            quarter = Signal(signed(len(scale) + 2), name=f"residual_product_{low}", reset_less=True)
            once, twice = (Mux(residual[low + bit], scale << bit, 0) for bit in range(2))
            m.d.sync += quarter.eq(once + twice)
            quarters.append(quarter << low)
        product = Signal(signed(len(scale) + len(residual)), name="residual_product", reset_less=True)
        m.d.sync += product.eq((quarters[0] + quarters[1]) + (quarters[2] + quarters[3]))
        return product + delay(m, self.constants.bias, cycles, name="bias")

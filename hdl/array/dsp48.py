"""One DSP48 as a pipelined multiply-add, for the array's packed multipliers and for the requantizers.

How the primitive is chosen: `elaborate(platform)` gives adders when the technology is `Dsp.NONE`; otherwise a
behavioural model when `platform` is None (Amaranth's own simulator), and an instance of DSP48E1 or DSP48E2 for any
other platform, which includes the `ModuleLibrary` of `hdl.modules` with which Verilog is generated. Simulators of that
Verilog add `PRIMITIVES_PATH`.
"""

from pathlib import Path
from typing import Any, Literal

from amaranth.hdl import ClockSignal, Const, Elaboratable, Instance, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..geometry import Dsp
from ..modules import module_name

PRIMITIVES_PATH = Path(__file__).with_name("primitives.v")
"""Verilog models of DSP48E1 and DSP48E2, exact for the modes that `MultiplyAdd` uses; every other mode is fatal."""

P_BITS = 48
B_PORT_BITS = 18
_A_PORT_BITS = {Dsp.DSP48E1: 25, Dsp.DSP48E2: 27, Dsp.NONE: 25}
_Z_OPERAND = {None: 0b000, "pcin": 0b001, "c": 0b011}

Addend = Literal["c", "pcin"]


def a_port_bits(dsp: Dsp) -> int:
    """Bits of the multiplier's wider signed input."""
    return _A_PORT_BITS[dsp]


class MultiplyAdd(wiring.Component):
    """p = a · b, a · b + c or a · b + pcin; signed, one result a cycle, always clocked, never reset.

    Operands `a` and `b` of cycle t give `p` in cycle t + `latency`. `c` belongs to the operands of `c_lag` cycles
    before it. `pcin` is another MultiplyAdd's `pcout`: its p must be valid in cycle t + latency − 1, so its operands
    come one cycle earlier where both have equally many input registers, in the same cycle where this one has one more.

    Parameters
    ----------
    dsp: technology; Dsp.NONE is plain logic that stays out of DSPs.
    a_bits, b_bits, c_bits: widths of the signed operands; at most the primitive's (25 or 27, 18, 48).
    add: the addend, or None.
    input_registers: 1 or 2 registers on a and b.
    p_bits: low bits of the 48-bit result that are wanted.

    Members
    -------
    a, b: In, signed.
    c: In, signed, with add="c".
    pcin: In, 48 bits, with add="pcin".
    p: Out, signed, p_bits.
    pcout: Out, 48 bits: the result for another one's pcin.

    Raises
    ------
    TypeError: `dsp` is no Dsp or `add` unknown.
    ValueError: a width or a register count that the primitive does not have.
    """

    def __init__(
        self,
        dsp: Dsp,
        *,
        a_bits: int,
        b_bits: int,
        add: Addend | None = None,
        c_bits: int = P_BITS,
        input_registers: int = 1,
        p_bits: int = P_BITS,
    ) -> None:
        if not isinstance(dsp, Dsp):
            raise TypeError(f"dsp must be a Dsp, not {dsp!r}")
        if add not in _Z_OPERAND:
            raise TypeError(f"add must be None, 'c' or 'pcin', not {add!r}")
        for name, bits, most in (
            ("a_bits", a_bits, a_port_bits(dsp)),
            ("b_bits", b_bits, B_PORT_BITS),
            ("c_bits", c_bits, P_BITS),
            ("p_bits", p_bits, P_BITS),
            ("input_registers", input_registers, 2),
        ):
            if not 1 <= bits <= most:
                raise ValueError(f"{name} must be 1 … {most} for {dsp.value}, not {bits!r}")
        self._dsp = dsp
        self._add = add
        self._input_registers = input_registers
        members: dict[str, Any] = {"a": In(signed(a_bits)), "b": In(signed(b_bits))}
        if add == "c":
            members["c"] = In(signed(c_bits))
        elif add == "pcin":
            members["pcin"] = In(unsigned(P_BITS))
        super().__init__({**members, "p": Out(signed(p_bits)), "pcout": Out(unsigned(P_BITS))})

    @property
    def module_name(self) -> str:
        widths = [len(port) for port in (self.a, self.b, self.p)]
        c_bits = len(self.c) if self._add == "c" else 0
        return module_name("multiply_add", self._dsp.value, *widths, self._add or "", c_bits, self._input_registers)

    @property
    def latency(self) -> int:
        """Cycles from `a` and `b` to `p`: the input registers, the product's register and the sum's."""
        return self._input_registers + 2

    @property
    def c_lag(self) -> int:
        """Cycles by which `c` comes after its `a` and `b`."""
        return self._input_registers

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        if self._dsp is Dsp.NONE:
            self._logic(m)
        elif platform is None:
            self._model(m)
        else:
            self._instance(m)
        return m

    def _model(self, m: Module) -> None:
        a, b = self._registered(m, self._input_registers)
        product = Signal(signed(len(self.a) + len(self.b)), reset_less=True)
        m.d.sync += product.eq(a * b)
        self._total(m, product)

    def _logic(self, m: Module) -> None:
        """Three levels of adders: of two bits of b, of three such sums, of those; one of everything is too long."""
        a, b = self._registered(m, self._input_registers - 1)
        pairs = []
        for low in range(0, len(b), 2):
            pair = Signal(signed(len(a) + 2), name=f"pair_{low}", reset_less=True)
            once, *twice = (Mux(bit, a << place, 0) for place, bit in enumerate(b[low : low + 2]))
            terms = [once, *twice]
            signed_term = -terms.pop() if low + 2 >= len(b) else 0  # the highest bit of b counts negatively
            m.d.sync += pair.eq(sum(terms, signed_term))
            pairs.append(pair)
        product: Value = Const(0)
        for start in range(0, len(pairs), 3):
            some = Signal(signed(len(a) + 7), name=f"pairs_{start}", reset_less=True)
            m.d.sync += some.eq(sum(pair << 2 * place for place, pair in enumerate(pairs[start : start + 3])))
            product = product + (some << 2 * start)
        self._total(m, product)

    def _registered(self, m: Module, registers: int) -> tuple[Value, Value]:
        """a and b, so many cycles later."""
        a, b = self.a, self.b
        for stage in range(registers):
            a_register = Signal(self.a.shape(), reset_less=True, name=f"a_register_{stage}")
            b_register = Signal(self.b.shape(), reset_less=True, name=f"b_register_{stage}")
            m.d.sync += [a_register.eq(a), b_register.eq(b)]
            a, b = a_register, b_register
        return a, b

    def _total(self, m: Module, product: Value) -> None:
        total = Signal(signed(P_BITS), reset_less=True)
        if self._add == "c":
            c_register = Signal(self.c.shape(), reset_less=True)
            m.d.sync += [c_register.eq(self.c), total.eq(product + c_register)]
        elif self._add == "pcin":
            m.d.sync += total.eq(product + self.pcin.as_signed())
        else:
            m.d.sync += total.eq(product)
        m.d.comb += [self.p.eq(total), self.pcout.eq(total)]

    def _instance(self, m: Module) -> None:
        registers = self._input_registers
        wide = self._dsp is Dsp.DSP48E2
        a = Signal(signed(30))
        b = Signal(signed(B_PORT_BITS))
        c = Signal(signed(P_BITS))
        p = Signal(P_BITS)
        m.d.comb += [a.eq(self.a), b.eq(self.b), self.p.eq(p)]
        if self._add == "c":
            m.d.comb += c.eq(self.c)
        parameters: dict[str, Any] = {
            "ACASCREG": registers, "ADREG": 1, "ALUMODEREG": 0, "AREG": registers, "AUTORESET_PATDET": "NO_RESET",
            "A_INPUT": "DIRECT", "BCASCREG": registers, "BREG": registers, "B_INPUT": "DIRECT", "CARRYINREG": 0,
            "CARRYINSELREG": 0, "CREG": 1, "DREG": 1, "INMODEREG": 0, "MREG": 1, "OPMODEREG": 0, "PREG": 1,
            "SEL_MASK": "MASK", "SEL_PATTERN": "PATTERN", "USE_MULT": "MULTIPLY", "USE_PATTERN_DETECT": "NO_PATDET",
            "USE_SIMD": "ONE48",
        }  # fmt: skip
        if wide:
            parameters |= {"AMULTSEL": "A", "BMULTSEL": "B", "PREADDINSEL": "A", "USE_WIDEXOR": "FALSE"}
        else:
            parameters |= {"USE_DPORT": "FALSE"}
        # Inputs of a cascade that is not used stay open: placers take a connected one for a link of a chain.
        inputs: dict[str, Any] = {
            "A": a, "ALUMODE": Const(0, 4), "B": b, "C": c, "CARRYIN": Const(0, 1), "CARRYINSEL": Const(0, 3),
            "CLK": ClockSignal(), "D": Const(0, 27 if wide else 25), "INMODE": Const(0, 5),
            # X and Y take the product; Z takes nothing, PCIN or C.
            "OPMODE": Const(_Z_OPERAND[self._add] << 4 | 0b0101, 9 if wide else 7),
        }  # fmt: skip
        if self._add == "pcin":
            inputs["PCIN"] = self.pcin
        enabled = ("A2", "B2", "M", "P") + (("A1", "B1") if registers == 2 else ())
        for name in ("A1", "A2", "AD", "ALUMODE", "B1", "B2", "C", "CARRYIN", "CTRL", "D", "INMODE", "M", "P"):
            on = name in enabled or (name == "C" and self._add == "c")
            inputs[f"CE{name}"] = Const(int(on), 1)
        for name in ("A", "ALLCARRYIN", "ALUMODE", "B", "C", "CTRL", "D", "INMODE", "M", "P"):
            inputs[f"RST{name}"] = Const(0, 1)
        m.submodules.dsp = Instance(
            "DSP48E2" if wide else "DSP48E1",
            **{f"p_{name}": value for name, value in parameters.items()},
            **{f"i_{name}": value for name, value in inputs.items()},
            o_P=p,
            o_PCOUT=self.pcout,
        )

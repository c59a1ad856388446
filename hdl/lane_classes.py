"""The classes of filter lanes: what each stores, what it multiplies by and what it costs, one line a class.

Everything that needs no RTL reads it here: the packing of weights, the compiler, the interpreter, the golden functions,
the resource model, the HLS tables, the command line. How a class of LUT lanes computes is its cell in
`hdl.array.cells`. Plain Python, because a board loads it too. docs/extending.md says how to add a class.
"""

import dataclasses
import enum
from collections.abc import Sequence

from .isa import DIGIT_BITS


@dataclasses.dataclass(frozen=True)
class WeightCode:
    """How a lane stores a weight, and what it multiplies the codes of activations by.

    Members
    -------
    weights: the signed integer weight that each stored code means; a power of two of them.
    offset: what the lane adds to every weight: 0, 8 or 128. The accumulator then owes offset · Σq (`isa.OffsetCode`).
    """

    weights: tuple[int, ...]
    offset: int

    @property
    def bits(self) -> int:
        """Bits of a stored weight."""
        return (len(self.weights) - 1).bit_length()

    @property
    def multiplicands(self) -> tuple[int, ...]:
        """By stored code: weight + offset, which is what the lane multiplies by."""
        return tuple(weight + self.offset for weight in self.weights)

    @property
    def is_offset_binary(self) -> bool:
        """Whether the lane multiplies by the stored code itself, read as an unsigned number."""
        return self.multiplicands == tuple(range(len(self.weights)))


def offset_binary(bits: int) -> WeightCode:
    """Weights −2^(bits − 1) … 2^(bits − 1) − 1, stored as w + 2^(bits − 1): every product is non-negative."""
    half = 1 << (bits - 1)
    return WeightCode(tuple(range(-half, half)), half)


def two_complement(bits: int) -> WeightCode:
    """The same weights in two's complement: products are signed, and nothing is owed."""
    half = 1 << (bits - 1)
    return WeightCode((*range(half), *range(-half, 0)), 0)


def sign_magnitude(magnitudes: Sequence[int], *, offset: int) -> WeightCode:
    """A magnitude's place in the list, below a sign bit that is set for negative weights."""
    return WeightCode((*magnitudes, *(-magnitude for magnitude in magnitudes)), offset)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LutCost:
    """LUTs that a class of LUT lanes takes, as `benchmarks.lane_cost` measures (docs/decisions/0001-lut-lanes.md).

    Members
    -------
    mac: of a multiply-accumulate a cycle, with activations of 4 and of 5 bits.
    decoder: of what decodes a weight, once for all pixel lanes.
    """

    mac: tuple[float, float]
    decoder: float


class LaneClass(enum.Enum):
    """What a filter lane is made of and which weights it takes natively.

    The value is the name in files and figures. That of a class of LUT lanes is `lut-` and the name of the weight format
    that the class is made for (`quant.graph.formats`): `compiler.place.lanes` joins the two by it.

    Members
    -------
    code: how the lane stores weights.
    lut_cost: what it takes where it is made of LUTs; None where it is made of DSPs.
    """

    code: WeightCode
    lut_cost: LutCost | None

    def __new__(cls, value: str, code: WeightCode, lut_cost: LutCost | None = None) -> "LaneClass":
        member = object.__new__(cls)
        member._value_ = value
        member.code = code
        member.lut_cost = lut_cost
        return member

    FIXED8 = "fixed-8", offset_binary(8)
    """Two adjacent half-lanes of packed DSPs."""
    FIXED4 = "fixed-4", offset_binary(4)
    """One half-lane of packed DSPs."""
    LUT_FIXED4 = "lut-fixed-4", offset_binary(4), LutCost(mac=(13.6, 15.8), decoder=0.0)
    LUT_SP2 = (
        "lut-sp2-4",
        # m1 = 2, m2 = 1: bits 1:0 select q1 of {0, 1, 2, 4}/8, bit 2 adds q2 = 4/8; code 7 is 8/8.
        sign_magnitude((0, 1, 2, 4, 4, 5, 6, 8), offset=8),
        LutCost(mac=(15.6, 17.8), decoder=4.8),
    )
    LUT_POT = (
        "lut-pot-4",
        # 0, then 2^(code − 1).
        sign_magnitude((0, 1, 2, 4, 8, 16, 32, 64), offset=0),
        LutCost(mac=(20.4, 22.5), decoder=4.6),
    )
    LUT_FIXED3 = "lut-fixed-3", two_complement(3), LutCost(mac=(10.6, 12.2), decoder=0.0)

    @property
    def weight_bits(self) -> int:
        """Bits of one stored weight."""
        return self.code.bits

    @property
    def is_lut(self) -> bool:
        return self.lut_cost is not None

    @property
    def takes_digits(self) -> bool:
        """Whether the lane can take weights of −128 … 127 as two unsigned digits."""
        return self.code.is_offset_binary and self.code.bits >= DIGIT_BITS

"""Weight formats: the integer grids of the number schemes (docs/numbers.md). NumPy only."""

import dataclasses
import enum
import functools
from collections.abc import Callable, Sequence

import numpy as np


def _fixed(bits: int) -> Sequence[int]:
    return range(1 << (bits - 1))


def _sum_of_two_powers(bits: int) -> Sequence[int]:
    """q1 + q2 over their unit: q1 ∈ {0, 2^−1 … 2^−(2^m1 − 1)}, q2 likewise with m2, m1 + m2 + 1 bits."""
    m1, m2 = bits // 2, (bits - 1) // 2
    one = 1 << (2**m1 - 1)
    q1, q2 = ([0, *(one >> k for k in range(1, 2**m))] for m in (m1, m2))
    return [a + b for a in q1 for b in q2]


def _power(bits: int) -> Sequence[int]:
    return [0, *(1 << exponent for exponent in range(2 ** (bits - 1) - 1))]


class Scheme(enum.Enum):
    """A number scheme for weights; its grids are symmetric. Up to 5 bits, and of fixed point always, the levels of
    fewer bits are levels of more, so that a filter which loses bits keeps its lane.

    Members
    -------
    least_bits, most_bits: for which the scheme is defined.
    magnitudes: the integer magnitudes of its levels for so many bits, in any order; some may come twice.
    uniform: the levels are all integers from −L to L.
    """

    least_bits: int
    most_bits: int
    magnitudes: Callable[[int], Sequence[int]]
    uniform: bool

    def __new__(
        cls, value: str, bits: tuple[int, int], magnitudes: Callable[[int], Sequence[int]], uniform: bool = False
    ) -> "Scheme":
        member = object.__new__(cls)
        member._value_ = value
        member.least_bits, member.most_bits = bits
        member.magnitudes = magnitudes
        member.uniform = uniform
        return member

    FIXED = "fixed", (2, 8), _fixed, True
    """Uniform, symmetric: −(2^(b−1) − 1) … 2^(b−1) − 1 (FILM-QNN equation 1)."""
    SP2 = "sp2", (3, 8), _sum_of_two_powers
    """Sum of two powers of two (Mix and Match, HPCA 2021): ±(q1 + q2)."""
    POT = "pot", (2, 4), _power
    """Powers of two (MSP, RMSMP, ILMPQ): 0, ±2^−(2^(b−1) − 2) … ±2^0."""


@dataclasses.dataclass(frozen=True, order=False)
class WeightFormat:
    """The format of a filter's weights: a scheme and its bits.

    Raises
    ------
    ValueError: `bits` is outside what the scheme defines.
    """

    scheme: Scheme
    bits: int

    def __post_init__(self) -> None:
        low, high = self.scheme.least_bits, self.scheme.most_bits
        if not low <= self.bits <= high:
            raise ValueError(f"{self.scheme.value} weights must have {low} … {high} bits, not {self.bits}")

    @property
    def name(self) -> str:
        """For example `fixed-4`, `sp2-4`, `pot-4`."""
        return f"{self.scheme.value}-{self.bits}"

    @classmethod
    def parse(cls, name: str) -> "WeightFormat":
        """The inverse of `name`."""
        scheme, _, bits = name.partition("-")
        schemes = {entry.value: entry for entry in Scheme}
        try:
            return cls(schemes[scheme], int(bits))
        except (KeyError, ValueError) as error:
            legal = ", ".join(f"{entry.value}-{entry.least_bits} … {entry.most_bits}" for entry in Scheme)
            raise ValueError(f"weight format {name!r} is not one of {legal}") from error

    @functools.cached_property
    def levels(self) -> np.ndarray:
        """All integer weights of the format, ascending (int64). The real levels are these over `levels[-1]`."""
        magnitudes = np.array(self.scheme.magnitudes(self.bits))
        return np.unique(np.concatenate([-magnitudes, magnitudes])).astype(np.int64)


FIXED4 = WeightFormat(Scheme.FIXED, 4)
FIXED8 = WeightFormat(Scheme.FIXED, 8)
SP2_4 = WeightFormat(Scheme.SP2, 4)
POT_4 = WeightFormat(Scheme.POT, 4)

"""Weight formats: the integer grids of the number schemes (docs/numbers.md). NumPy only."""

import dataclasses
import enum
import functools

import numpy as np


class Scheme(enum.Enum):
    """A number scheme for weights."""

    FIXED = "fixed"
    """Uniform, symmetric: −(2^(b−1) − 1) … 2^(b−1) − 1 (FILM-QNN equation 1)."""
    SP2 = "sp2"
    """Sum of two powers of two (Mix and Match, HPCA 2021): ±(q1 + q2)."""
    POT = "pot"
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
        low, high = {Scheme.FIXED: (2, 8), Scheme.SP2: (3, 8), Scheme.POT: (2, 4)}[self.scheme]
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
        try:
            return cls(Scheme(scheme), int(bits))
        except ValueError as error:
            raise ValueError(f"weight format {name!r} is not one of fixed-2 … 8, sp2-3 … 8, pot-2 … 4") from error

    @functools.cached_property
    def levels(self) -> np.ndarray:
        """All integer weights of the format, ascending (int64). The real levels are these over `levels[-1]`."""
        if self.scheme is Scheme.FIXED:
            magnitudes = np.arange(2 ** (self.bits - 1))
        elif self.scheme is Scheme.POT:
            magnitudes = np.array([0, *(1 << e for e in range(2 ** (self.bits - 1) - 1))])
        else:
            m1, m2 = self.bits // 2, (self.bits - 1) // 2
            one = 1 << (2**m1 - 1)
            q1, q2 = ([0, *(one >> k for k in range(1, 2**m))] for m in (m1, m2))
            magnitudes = np.unique([a + b for a in q1 for b in q2])
        return np.unique(np.concatenate([-magnitudes, magnitudes])).astype(np.int64)


FIXED4 = WeightFormat(Scheme.FIXED, 4)
FIXED8 = WeightFormat(Scheme.FIXED, 8)
SP2_4 = WeightFormat(Scheme.SP2, 4)
POT_4 = WeightFormat(Scheme.POT, 4)

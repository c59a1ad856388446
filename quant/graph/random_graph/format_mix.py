"""Which formats the filters of random layers have."""

import dataclasses

import numpy as np

from ..formats import FIXED4, FIXED8, SP2_4, Scheme, WeightFormat


@dataclasses.dataclass(frozen=True)
class FormatMix:
    """The share of weight formats in each layer, as the lanes of a tile would have it.

    Members
    -------
    fixed8, fixed4, lut: filters of each class among `fixed8 + fixed4 + lut`.
    lut_format: format of the third class.
    narrow: draw from fixed-5 … 8 and fixed-2 … 4 instead of fixed-8 and fixed-4 alone.
    """

    fixed8: int = 1
    fixed4: int = 3
    lut: int = 4
    lut_format: WeightFormat = SP2_4
    narrow: bool = False

    def __post_init__(self) -> None:
        if min(self.fixed8, self.fixed4, self.lut) < 0 or self.fixed8 + self.fixed4 + self.lut == 0:
            raise ValueError(f"a format mix needs shares of at least 0, not all 0: {self}")

    def classes(self, channels: int, rng: np.random.Generator) -> np.ndarray:
        """A class (0: fixed8, 1: fixed4, 2: lut) per channel in random order; counts by largest remainder."""
        shares = np.array([self.fixed8, self.fixed4, self.lut], np.float64)
        exact = shares / shares.sum() * channels
        counts = np.floor(exact).astype(int)
        for index in np.argsort(-(exact - counts), kind="stable")[: channels - counts.sum()]:
            counts[index] += 1
        return rng.permutation(np.repeat(np.arange(3), counts))

    def formats(self, classes: np.ndarray, rng: np.random.Generator) -> tuple[WeightFormat, ...]:
        """A format of each channel's class."""
        eight = [WeightFormat(Scheme.FIXED, bits) for bits in range(5, 9)] if self.narrow else [FIXED8]
        four = [WeightFormat(Scheme.FIXED, bits) for bits in range(2, 5)] if self.narrow else [FIXED4]
        choices = (eight, four, [self.lut_format])
        return tuple(choices[index][rng.integers(len(choices[index]))] for index in classes)


USUAL_MIX = FormatMix()
"""An eighth of the filters Fixed-8, three Fixed-4, the rest SP2-4."""

"""How near the integer model's scores are to the float model's, without labels."""

import dataclasses
import math

import numpy as np
from torch import Tensor

LEAST_SQNR = 8.0
"""dB of the scores under which a result is hardly of use."""
LEAST_AGREEMENT = 0.7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fidelity:
    """The integer model against the float model.

    Members
    -------
    top1_agreement: share of images whose largest score is the float model's; None with a single score.
    sqnr: signal to quantization noise of the scores, 10·log10(Σ y² / Σ (ŷ − y)²) dB; infinite where they are equal.
    images: that it was measured on.
    """

    top1_agreement: float | None
    sqnr: float
    images: int

    @property
    def poor(self) -> bool:
        """Whether the scores have under 8 dB, or the decisions under 70 % in common."""
        return self.sqnr < LEAST_SQNR or (self.top1_agreement is not None and self.top1_agreement < LEAST_AGREEMENT)


def fidelity(exact: Tensor, found: np.ndarray) -> Fidelity:
    """Compares scores, images × scores.

    Parameters
    ----------
    exact: of the float model; found: of the integer model.
    """
    target = exact.double().cpu().numpy()
    power, noise = float((target**2).sum()), float(((found - target) ** 2).sum())
    agreement = float((found.argmax(axis=1) == target.argmax(axis=1)).mean()) if target.shape[1] > 1 else None
    return Fidelity(top1_agreement=agreement, sqnr=decibels(power, noise), images=len(target))


def decibels(power: float, noise: float) -> float:
    """The ratio of two powers in dB; infinite where there is no noise."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(power / noise) if power else -math.inf

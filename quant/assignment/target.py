"""Targets: how near to the float model a quantized one must be."""

import dataclasses
import math

from ..network.fidelity import Fidelity


class TargetError(ValueError):
    """A target that is malformed, contradicts a choice, or is not reached; the message says what would."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """What must be reached; of two, both.

    Members
    -------
    sqnr: of the scores, dB; None: any.
    agreement: share of the images whose largest score is the float model's, above 0 and at most 1; None: any.

    Raises
    ------
    TargetError: neither is given, or one is outside its range.
    """

    sqnr: float | None = None
    agreement: float | None = None

    def __post_init__(self) -> None:
        if self.sqnr is None and self.agreement is None:
            raise TargetError("target: give an SQNR, an agreement, or both")
        if self.sqnr is not None and not math.isfinite(self.sqnr):
            raise TargetError(f"target: the SQNR must be a finite number of dB, not {self.sqnr!r}")
        if self.agreement is not None and not 0 < self.agreement <= 1:
            raise TargetError(
                f"target: the agreement must be above 0 and at most 100 %, not {100 * self.agreement:g} %"
            )

    def reached(self, found: Fidelity) -> bool:
        return not self.shortfall(found)

    def shortfall(self, found: Fidelity) -> str:
        """By how much it is missed, in words; "" where it is reached.

        Raises
        ------
        TargetError: an agreement is wanted of a network with a single score.
        """
        missed = []
        if self.agreement is not None:
            if found.top1_agreement is None:
                raise TargetError("target: a network with a single score decides nothing; give an SQNR instead")
            if found.top1_agreement < self.agreement:
                missed.append(f"{100 * (self.agreement - found.top1_agreement):.1f} points of agreement")
        if self.sqnr is not None and found.sqnr < self.sqnr:
            missed.append(f"{self.sqnr - found.sqnr:.1f} dB")
        return " and ".join(missed)

    def __str__(self) -> str:
        agreement = [] if self.agreement is None else [f"{100 * self.agreement:g} % of the float model's decisions"]
        return " and ".join([*agreement, *([] if self.sqnr is None else [f"{self.sqnr:g} dB"])])

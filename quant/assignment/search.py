"""The cheapest assignment that is near enough to the float model: more and more layers with 8 bits.

Candidates stand in a row: the method's own formats, then one layer after the other with 8 bits for all its filters, in
the order of `raising.Variants.order`, up to all. A candidate is taken to be nearer to float than those before it, so
the first that is near enough is found by halves; each that is looked at is measured, and its cost is its own.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from ..network.fidelity import Fidelity
from ..network.model import QuantizedNetwork
from ..network.quantizers import Formats
from .cost import NetworkCost
from .raising import Variants, raised
from .target import Target


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """An assignment that was tried.

    Members
    -------
    layers: that have 8 bits for all their filters beside what the method gave them.
    everything: whether these are all layers that 8 bits would make less noisy.
    fidelity: on images held out from calibration.
    cost: on the accelerator.
    reached: whether it is near enough.
    """

    layers: tuple[str, ...]
    everything: bool
    fidelity: Fidelity
    cost: NetworkCost
    reached: bool


def search(
    variants: Variants, formats: Mapping[str, Formats], order: Sequence[str], target: Target,
    judge: Callable[[QuantizedNetwork], Fidelity], told: Callable[[int], None],
) -> tuple[Candidate, ...]:  # fmt: skip
    """The candidates that were tried, by the layers that are raised.

    Parameters
    ----------
    formats: of the method.
    order: the layers that may be raised.
    judge: how near a network is to the float model.
    told: how many candidates have been tried.
    """
    tried: dict[int, Candidate] = {}

    def reaches(count: int) -> bool:
        layers = tuple(order[:count])
        cost = variants.cost(raised(formats, layers))
        found = judge(variants.network)
        tried[count] = Candidate(
            layers=layers, everything=count == len(order), fidelity=found, cost=cost, reached=target.reached(found)
        )
        told(len(tried))
        return tried[count].reached

    low, high = 0, len(order)
    if not reaches(low) and high and reaches(high):
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reaches(middle) else (middle, high)
    return tuple(tried[count] for count in sorted(tried))


def cheapest(candidates: Sequence[Candidate]) -> Candidate | None:
    """Of those that are near enough the one of the most frames a second, then of the fewest bytes; None: none is."""
    near = [it for it in candidates if it.reached]
    return max(near, key=lambda it: (it.cost.frames_per_second, -it.cost.weight_bytes), default=None)


def nearest(candidates: Sequence[Candidate], target: Target) -> Candidate:
    """The one that is nearest to the float model: the most decisions in common where the target asks for them, then the
    best SQNR."""
    decides = target.agreement is not None
    return max(candidates, key=lambda it: (decides and (it.fidelity.top1_agreement or 0.0), it.fidelity.sqnr))

"""What a network costs on an accelerator, which the quantizer does not know: it is told by a function."""

import dataclasses
from collections.abc import Callable, Mapping

from ..graph.graph import IntegerGraph


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """What an integer graph costs.

    Members
    -------
    frames_per_second: expected of the accelerator.
    cycles: of a frame.
    layer_cycles: of a frame, by layer; layers that another one's load computes have none of their own.
    weight_bytes: of all weights, at the bits that filters have.
    """

    frames_per_second: float
    cycles: float
    layer_cycles: Mapping[str, float]
    weight_bytes: int


CostOf = Callable[[IntegerGraph], NetworkCost]
"""Says what a graph costs; raises a ValueError where the accelerator cannot run it."""

"""Turns: layers that run one after the other, and layers that run side by side, block by block."""

import dataclasses
from collections.abc import Iterator

from ..lower.layers import MachineLayer
from ..place.parameters import ParameterBlock
from .blocks import Cut


@dataclasses.dataclass(frozen=True, eq=False)
class Member:
    """A layer of a turn: its parameters (None for a max pool), and how it is cut in blocks (None: free)."""

    layer: MachineLayer
    parameters: ParameterBlock | None
    cut: Cut | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Turn:
    """One layer, or several side by side."""

    members: tuple[Member, ...]

    @property
    def layers(self) -> Iterator[MachineLayer]:
        """The members' layers, and those that are computed on load."""
        for member in self.members:
            yield member.layer
            if member.layer.on_load is not None:
                yield member.layer.on_load

"""Assignment of weight formats to filters, so that every tile has the accelerator's lane mix.

Channels that meet in an add or a max pool, and a depthwise layer with its input, share one order in the hardware: they
are assigned jointly, one class for each channel index. `methods.py` says by what measures.
"""

import dataclasses

import torch
from torch import Tensor

from .fold import FoldedConvolution, FoldedGraph
from .formats import FIXED4, FIXED8, SP2_4, WeightFormat
from .model import QuantizedNetwork
from .quantizers import Formats
from .sensitivity import Measures

_SMALLEST_MEAN = 1e-30


@dataclasses.dataclass(frozen=True)
class LaneMix:
    """The filter lanes of a tile by what weights they take.

    Parameters
    ----------
    fixed8, fixed4, lut: lanes for Fixed-8, Fixed-4 (on DSPs) and `lut_format`.
    lut_format: of the LUT lanes, 4 bits.

    Raises
    ------
    ValueError: a count is negative, all are 0, or the LUT lanes' format has not 4 bits.
    """

    fixed8: int
    fixed4: int
    lut: int
    lut_format: WeightFormat = SP2_4

    def __post_init__(self) -> None:
        for field in ("fixed8", "fixed4", "lut"):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"lane mix: {field} must be an integer of at least 0, not {value!r}")
        if not self.tile:
            raise ValueError("lane mix: at least one count must be above 0")
        if self.lut_format.bits != 4:
            raise ValueError(f"lane mix: lut_format must have 4 bits, not {self.lut_format.name}")

    @classmethod
    def parse(cls, text: str, lut_format: WeightFormat = SP2_4) -> "LaneMix":
        """`2:8:22` as fixed8 : fixed4 : lut."""
        parts = text.split(":")
        if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
            raise ValueError(f"lane mix must be fixed-8:fixed-4:LUT, for example 2:8:22, not {text!r}")
        fixed8, fixed4, lut = (int(part) for part in parts)
        return cls(fixed8, fixed4, lut, lut_format)

    def on(self, lanes: "LaneMix") -> "LaneMix":
        """This mix as the ratio of formats for a tile of other lanes: itself.

        A share above the tile's costs more tiles, but runs; filters of a class that the tile lacks do not.

        Raises
        ------
        ValueError: the tile has no lanes for some of the filters.
        """
        for field, name in (("fixed8", "Fixed-8"), ("fixed4", "Fixed-4"), ("lut", "LUT")):
            if getattr(self, field) and not getattr(lanes, field):
                raise ValueError(
                    f"ratio {self} has filters for {name} lanes, but the tile, {lanes}, has none; make that part 0"
                )
        return self

    def __str__(self) -> str:
        return f"{self.fixed8}:{self.fixed4}:{self.lut}"

    @property
    def tile(self) -> int:
        """Filters of a tile."""
        return self.fixed8 + self.fixed4 + self.lut

    def counts(self, filters: int) -> tuple[int, int, int]:
        """Fixed-8, Fixed-4 and LUT filters of a layer: in proportion to the tile, by largest remainder.

        They always fit in the tiles that the layer needs anyway: no count exceeds ⌈filters / tile⌉ times its lanes.
        """
        lanes = (self.fixed8, self.fixed4, self.lut)
        whole = [filters * count // self.tile for count in lanes]
        order = sorted(range(3), key=lambda index: (-(filters * lanes[index] % self.tile), index))
        for index in order[: filters - sum(whole)]:
            whole[index] += 1
        return whole[0], whole[1], whole[2]


@dataclasses.dataclass(frozen=True)
class JointGroup:
    """Layers whose output channels share one order.

    Members
    -------
    layers: names of the convolutions.
    channels: of each of their outputs.
    """

    layers: tuple[str, ...]
    channels: int


def joint_groups(graph: FoldedGraph) -> tuple[JointGroup, ...]:
    """The convolutions of a graph in groups whose channels share one order, each layer in exactly one group.

    A depthwise layer with several filters per channel cannot share its input's order, and stands alone.
    """
    parent = {name: name for name in graph.shapes}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for layer in graph.layers:
        tied = [layer.output]
        if not isinstance(layer, FoldedConvolution) or layer.groups == len(layer.weight) > 1:
            tied.append(layer.input)
        if isinstance(layer, FoldedConvolution) and layer.residual is not None:
            tied.append(layer.residual)
        for name in tied[1:]:
            parent[root(name)] = root(layer.output)
    groups: dict[str, list[FoldedConvolution]] = {}
    for layer in graph.convolutions:
        groups.setdefault(root(layer.output), []).append(layer)
    return tuple(
        JointGroup(tuple(layer.name for layer in members), len(members[0].weight)) for members in groups.values()
    )


def assign_lanes(network: QuantizedNetwork, mix: LaneMix, wide: Measures, narrow: Measures) -> dict[str, Formats]:
    """A format for every filter, in the proportions of a lane mix: by layer name, for `QuantizedNetwork.set_formats`.

    Fixed-8 for the filters with the largest `wide`; of the rest Fixed-4 for those with the largest `narrow`, the LUT
    lanes' format for the others. Both are added over the layers of a joint group.

    Parameters
    ----------
    wide, narrow: comparable between layers, see `relative`; layers without weights to round are not in them.
    """
    result: dict[str, Formats] = {}
    for group in joint_groups(network.graph):
        members = [name for name in group.layers if name in wide]
        zeros = torch.zeros(group.channels)
        formats = _choose(
            sum((wide[name] for name in members), zeros), sum((narrow[name] for name in members), zeros), mix
        )
        result.update(dict.fromkeys(group.layers, formats))
    return result


def relative(measures: Measures) -> Measures:
    """Every measure over its layer's mean, so that the layers of a joint group weigh alike."""
    return {name: values / values.mean().clamp_min(_SMALLEST_MEAN) for name, values in measures.items()}


def _choose(wide: Tensor, narrow: Tensor, mix: LaneMix) -> Formats:
    channels = len(wide)
    fixed8, fixed4, _ = mix.counts(channels)
    by_need = torch.argsort(wide, descending=True, stable=True).tolist()
    eight = set(by_need[:fixed8])
    rest = [index for index in torch.argsort(narrow, descending=True, stable=True).tolist() if index not in eight]
    four = set(rest[:fixed4])
    return tuple(FIXED8 if index in eight else FIXED4 if index in four else mix.lut_format for index in range(channels))

"""Assignment of weight formats to filters, so that every tile has the accelerator's lane mix.

Channels that meet in an add or a max pool, and a depthwise layer with its input, share one order in the hardware: they
are assigned jointly, one class for each channel index. What meets a concatenated map meets its operands, each with a
part of its channels. `methods/` says by what measures.
"""

import dataclasses
from collections.abc import Collection, Iterable, Iterator

import torch
from torch import Tensor

from ..frontend.folded import FoldedConcatenation, FoldedConvolution, FoldedGraph
from ..graph.concatenation import Tie, operand_ties, segment_classes
from ..graph.formats import FIXED4, FIXED8, SP2_4, WeightFormat
from ..network.model import QuantizedNetwork
from ..network.quantizers import Formats
from .sensitivity import Measures

_SMALLEST_MEAN = 1e-30


@dataclasses.dataclass(frozen=True)
class LaneMix:
    """The filter lanes of a tile by what weights they take.

    Parameters
    ----------
    fixed8, fixed4, lut: lanes for Fixed-8, Fixed-4 (on DSPs) and `lut_format`.
    lut_format: of the LUT lanes, at most 4 bits.

    Raises
    ------
    ValueError: a count is negative, all are 0, or the LUT lanes' format has more than 4 bits.
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
        if self.lut_format.bits > 4:
            raise ValueError(f"lane mix: lut_format must have at most 4 bits, not {self.lut_format.name}")

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
    """Filters of several layers whose output channels share one order.

    Members
    -------
    parts: name of a convolution, and the first of its filters that are in the group.
    channels: filters of each part.
    """

    parts: tuple[tuple[str, int], ...]
    channels: int

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the convolutions."""
        return tuple(dict.fromkeys(name for name, _ in self.parts))

    def slices(self, layers: Collection[str]) -> Iterator[tuple[str, slice]]:
        """Those of the given layers that have filters in the group, with the range of these filters."""
        return ((name, slice(first, first + self.channels)) for name, first in self.parts if name in layers)


def joint_groups(graph: FoldedGraph) -> tuple[JointGroup, ...]:
    """The filters of a graph in groups that share one order of channels, each filter in exactly one group.

    A depthwise layer with several filters per channel cannot share its input's order, and stands alone.
    """
    channels = {name: shape[0] for name, shape in graph.shapes.items()}
    ties: list[Tie] = []
    for layer in graph.layers:
        if isinstance(layer, FoldedConcatenation):
            ties += operand_ties(layer.output, layer.inputs, channels)
            continue
        tied = []
        if not isinstance(layer, FoldedConvolution) or layer.groups == len(layer.weight) > 1:
            tied.append(layer.input)
        if isinstance(layer, FoldedConvolution) and layer.residual is not None:
            tied.append(layer.residual)
        ties += [Tie(layer.output, name, channels[name]) for name in tied]
    layer_of = {layer.output: layer.name for layer in graph.convolutions}
    groups = []
    for segments in segment_classes(channels, ties):
        if parts := tuple((layer_of[it.tensor], it.first) for it in segments if it.tensor in layer_of):
            groups.append(JointGroup(parts, segments[0].channels))
    return tuple(groups)


def assign_lanes(network: QuantizedNetwork, mix: LaneMix, wide: Measures, narrow: Measures) -> dict[str, Formats]:
    """A format for every filter, in the proportions of a lane mix: by layer name, for `QuantizedNetwork.set_formats`.

    Fixed-8 for the filters with the largest `wide`; of the rest Fixed-4 for those with the largest `narrow`, the LUT
    lanes' format for the others. Both are added over the layers of a joint group.

    Parameters
    ----------
    wide, narrow: comparable between layers, see `relative`; layers without weights to round are not in them.
    """
    groups, chosen = joint_groups(network.graph), []
    for group in groups:
        parts, zeros = list(group.slices(wide)), torch.zeros(group.channels)
        chosen.append(
            _choose(
                sum((wide[name][part] for name, part in parts), zeros),
                sum((narrow[name][part] for name, part in parts), zeros),
                mix,
            )
        )
    return collect(network, groups, chosen)


def collect(
    network: QuantizedNetwork, groups: Iterable[JointGroup], chosen: Iterable[Formats], default: WeightFormat = FIXED8
) -> dict[str, Formats]:
    """Formats by layer from those of groups; `default` for filters that are in none."""
    formats = {name: [default] * len(module.weight) for name, module in network.convolutions.items()}
    for group, kinds in zip(groups, chosen):
        for name, part in group.slices(formats):
            formats[name][part] = kinds
    return {name: tuple(kinds) for name, kinds in formats.items()}


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

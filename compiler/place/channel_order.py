"""The order of every tensor's channels, chosen so that every filter falls in a lane that can hold it.

Tensors that meet in a residual add, or in a layer that works channel by channel (max pool, depthwise), form a *class*
and share one order: then an add needs no shuffle, and a tile of a depthwise layer needs only its own channel words. In
a class a channel needs a lane that holds the filters of that channel in all its convolutions.

A concatenated tensor is stored as its operands one after another, each in whole channel words. So what forms classes
are *segments*: an operand, or the part of a tensor that meets it. A layer whose filters are in several classes has one
number of weight digits in all of them.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ...hdl.geometry import Geometry
from ...quant.graph.concatenation import ChannelSegment, Tie, operand_ties, segment_classes
from ..errors import CompileError
from ..lower.layers import MachineLayer, digits_of
from .lanes import Placement, lane_masks, minimum_tiles, natural, place

EXHAUSTIVE_LAYERS = 8
"""Up to this many convolutions that share classes, every combination of weight digits is tried."""


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelOrders:
    """The choice.

    Members
    -------
    placements: by tensor; None for a tensor no convolution writes and no convolution's order binds.
    orders: the channel at every stored position, by tensor.
    weight_digits: 1 or 2, by convolution.
    """

    placements: dict[str, Placement | None]
    orders: dict[str, np.ndarray]
    weight_digits: dict[str, int]


@dataclasses.dataclass(frozen=True, eq=False)
class _Writer:
    """The filters of a convolution in a class: the first of them, their masks by weight digits, and the channel words
    of the layer's input as far as known."""

    layer: MachineLayer
    first: int
    masks: dict[int, np.ndarray]
    source_words: int

    @property
    def run_words(self) -> int:
        """Weight words of a run."""
        return self.layer.kernel[0] * self.layer.kernel[1] * self.source_words

    def steps(self, geometry: Geometry) -> int:
        """Steps of a tile, per pixel lane's share of them."""
        pixels = self.layer.target.height * self.layer.target.width
        return pixels * self.run_words * digits_of(self.layer.source, geometry)


_Class = list[ChannelSegment]


def choose_channel_orders(
    layers: tuple[MachineLayer, ...], geometry: Geometry, concatenations: Mapping[str, Sequence[str]] | None = None
) -> ChannelOrders:
    """Orders that cost the fewest steps.

    Parameters
    ----------
    concatenations: operands by concatenated tensor, in order of execution.

    Raises
    ------
    CompileError: no lanes hold a filter, or the filters that one channel has in a class.
    """
    chooser = _Chooser(layers, geometry, concatenations or {})
    chooser.untie()
    return chooser.place()


class _Chooser:
    def __init__(
        self, layers: tuple[MachineLayer, ...], geometry: Geometry, concatenations: Mapping[str, Sequence[str]]
    ) -> None:
        self.layers, self.geometry, self.concatenations = layers, geometry, concatenations
        self.masks = {
            layer.name: {digits: lane_masks(layer.weight, geometry, digits=digits == 2) for digits in (1, 2)}
            for layer in layers
            if layer.weight is not None
        }
        self.channels = _channels(layers, concatenations)
        self.tied = {layer.name for layer in layers if layer.depthwise and layer.keeps_order}
        self.words: dict[ChannelSegment, int] = {}
        """Channel words of segments, as far as known."""
        self.segments: dict[str, list[ChannelSegment]] = {}
        """Of every tensor, in order."""

    def untie(self) -> None:
        """Gives a depthwise layer that shares no lanes with its input an order of its own."""
        for classes in self._components():
            choice = _choose_digits([self._writers(members) for members in classes], self.geometry)
            if choice is None:
                self.tied -= {writer.layer.name for members in classes for writer in self._writers(members)}
                continue
            for members, tiles in zip(classes, choice[1]):
                # Lanes that stay idle make the consumers' inputs longer.
                least = (tiles - 1) * self.geometry.tile_words + 1
                self.words |= {segment: max(least, self.words[segment]) for segment in members}

    def place(self) -> ChannelOrders:
        """The orders. Raises CompileError."""
        result = ChannelOrders({}, {}, {})
        placed: dict[ChannelSegment, Placement | None] = {}
        for classes in self._components():
            writers = [self._writers(members) for members in classes]
            choice = _choose_digits(writers, self.geometry)
            if choice is None:
                raise _unplaceable([writer for part in writers for writer in part], self.geometry)
            result.weight_digits.update(choice[0])
            for members, part in zip(classes, writers):
                placement = None
                if part:
                    key = _key(part, [segment.tensor for segment in members], result)
                    masks = _joint_masks(part, choice[0])
                    placement = place(masks, self.geometry, key=key)
                    assert placement is not None
                    words = len(placement.order) // self.geometry.word_channels
                    self.words |= dict.fromkeys(members, words)
                placed |= dict.fromkeys(members, placement)
                for name in dict.fromkeys(segment.tensor for segment in members):
                    if all(segment in placed for segment in self.segments[name]):
                        self._join(name, placed, result)
        return result

    def _join(self, name: str, placed: Mapping[ChannelSegment, Placement | None], result: ChannelOrders) -> None:
        """The placement and order of a tensor, from those of its segments."""
        placements = [placed[segment] for segment in self.segments[name]]
        starts = [segment.first for segment in self.segments[name]]
        width = self.geometry.word_channels
        result.placements[name] = Placement.joined(placements, starts) if None not in placements else None  # type: ignore[arg-type]
        orders = [
            natural(segment.channels, width) if placement is None else placement.order
            for segment, placement in zip(self.segments[name], placements)
        ]
        result.orders[name] = np.concatenate(
            [np.where(order < 0, order, order + first) for order, first in zip(orders, starts)]
        )

    def _components(self) -> list[list[_Class]]:
        """Classes, those that have layers in common together; in the order in which their first tensors are written."""
        ties: list[Tie] = []
        for name, operands in self.concatenations.items():
            ties += operand_ties(name, operands, self.channels)
        for layer in self.layers:
            target = layer.target
            if layer.residual is not None:
                ties.append(Tie(target.name, layer.residual.name, target.channels))
            if layer.on_load is not None:
                ties.append(Tie(layer.source.name, layer.stored.name, layer.source.channels))
            if layer.keeps_order and (not layer.depthwise or layer.name in self.tied):
                ties.append(Tie(target.name, layer.source.name, target.channels))
        classes = segment_classes(self.channels, ties)
        ordered = sorted((segment for members in classes for segment in members), key=lambda it: it.first)
        self.segments = {name: [it for it in ordered if it.tensor == name] for name in self.channels}
        width = self.geometry.word_channels
        self.words = {segment: self.words.get(segment, -(-segment.channels // width)) for segment in ordered}
        components: list[tuple[set[str], list[_Class]]] = []
        for members in classes:
            names, together = {writer.layer.name for writer in self._writers(members)}, [members]
            for component in [other for other in components if other[0] & names]:
                names, together = names | component[0], component[1] + together
                components.remove(component)
            components.append((names, together))
        return [together for _, together in components]

    def _writers(self, members: _Class) -> list[_Writer]:
        firsts: dict[str, list[ChannelSegment]] = {}
        for segment in members:
            firsts.setdefault(segment.tensor, []).append(segment)
        return [
            _Writer(
                layer,
                segment.first,
                {
                    digits: masks[segment.first : segment.first + segment.channels]
                    for digits, masks in self.masks[layer.name].items()
                },
                self.geometry.tile_words if layer.depthwise else self._source_words(layer),
            )
            for layer in self.layers
            if layer.weight is not None
            for segment in firsts.get(layer.target.name, ())
        ]

    def _source_words(self, layer: MachineLayer) -> int:
        return sum(self.words[segment] for segment in self.segments[layer.source.name])


def _channels(layers: tuple[MachineLayer, ...], concatenations: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Channels of all tensors, in the order in which they are written."""
    channels: dict[str, int] = {}
    waiting = dict(concatenations)
    for layer in layers:
        for tensor in (layer.source, layer.target):
            channels.setdefault(tensor.name, tensor.channels)
        for name, operands in list(waiting.items()):
            if all(operand in channels for operand in operands):
                channels[name] = sum(channels[operand] for operand in operands)
                del waiting[name]
    return channels


def _choose_digits(classes: list[list[_Writer]], geometry: Geometry) -> tuple[dict[str, int], tuple[int, ...]] | None:
    """Weight digits of the convolutions of classes that cost the fewest steps, and the tiles they make of each class;
    None where no combination works."""
    names = list(dict.fromkeys(writer.layer.name for writers in classes for writer in writers))
    size = len(names)
    if size <= EXHAUSTIVE_LAYERS:
        candidates = list(itertools.product((1, 2), repeat=size))
    else:
        candidates = [(1,) * size, (2,) * size]
        candidates += [tuple(2 if other == n else 1 for other in range(size)) for n in range(size)]
        candidates += [tuple(1 if other == n else 2 for other in range(size)) for n in range(size)]
    costs = []
    known: dict[tuple[int, ...], int | None] = {}  # tiles of a class, by its number and the digits of its writers
    for candidate in candidates:
        digits, total, counts = dict(zip(names, candidate)), 0, []
        for number, writers in enumerate(classes):
            key = (number, *(digits[writer.layer.name] for writer in writers))
            if key not in known:
                known[key] = _tiles(writers, digits, geometry)
            count = known[key]
            if count is None:
                break
            counts.append(count)
            total += count * sum(digits[writer.layer.name] * writer.steps(geometry) for writer in writers)
        else:
            costs.append((total, candidate, tuple(counts)))
    if not costs:
        return None
    _, best, counts_of_best = min(costs)
    return dict(zip(names, best)), counts_of_best


def _tiles(writers: list[_Writer], digits: Mapping[str, int], geometry: Geometry) -> int | None:
    """Tiles of a class; None where no number of them works."""
    if not writers:
        return 0
    if any(digits[it.layer.name] == 2 and 2 * it.run_words > geometry.weight_depth for it in writers):
        return None
    return minimum_tiles(_joint_masks(writers, digits), geometry)


def _joint_masks(writers: list[_Writer], digits: Mapping[str, int]) -> np.ndarray:
    return np.bitwise_and.reduce([writer.masks[digits[writer.layer.name]] for writer in writers])


def _key(writers: list[_Writer], members: list[str], result: ChannelOrders) -> np.ndarray | None:
    """Where a depthwise layer does not share its input's order: that order, so that a tile needs few channel words."""
    for writer in writers:
        layer = writer.layer
        source = layer.source.name
        if layer.depthwise and source not in members and source in result.orders:
            order = result.orders[source]
            position = np.zeros(layer.source.channels, np.int64)
            position[order[order >= 0]] = np.flatnonzero(order >= 0)
            multiplier = layer.target.channels // layer.source.channels
            filters = np.arange(writer.first, writer.first + len(writer.masks[1]))
            return position[filters // multiplier]
    return None


def _unplaceable(writers: list[_Writer], geometry: Geometry) -> CompileError:
    mix = f"{geometry.fixed8_lanes} fixed-8, {geometry.fixed4_lanes} fixed-4 and {geometry.lut_lanes} "
    mix += f"{geometry.lut_scheme.value} lanes"
    for writer in writers:
        if (lost := np.flatnonzero((writer.masks[1] | writer.masks[2]) == 0)).size:
            filter_ = writer.first + int(lost[0])
            kind = writer.layer.convolution.formats[filter_].name
            return CompileError(
                f"{writer.layer.where}, filter {filter_}",
                f"no lane of a tile with {mix} holds its {kind} weights",
                "give the filter another format, or the geometry lanes of its class (fixed8_lanes holds every "
                "format whose integers are −128 … 127)",
            )
    names = ", ".join(dict.fromkeys(repr(writer.layer.name) for writer in writers))
    return CompileError(
        f"layers {names}",
        "share one order of channels (an add, a pool or a depthwise layer ties them), and no lane of a tile with "
        f"{mix} holds what one channel needs in all of them",
        "give a channel the same format in all of them, or raise the geometry's fixed8_lanes",
    )

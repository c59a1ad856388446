"""The order of every tensor's channels, chosen so that every filter falls in a lane that can hold it.

Tensors that meet in a residual add, or in a layer that works channel by channel (max pool, depthwise), form a *class*
and share one order: then an add needs no shuffle, and a tile of a depthwise layer needs only its own channel words. In
a class a channel needs a lane that holds the filters of that channel in all its convolutions.
"""

import dataclasses
import itertools

import numpy as np

from ..hdl.geometry import Geometry
from .errors import CompileError
from .lanes import Placement, lane_masks, minimum_tiles, natural, place
from .lowered import LoweredLayer, digits_of

EXHAUSTIVE_LAYERS = 8
"""Up to this many convolutions of a class, every combination of weight digits is tried."""


@dataclasses.dataclass(frozen=True, eq=False)
class Orders:
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
    """A convolution of a class: its masks by weight digits, and the channel words of its input as far as known."""

    layer: LoweredLayer
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


def choose_orders(layers: tuple[LoweredLayer, ...], geometry: Geometry) -> Orders:
    """Orders that cost the fewest steps.

    Raises
    ------
    CompileError: no lanes hold a filter, or the filters that one channel has in a class.
    """
    masks = {
        layer.name: {digits: lane_masks(layer.weight, geometry, digits=digits == 2) for digits in (1, 2)}
        for layer in layers
        if layer.weight is not None
    }
    words = {layer.source.name: -(-layer.source.channels // geometry.word_channels) for layer in layers}

    def writers(members: list[str]) -> list[_Writer]:
        return [
            _Writer(layer, masks[layer.name], geometry.tile_words if layer.depthwise else words[layer.source.name])
            for layer in layers
            if layer.target.name in members and layer.weight is not None
        ]

    tied = {layer.name for layer in layers if layer.depthwise and layer.keeps_order}
    for members in _classes(layers, tied):
        choice = _choose_digits(writers(members), geometry)
        if choice is None:
            tied -= {writer.layer.name for writer in writers(members)}
        elif choice[1]:
            # Lanes that stay idle make the consumers' inputs longer.
            words |= dict.fromkeys(members, max(words.get(members[0], 1), (choice[1] - 1) * geometry.tile_words + 1))
    result = Orders({}, {}, {})
    for members in _classes(layers, tied):
        _place_class(members, writers(members), layers, geometry, result)
        words |= {name: len(result.orders[name]) // geometry.word_channels for name in members}
    return result


def _classes(layers: tuple[LoweredLayer, ...], tied: set[str]) -> list[list[str]]:
    """Classes of tensor names, in the order in which their first tensors are written."""
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for layer in layers:
        find(layer.source.name)
        find(layer.target.name)
        if layer.residual is not None:
            parent[find(layer.target.name)] = find(layer.residual.name)
        if layer.keeps_order and (not layer.depthwise or layer.name in tied):
            parent[find(layer.target.name)] = find(layer.source.name)
    classes: dict[str, list[str]] = {}
    for name in parent:
        classes.setdefault(find(name), []).append(name)
    return list(classes.values())


def _choose_digits(writers: list[_Writer], geometry: Geometry) -> tuple[tuple[int, ...], int] | None:
    """Weight digits of the convolutions of a class that cost the fewest steps, and the tiles they make; None where no
    combination works."""
    if not writers:
        return (), 0
    steps = [writer.steps(geometry) for writer in writers]
    fits = [2 * writer.run_words <= geometry.weight_depth for writer in writers]

    def tiles(digits: tuple[int, ...]) -> int | None:
        if any(count == 2 and not fit for count, fit in zip(digits, fits)):
            return None
        return minimum_tiles(_joint_masks(writers, digits), geometry)

    size = len(writers)
    if size <= EXHAUSTIVE_LAYERS:
        candidates = list(itertools.product((1, 2), repeat=size))
    else:
        candidates = [(1,) * size, (2,) * size]
        candidates += [tuple(2 if other == n else 1 for other in range(size)) for n in range(size)]
        candidates += [tuple(1 if other == n else 2 for other in range(size)) for n in range(size)]
    costs = [
        (count * sum(number * step for number, step in zip(digits, steps)), digits, count)
        for digits in candidates
        if (count := tiles(digits)) is not None
    ]
    return min(costs)[1:] if costs else None


def _joint_masks(writers: list[_Writer], digits: tuple[int, ...]) -> np.ndarray:
    return np.bitwise_and.reduce([writer.masks[count] for writer, count in zip(writers, digits)])


def _place_class(
    members: list[str], writers: list[_Writer], layers: tuple[LoweredLayer, ...], geometry: Geometry, result: Orders
) -> None:
    if not writers:
        channels = next(layer.source.channels for layer in layers if layer.source.name in members)
        for name in members:
            result.placements[name] = None
            result.orders[name] = natural(channels, geometry.word_channels)
        return
    choice = _choose_digits(writers, geometry)
    if choice is None:
        raise _unplaceable(writers, geometry)
    digits, _ = choice
    placement = place(_joint_masks(writers, digits), geometry, key=_key(writers, members, result))
    assert placement is not None
    for name in members:
        result.placements[name] = placement
        result.orders[name] = placement.order
    for writer, count in zip(writers, digits):
        result.weight_digits[writer.layer.name] = count


def _key(writers: list[_Writer], members: list[str], result: Orders) -> np.ndarray | None:
    """Where a depthwise layer does not share its input's order: that order, so that a tile needs few channel words."""
    for layer in (writer.layer for writer in writers):
        source = layer.source.name
        if layer.depthwise and source not in members and source in result.orders:
            order = result.orders[source]
            position = np.zeros(layer.source.channels, np.int64)
            position[order[order >= 0]] = np.flatnonzero(order >= 0)
            multiplier = layer.target.channels // layer.source.channels
            return position[np.arange(layer.target.channels) // multiplier]
    return None


def _unplaceable(writers: list[_Writer], geometry: Geometry) -> CompileError:
    mix = f"{geometry.fixed8_lanes} fixed-8, {geometry.fixed4_lanes} fixed-4 and {geometry.lut_lanes} "
    mix += f"{geometry.lut_scheme.value} lanes"
    for writer in writers:
        if (lost := np.flatnonzero((writer.masks[1] | writer.masks[2]) == 0)).size:
            kind = writer.layer.convolution.formats[lost[0]].name
            return CompileError(
                f"{writer.layer.where}, filter {lost[0]}",
                f"no lane of a tile with {mix} holds its {kind} weights",
                "give the filter another format, or the geometry lanes of its class (fixed8_lanes holds every "
                "format whose integers are −128 … 127)",
            )
    names = ", ".join(repr(writer.layer.name) for writer in writers)
    return CompileError(
        f"layers {names}",
        "share one order of channels (an add, a pool or a depthwise layer ties them), and no lane of a tile with "
        f"{mix} holds what one channel needs in all of them",
        "give a channel the same format in all of them, or raise the geometry's fixed8_lanes",
    )

"""The order of every tensor's channels, chosen so that every filter falls in a lane that can hold it.

Tensors that meet in a residual add, or in a layer that works channel by channel (max pool, depthwise), form a *class* and
share one order: then an add needs no shuffle, and a tile of a depthwise layer needs only its own channel words. In a class
a channel needs a lane that holds the filters of that channel in all its convolutions.
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


def choose_orders(layers: tuple[LoweredLayer, ...], geometry: Geometry) -> Orders:
    """Orders that cost the fewest steps.

    Raises
    ------
    CompileError: no lanes hold a filter, or the filters that one channel has in a class.
    """
    tied = {layer.name for layer in layers if layer.depthwise and layer.keeps_order}
    result = Orders({}, {}, {})
    for members in _classes(layers, tied):
        writers = [layer for layer in layers if layer.target.name in members and layer.weight is not None]
        if _choose_digits(writers, geometry) is None:
            tied -= {layer.name for layer in writers}
    for members in _classes(layers, tied):
        _place_class(members, layers, geometry, result)
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


def _masks(writers: list[LoweredLayer], digits: tuple[int, ...], geometry: Geometry) -> np.ndarray:
    joint = np.full(writers[0].target.channels, -1, np.int64)
    for layer, count in zip(writers, digits):
        assert layer.weight is not None
        joint &= lane_masks(layer.weight, geometry, digits=count == 2)
    return joint


def _choose_digits(writers: list[LoweredLayer], geometry: Geometry) -> tuple[int, ...] | None:
    """Weight digits of the convolutions of a class that cost the fewest steps; None where no combination works."""
    if not writers:
        return ()
    single = [lane_masks(layer.weight, geometry, digits=False) for layer in writers if layer.weight is not None]
    double = [lane_masks(layer.weight, geometry, digits=True) for layer in writers if layer.weight is not None]
    steps = [_steps_of_tile(layer, geometry) for layer in writers]
    fits = [2 * _run_words(layer, geometry) <= geometry.weight_depth for layer in writers]

    def cost(digits: tuple[int, ...]) -> float:
        if any(count == 2 and not fit for count, fit in zip(digits, fits)):
            return float("inf")
        joint = np.bitwise_and.reduce([double[n] if count == 2 else single[n] for n, count in enumerate(digits)])
        tiles = minimum_tiles(joint, geometry)
        return float("inf") if tiles is None else tiles * sum(count * step for count, step in zip(digits, steps))

    size = len(writers)
    if size <= EXHAUSTIVE_LAYERS:
        candidates = list(itertools.product((1, 2), repeat=size))
    else:
        candidates = [(1,) * size, (2,) * size]
        candidates += [tuple(2 if other == n else 1 for other in range(size)) for n in range(size)]
        candidates += [tuple(1 if other == n else 2 for other in range(size)) for n in range(size)]
    best = min(candidates, key=cost)
    return best if cost(best) < float("inf") else None


def _run_words(layer: LoweredLayer, geometry: Geometry) -> int:
    """Weight words of a run, before the order of the input is known: the least."""
    assert layer.weight is not None
    words = geometry.tile_words if layer.depthwise else -(-layer.source.channels // geometry.word_channels)
    return layer.kernel[0] * layer.kernel[1] * words


def _steps_of_tile(layer: LoweredLayer, geometry: Geometry) -> int:
    pixels = layer.target.height * layer.target.width
    return pixels * _run_words(layer, geometry) * digits_of(layer.source, geometry)


def _place_class(members: list[str], layers: tuple[LoweredLayer, ...], geometry: Geometry, result: Orders) -> None:
    writers = [layer for layer in layers if layer.target.name in members and layer.weight is not None]
    if not writers:
        reader = next(layer for layer in layers if layer.source.name in members)
        for name in members:
            result.placements[name] = None
            result.orders[name] = natural(reader.source.channels, geometry.word_channels)
        return
    digits = _choose_digits(writers, geometry)
    placement = None
    if digits is not None:
        placement = place(_masks(writers, digits, geometry), geometry, key=_key(writers, members, result))
    if digits is None or placement is None:
        raise _unplaceable(writers, geometry)
    for name in members:
        result.placements[name] = placement
        result.orders[name] = placement.order
    for layer, count in zip(writers, digits):
        result.weight_digits[layer.name] = count


def _key(writers: list[LoweredLayer], members: list[str], result: Orders) -> np.ndarray | None:
    """Where a depthwise layer does not share its input's order: that order, so that a tile needs few channel words."""
    for layer in writers:
        source = layer.source.name
        if layer.depthwise and source not in members and source in result.orders:
            order = result.orders[source]
            position = np.zeros(layer.source.channels, np.int64)
            position[order[order >= 0]] = np.flatnonzero(order >= 0)
            multiplier = layer.target.channels // layer.source.channels
            return position[np.arange(layer.target.channels) // multiplier]
    return None


def _unplaceable(writers: list[LoweredLayer], geometry: Geometry) -> CompileError:
    mix = f"{geometry.fixed8_lanes} fixed-8, {geometry.fixed4_lanes} fixed-4 and {geometry.lut_lanes} "
    mix += f"{geometry.lut_scheme.value} lanes"
    for layer in writers:
        assert layer.weight is not None
        held = lane_masks(layer.weight, geometry, digits=False) | lane_masks(layer.weight, geometry, digits=True)
        if (lost := np.flatnonzero(held == 0)).size:
            kind = layer.convolution.formats[lost[0]].name
            return CompileError(
                f"{layer.where}, filter {lost[0]}",
                f"no lane of a tile with {mix} holds its {kind} weights",
                "give the filter another format, or the geometry lanes of its class (fixed8_lanes holds every "
                "format whose integers are −128 … 127)",
            )
    names = ", ".join(repr(layer.name) for layer in writers)
    return CompileError(
        f"layers {names}",
        f"share one order of channels (an add, a pool or a depthwise layer ties them), and no lane of a tile with {mix} "
        "holds what one channel needs in all of them",
        "give a channel the same format in all of them, or raise the geometry's fixed8_lanes",
    )

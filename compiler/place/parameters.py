"""A layer's weights and constants as they lie in Region.PARAMETERS."""

import dataclasses
import itertools

import numpy as np

from ...hdl.encoding import encode_weights, offset_code, pack_weight_words
from ...hdl.geometry import CONSTANT_BITS, Geometry
from ...hdl.isa import CONSTANT_LAYOUT
from ..lower.layers import MachineLayer
from ..lower.on_load import kernels_bytes
from ..span import Span
from .lanes import DIGIT_CLASSES, Placement

ALIGNMENT = 64
"""Bytes that tensors, weight streams and constants are aligned to."""


def align(size: int) -> int:
    """The next multiple of `ALIGNMENT`."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclasses.dataclass(frozen=True)
class ParameterBlock:
    """Where a layer's parameters are.

    Members
    -------
    weights: bytes from the region's base of port 0's stream.
    port_stride: bytes between the streams of two ports.
    slice_bytes: bytes of one weight word in one port's stream.
    run_words: per tile, weight words of one run.
    digits: runs of a tile: weight digits.
    first_word: per tile, its first weight word; one more entry at the end.
    shared: the words of all tiles are the same, and lie there once.
    constants: bytes from the region's base of the first tile's constants; the others follow, To × 8 bytes each.
    kernels: bytes from the region's base of the kernels of a depthwise layer that is computed on load; else 0.
    """

    weights: int
    port_stride: int
    slice_bytes: int
    run_words: tuple[int, ...]
    digits: int
    first_word: tuple[int, ...]
    shared: bool
    constants: int
    kernels: int = 0

    def streams(self, geometry: Geometry) -> bool:
        """Whether a tile's words do not fit the ring: they then pass through it once for every group."""
        return max(self.run_words) * self.digits > geometry.weight_depth


def source_words(layer: MachineLayer, source_order: np.ndarray, placement: Placement) -> list[Span]:
    """Per tile the range of input channel words that its filters read."""
    width = placement.word_channels
    if not layer.depthwise:
        return [Span(0, len(source_order) // width)] * placement.tiles
    position = _positions(source_order)
    multiplier = layer.target.channels // layer.source.channels
    ranges = []
    for row in placement.lanes:
        words = position[row[row >= 0] // multiplier] // width
        ranges.append(Span(int(words.min()), int(words.max()) + 1))
    return ranges


def _positions(order: np.ndarray) -> np.ndarray:
    used = np.flatnonzero(order >= 0)
    position = np.zeros(len(used), np.int64)
    position[order[used]] = used
    return position


def tile_weights(
    layer: MachineLayer, source_order: np.ndarray, filters: np.ndarray, words: Span, width: int
) -> np.ndarray:
    """Integer weights of a tile in step order: steps (ky, kx, channel word) × To × Ti, int64; 0 where there is none.

    Parameters
    ----------
    filters: the filter in each lane, −1 where it idles.
    words: the range of input channel words that the tile reads.
    width: Ti.
    """
    assert layer.weight is not None
    order = source_order[words.begin * width : words.end * width]
    lanes, slots = np.flatnonzero(filters >= 0), np.flatnonzero(order >= 0)
    dense = np.zeros((len(filters), len(order), *layer.kernel), np.int64)
    if layer.depthwise:
        multiplier = layer.target.channels // layer.source.channels
        slot_of = np.full(layer.source.channels, -1, np.int64)
        slot_of[order[slots]] = slots
        dense[lanes, slot_of[filters[lanes] // multiplier]] = layer.weight[filters[lanes], 0]
    else:
        dense[np.ix_(lanes, slots)] = layer.weight[np.ix_(filters[lanes], order[slots])]
    steps = dense.reshape(len(filters), -1, width, *layer.kernel).transpose(3, 4, 1, 0, 2)
    return steps.reshape(-1, len(filters), width)


def stored_codes(geometry: Geometry, weights: np.ndarray, digits: int) -> np.ndarray:
    """Stored codes (uint8, steps of all runs × To × Ti) of a tile's integer weights (steps × To × Ti)."""
    runs = np.zeros((digits, *weights.shape), np.uint8)
    for kind in dict.fromkeys(geometry.lanes):
        lanes = [lane for lane, other in enumerate(geometry.lanes) if other is kind]
        if digits == 1:
            runs[0][:, lanes] = encode_weights(kind, weights[:, lanes])
        elif kind in DIGIT_CLASSES:
            binary = (weights[:, lanes] + 128).astype(np.uint8)
            runs[0][:, lanes], runs[1][:, lanes] = binary >> 4, binary & 15
    return runs.reshape(-1, *weights.shape[1:])


def constants_bytes(geometry: Geometry, layer: MachineLayer, filters: np.ndarray, digits: int) -> bytes:
    """A tile's constants in drain order: To × 8 bytes."""
    convolution = layer.convolution
    words = np.zeros(geometry.tile_filters, np.uint64)
    shifts = dict(
        zip(
            (field.name for field in CONSTANT_LAYOUT),
            itertools.accumulate((field.width for field in CONSTANT_LAYOUT), initial=0),
        )
    )
    masks = {field.name: (1 << field.width) - 1 for field in CONSTANT_LAYOUT}
    half = 1 << convolution.shift >> 1
    for lane, filter_ in enumerate(filters.tolist()):
        if filter_ < 0:
            continue
        values = {
            "multiplier": int(convolution.multiplier[filter_]),
            "offset": int(offset_code(geometry.lanes[lane], digits=digits == 2)),
            "bias": int(convolution.bias[filter_]) + half,
        }
        words[lane] = sum((value & masks[name]) << shifts[name] for name, value in values.items())
    units = geometry.post_units
    return words.reshape(units, geometry.drain_cycles).T.astype("<u8").tobytes()


assert sum(field.width for field in CONSTANT_LAYOUT) == CONSTANT_BITS


def add_parameters(
    geometry: Geometry,
    layer: MachineLayer,
    source_order: np.ndarray,
    placement: Placement,
    digits: int,
    parameters: bytearray,
) -> ParameterBlock:
    """Appends a layer's weight streams and constants to the region's contents, and says where they are."""
    width = geometry.word_channels
    runs, words = [], []
    for filters, span in zip(placement.lanes, source_words(layer, source_order, placement)):
        weights = tile_weights(layer, source_order, filters, span, width)
        words.append(pack_weight_words(geometry, stored_codes(geometry, weights, digits)))
        runs.append(len(weights))
    # The filters of an average pool, say, are all alike, and so are their tiles, but for the constants.
    fits = runs[0] * digits <= geometry.weight_depth
    shared = layer.depthwise and fits and len(words) > 1 and all(np.array_equal(words[0], word) for word in words)
    stream = words[0] if shared else np.concatenate(words)
    ports, slice_bytes = geometry.weight_ports, geometry.weight_slice_bits // 8
    port_stride = align(len(stream) * slice_bytes)
    start = align(len(parameters))
    parameters.extend(bytes(start - len(parameters)))
    for port in range(ports):
        part = np.ascontiguousarray(stream[:, port * slice_bytes : (port + 1) * slice_bytes]).tobytes()
        parameters.extend(part.ljust(port_stride, b"\0"))
    constants = len(parameters)
    for filters in placement.lanes:
        parameters.extend(constants_bytes(geometry, layer, filters, digits))
    first = (0, *itertools.accumulate(run * digits for run in runs))
    if shared:
        first = (0,) * len(runs) + (len(stream),)
    kernels = 0
    if layer.on_load is not None:
        kernels = align(len(parameters))
        parameters.extend(bytes(kernels - len(parameters)))
        parameters.extend(kernels_bytes(layer.on_load, source_order, geometry))
    return ParameterBlock(start, port_stride, slice_bytes, tuple(runs), digits, first, shared, constants, kernels)

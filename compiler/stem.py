"""Exact rewrite of a strided stem as space-to-depth: a stride-s window as one of stride 1 on s² times as many channels.

Pixel (s·Y + dy, s·X + dx) of channel c becomes pixel (Y, X) of channel (dy·s + dx)·C + c. Tap ky of a window that
begins `pad` rows above its map reads row s·y + ky − pad = s·(y + j) + dy, with ky − pad = s·j + dy: it becomes tap j
of a window of stride 1. Taps that no original tap maps to get weight 0, and rows that folding appends to the map hold
code 0, as padding does; so every sum is the original one.
"""

import numpy as np

from ..hdl.geometry import Geometry
from ..quant.graph import Convolution, IntegerGraph


def _folded_taps(size: int, pad: int, factor: int) -> tuple[int, int]:
    """First folded tap (≤ 0) and number of folded taps of a window of `size` taps after `pad` zero rows."""
    first = -pad // factor
    return first, (size - 1 - pad) // factor - first + 1


def fold_weight(weight: np.ndarray, padding: tuple[int, int], factor: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The weight of a stride-`factor` convolution after its input is folded, and its new padding (top, left).

    Parameters
    ----------
    weight: filters × channels × rows × columns.
    padding: zero rows above and zero columns left of the map.
    factor: the stride, and the factor of space-to-depth.
    """
    filters, channels, rows, columns = weight.shape
    first_y, size_y = _folded_taps(rows, padding[0], factor)
    first_x, size_x = _folded_taps(columns, padding[1], factor)
    folded = np.zeros((filters, factor, factor, channels, size_y, size_x), weight.dtype)
    for ky in range(rows):
        y, dy = divmod(ky - padding[0], factor)
        for kx in range(columns):
            x, dx = divmod(kx - padding[1], factor)
            folded[:, dy, dx, :, y - first_y, x - first_x] = weight[:, :, ky, kx]
    return folded.reshape(filters, -1, size_y, size_x), (-first_y, -first_x)


def _steps(layer: Convolution, channels: int, factor: int, geometry: Geometry) -> int:
    """Steps of one output pixel of one tile with the input folded by `factor`."""
    size_y, size_x = layer.kernel
    if factor > 1:
        size_y = _folded_taps(size_y, layer.padding.top, factor)[1]
        size_x = _folded_taps(size_x, layer.padding.left, factor)[1]
    return -(-channels * factor**2 // geometry.word_channels) * size_y * size_x


def fold_factor(graph: IntegerGraph, geometry: Geometry) -> int:
    """The factor by which the network's input is worth folding; 1 where it is not, or where a layer forbids it.

    Every layer that reads the input must be a convolution over all channels with the same stride in both directions,
    and the pixels of all of them together must take fewer steps.
    """
    readers = [layer for layer in graph.computing if graph.input in layer.inputs]
    strides = {layer.stride for layer in readers}
    if len(strides) != 1:
        return 1
    ((stride_y, stride_x),) = strides
    if stride_y != stride_x or stride_y == 1:
        return 1
    before = after = 0
    for layer in readers:
        if not isinstance(layer, Convolution) or layer.depthwise or layer.residual == graph.input:
            return 1
        target = graph.tensors[layer.output]
        pixels = target.height * target.width * -(-target.channels // geometry.tile_filters)
        channels = graph.tensors[graph.input].channels
        before += pixels * _steps(layer, channels, 1, geometry)
        after += pixels * _steps(layer, channels, stride_y, geometry)
    return stride_y if after < before else 1

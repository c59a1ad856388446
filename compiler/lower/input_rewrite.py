"""Exact rewrite of a network's first convolutions over an image of few channels, which would leave words half empty.

Each axis of the window may be folded into n taps of stride 1: position Y of the stored map then holds, as channels, the
pixels s·Y + d for some offsets d, such that those of n neighbouring positions are the window's (s: the stride). With as
few offsets as the stride this is space-to-depth. With more of them pixels are stored several times, and fewer taps
are left: ResNet's 7 × 7 window of stride 2 on 3 channels, 49 steps as it is, becomes 4 × 4 taps of 12 channels by
space-to-depth, or a row of 4 taps of 42, which are 12 steps of 16 channels.

What a tap's position holds twice gets its weight once, and pixels outside the image are code 0, as padding is; so every
sum is the original one. An image that is padded with other codes is always stored so, with its border: what reads it
then pads nothing.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from ...hdl.geometry import Geometry
from ...quant.graph.graph import Convolution, IntegerGraph, TensorType
from ..program.input_fold import ROW_BITS, AxisFold, InputFold


@dataclasses.dataclass(frozen=True)
class AxisWindow:
    """One axis of the window over the stored map.

    Members
    -------
    fold: how the axis is stored.
    taps, stride: of the window over stored positions.
    pad: positions of zeros before the first.
    """

    fold: AxisFold
    taps: int
    stride: int
    pad: int

    def tap(self, pixel: int) -> tuple[int, int]:
        """A tap, and the offset in it, that hold a pixel, counted from the output's own pixel (stride · number)."""
        for tap, offset in itertools.product(range(self.taps), self.fold.offsets):
            if self.fold.stride * (tap - self.pad) + offset == pixel:
                return tap, offset
        raise AssertionError("the window does not hold the pixel")


@dataclasses.dataclass(frozen=True)
class InputRewrite:
    """How the input is stored, and the window over it that replaces every window over the image."""

    image: TensorType
    rows: AxisWindow
    columns: AxisWindow

    @cached_property
    def fold(self) -> InputFold:
        """How the input is stored."""
        return InputFold(self.image.channels, self.rows.fold, self.columns.fold, self.image.border)

    @property
    def source(self) -> TensorType:
        """The type of the stored map."""
        fold = self.fold
        rows, columns = fold.rows.positions, fold.columns.positions
        return dataclasses.replace(self.image, channels=len(fold.channels), height=rows, width=columns, border=())

    def weight(self, layer: Convolution) -> np.ndarray:
        """A layer's weight, filters × folded channels × taps × taps."""
        filters, channels, size_y, size_x = layer.weight.shape
        number = {place: index for index, place in enumerate(self.fold.channels)}
        folded = np.zeros((filters, len(number), self.rows.taps, self.columns.taps), layer.weight.dtype)
        for ky, kx in itertools.product(range(size_y), range(size_x)):
            tap_y, dy = self.rows.tap(ky - layer.padding.top)
            tap_x, dx = self.columns.tap(kx - layer.padding.left)
            for channel in range(channels):
                folded[:, number[dy, dx, channel], tap_y, tap_x] = layer.weight[:, channel, ky, kx]
        return folded


def axis_windows(
    first: int, last: int, stride: int, size: int, outputs: int, *, bordered: bool = False
) -> Iterator[AxisWindow]:
    """Every way to store an axis of `size` pixels whose windows cover pixels first … last around stride · output.

    The first one is the axis as it is. With a border every pixel of every window is stored.
    """
    reach = last - first + 1
    if bordered:
        yield AxisWindow(AxisFold(1, (first,), stride * (outputs - 1) + reach), reach, stride, 0)
    else:
        yield AxisWindow(AxisFold(1, (0,), size), reach, stride, -first)
    for taps in range(1, -(-reach // stride) + 1):
        origins = range(first - stride + 1, first + 1)
        choices = [_fold(origin, last, stride, taps, size, outputs, bordered) for origin in origins]
        yield min(choices, key=lambda window: (len(window.fold.offsets), window.fold.positions))


def _fold(origin: int, last: int, stride: int, taps: int, size: int, outputs: int, bordered: bool) -> AxisWindow:
    """The window of `taps` taps over pixels origin … last, with the fewest offsets."""
    offsets: list[int] = []
    for start in range(origin, min(origin + stride, last + 1)):  # pixels of one residue follow one another
        copies = -(-len(range(start, last + 1, stride)) // taps)
        offsets += [start + stride * taps * copy for copy in range(copies)]
    offsets.sort()
    if bordered:
        return AxisWindow(AxisFold(stride, tuple(offsets), outputs - 1 + taps), taps, 1, 0)
    # Position 0 is the first that holds a pixel of the image; before it there are only zeros.
    pad = max(0, -(offsets[-1] // stride))
    offsets = [offset + stride * pad for offset in offsets]
    positions = min((size - 1 - offsets[0]) // stride + 1, outputs - 1 + taps - pad)
    return AxisWindow(AxisFold(stride, tuple(offsets), max(positions, 1)), taps, 1, pad)


def choose_input_rewrite(graph: IntegerGraph, geometry: Geometry) -> InputRewrite | None:
    """How the network's input is best stored otherwise than as it is; None where that gains nothing or is impossible.
    With a border it is always possible, by the contract of the graph, and needed.

    Every layer that reads the input must be a convolution over all channels, and all must have one stride and one size
    of output; their windows are united. The array must take fewer steps; then what counts is the larger one of the
    cycles that it takes for these layers and those in which the maps engine loads the input, then their sum.
    """
    readers = [layer for layer in graph.computing if graph.input in layer.inputs]
    layers = [layer for layer in readers if isinstance(layer, Convolution) and not layer.depthwise]
    if not layers or len(layers) < len(readers) or any(layer.residual == graph.input for layer in layers):
        return None
    shapes = {(layer.stride, graph.tensors[layer.output].height, graph.tensors[layer.output].width) for layer in layers}
    if len(shapes) > 1:
        return None
    image = graph.tensors[graph.input]
    (((stride_y, stride_x), height, width),) = shapes
    kernels, pads = [layer.kernel for layer in layers], [layer.padding for layer in layers]
    if image.zero_point and any(pads):
        image = dataclasses.replace(image, border=image.padding_codes)
    bordered = bool(image.border)
    rows = _united([k[0] for k in kernels], [pad.top for pad in pads], stride_y, image.height, height, bordered)
    columns = _united([k[1] for k in kernels], [pad.left for pad in pads], stride_x, image.width, width, bordered)
    tiles = sum(-(-graph.tensors[layer.output].channels // geometry.tile_filters) for layer in layers)

    def steps(y: AxisWindow, x: AxisWindow) -> int:
        return tiles * -(-height // geometry.pixel_lanes) * width * words(y, x) * y.taps * x.taps

    def words(y: AxisWindow, x: AxisWindow) -> int:
        return -(-image.channels * len(y.fold.offsets) * len(x.fold.offsets) // geometry.word_channels)

    def cost(y: AxisWindow, x: AxisWindow) -> tuple[float, float]:
        # Groups of lanes load side by side, each the rows of its own windows.
        both = (geometry.maps_ports - 1) * max(0, y.taps - y.stride)
        places = (y.fold.positions + both) * x.fold.positions
        loaded = places * words(y, x) * geometry.cycles_per_word / geometry.maps_ports
        return max(steps(y, x), loaded), steps(y, x) + loaded

    most = ROW_BITS // geometry.activation_bits // image.channels
    choices = itertools.product(rows, (window for window in columns if len(window.fold.offsets) <= most))
    best = min(choices, key=lambda choice: cost(*choice), default=None)
    if best is None or steps(*best) >= steps(rows[0], columns[0]):
        return InputRewrite(image, rows[0], columns[0]) if bordered else None
    return InputRewrite(image, *best)


def _united(
    kernels: Sequence[int], pads: Sequence[int], stride: int, size: int, outputs: int, bordered: bool
) -> list[AxisWindow]:
    """`axis_windows` of the windows of several layers together."""
    first = min(-pad for pad in pads)
    last = max(kernel - 1 - pad for kernel, pad in zip(kernels, pads, strict=True))
    return list(axis_windows(first, last, stride, size, outputs, bordered=bordered))

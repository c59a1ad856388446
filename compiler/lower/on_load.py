"""Depthwise layers that the maps engine computes while it loads the input of the layer after them.

Their output is never stored, and they take no step of the array. A geometry can with `depthwise_channels`.
"""

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from ...hdl.encoding import kernel_words
from ...hdl.geometry import Geometry
from ...hdl.isa import DEPTHWISE_COLUMNS, KERNEL_SIZE, KERNEL_WORDS
from ...quant.graph.graph import Convolution, IntegerGraph
from ...quant.graph.tensors import UNPADDED
from ..span import Padded, Span
from .layers import MachineLayer, digits_of


def compute_on_load(
    layers: Sequence[MachineLayer], graph: IntegerGraph, geometry: Geometry, *, but: Collection[str] = ()
) -> tuple[MachineLayer, ...]:
    """The layers that are left, numbered anew, when those that can be computed on load belong to their readers.

    Parameters
    ----------
    but: names of depthwise layers that are left to the array.
    """
    if not geometry.depthwise_channels:
        return tuple(layers)
    written = {layer.target.name: layer for layer in layers}
    pairs = {layer.name: before for layer in layers
             if (before := written.get(layer.source.name)) and before.name not in but
             and _fits(before, layer, graph, geometry)}  # fmt: skip
    gone = {before.name for before in pairs.values()}
    left = [layer for layer in layers if layer.name not in gone]
    return tuple(
        dataclasses.replace(layer, number=number, on_load=pairs.get(layer.name)) for number, layer in enumerate(left)
    )


def _fits(before: MachineLayer, layer: MachineLayer, graph: IntegerGraph, geometry: Geometry) -> bool:
    """Whether the unit can compute `before` while the input of `layer`, its only reader, is loaded."""
    source, target = before.source, before.target
    depthwise = before.layer
    if not isinstance(depthwise, Convolution) or not before.depthwise or before.weight is None:
        return False
    # Where the source has a border, the unit reads it as it reads the map.
    padding = UNPADDED if before.border else depthwise.padding
    columns = source.width + padding.left + padding.right
    return (
        before.kernel == (KERNEL_SIZE, KERNEL_SIZE)
        and before.stride in ((1, 1), (2, 2))
        and max(dataclasses.astuple(padding)) <= 1
        and columns <= DEPTHWISE_COLUMNS
        and source.channels == target.channels
        and depthwise.residual is None
        and digits_of(source, geometry) == digits_of(target, geometry) == 1
        and -128 <= before.weight.min() <= before.weight.max() <= 127
        and source.name != graph.input
        and source.name not in graph.concatenations
        and target.name not in graph.outputs
        and list(graph.consumers(target.name)) == [layer.layer]
        and isinstance(layer.layer, Convolution)
        and not layer.depthwise
        and not layer.border
        and layer.layer.residual != target.name
        and layer.stride == (1, 1)
    )


def kernels_bytes(layer: MachineLayer, order: np.ndarray, geometry: Geometry) -> bytes:
    """A depthwise layer's kernels as LOAD_MAP reads them: `KERNEL_WORDS` words for each channel word of `order`."""
    convolution = layer.convolution
    assert layer.weight is not None
    bias = convolution.bias + (1 << convolution.shift >> 1)
    used = np.flatnonzero(order >= 0)
    channels = order[used]
    digits = np.zeros((KERNEL_WORDS, len(order)), np.uint8)
    weights = layer.weight[channels, 0].transpose(1, 2, 0)
    digits[:, used] = kernel_words(weights, convolution.multiplier[channels], bias[channels])
    # [channel word][digit][slot], `activation_bits` to a slot.
    slots = digits.reshape(KERNEL_WORDS, -1, geometry.word_channels).transpose(1, 0, 2)
    bits = np.unpackbits(slots.reshape(-1, 1), axis=1, bitorder="little")[:, : geometry.activation_bits]
    return np.packbits(bits.reshape(-1), bitorder="little").tobytes()


def _reach(outputs: Span, *, stride: int, pad: int, size: int) -> Padded:
    """What outputs of a 3×3 window need of a map of `size` rows (or columns)."""
    first, last = outputs.begin * stride - pad, (outputs.end - 1) * stride - pad + KERNEL_SIZE
    return Padded(Span(max(0, first), min(size, last)), max(0, -first), max(0, last - size))


def stored_box(layer: MachineLayer, rows: Span, columns: Span) -> tuple[Padded, Padded]:
    """Rows and columns of the map in memory that rows and columns of a layer's input come from."""
    if (before := layer.on_load) is None:
        return Padded(rows, 0, 0), Padded(columns, 0, 0)
    stride, size = before.stride[0], before.source
    return (
        _reach(rows, stride=stride, pad=before.pad_top, size=size.height),
        _reach(columns, stride=stride, pad=before.pad_left, size=size.width),
    )

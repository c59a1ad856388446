"""Readers of what only looks at a map in another way, takes a part of it, or puts zeros around it."""

import math

import torch

from ...graph.graph import Padding
from ..operations import Operation, Pool, Unsupported, Value
from .call import Call, Readers, add_padding

aten = torch.ops.aten


def _view(call: Call) -> Value:
    """Views that keep the map, or make it a vector, maybe by way of joined rows and columns."""
    source = call.value("self" if "self" in call.arguments else "input")
    if call.shape == (1, *source.shape):
        return Value(source.name, source.shape)
    if call.shape[:1] == (1,) and len(call.shape) in (2, 3) and math.prod(call.shape) == math.prod(source.shape):
        return Value(source.name, source.shape, flat=True)
    raise Unsupported(
        f"it reshapes a map of shape {source.shape} to {tuple(call.shape[1:])}",
        "only flattening it to a vector is possible",
    )


def _pad(call: Call) -> Value:
    """Zeros around a map, for a convolution or an average pool to take into its own padding."""
    source, sides = call.padded("self"), list(call["pad"])
    mode = call.arguments.get("mode", "constant")
    left, right, top, bottom = (sides + [0] * 4)[:4]
    if mode != "constant" or call["value"] or len(sides) > 4 or len(call.shape) != 4 or min(sides) < 0:
        raise Unsupported(
            f"only zeros around rows and columns can be padded, not mode={mode!r}, pad={tuple(sides)}, "
            f"value={call['value'] or 0}",
            "use padding=… with padding_mode='zeros'",
        )
    return Value(source.name, source.shape, padding=add_padding(source.padding, Padding(top, left, bottom, right)))


def _slice(call: Call) -> Operation | Value:
    """Every so-many-th row or column from the first on: a max pool of 1 × 1."""
    source, seen = call.value("self"), call.seen("self")
    axis, step = call["dim"] % len(seen), int(call["step"])
    start, end = int(call["start"] or 0), seen[axis] if call["end"] is None else int(call["end"])
    if (start, step) == (0, 1) and end >= seen[axis]:
        return Value(source.name, source.shape, source.flat)
    if axis == 1 or len(seen) != 4:
        raise Unsupported("maps cannot be cut along channels", "use a 1×1 convolution for each part instead")
    if start or end < seen[axis]:
        raise Unsupported(
            f"it takes {'rows' if axis == 2 else 'columns'} {start} … {min(end, seen[axis]) - 1} of {seen[axis]}",
            "crop the images before the network, or use a convolution or a pool without padding",
        )
    stride = (step, 1) if axis == 2 else (1, step)
    return Pool(name=call.name, inputs=(source.name,), shape=call.map_shape, kernel=(1, 1), stride=stride)


def _select(call: Call) -> Value:
    """The one row or column that there is."""
    source, seen = call.value("self"), call.seen("self")
    axis = call["dim"] % len(seen)
    if axis == 0 or math.prod(call.shape) != math.prod(source.shape):
        what = {0: "an image of the batch", 1: "a channel", 2: "a row", 3: "a column"}[axis]
        raise Unsupported(
            f"it takes {what} out of {seen[axis]}",
            "flatten maps of one row and one column, after a global pool, instead of indexing larger ones",
        )
    return Value(source.name, source.shape, flat=True)


READERS: Readers = {
    aten.slice.Tensor: _slice,
    aten.select.int: _select,
    aten.pad.default: _pad,
    aten.constant_pad_nd.default: _pad,
    **dict.fromkeys(
        (
            aten.view.default,
            aten.reshape.default,
            aten._unsafe_view.default,
            aten.flatten.using_ints,
            aten.squeeze.dim,
            aten.squeeze.dims,
            aten.unsqueeze.default,
            aten.clone.default,
            aten.alias.default,
            aten.contiguous.default,
            aten.dropout.default,
            aten.detach.default,
        ),
        _view,
    ),
}

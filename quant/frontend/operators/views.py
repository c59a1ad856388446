"""Readers of what only looks at a map in another way, or puts zeros around it."""

import math

import torch

from ...graph.graph import Padding
from ..operations import Unsupported, Value
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
            f"only zeros around rows and columns can be padded, not mode={mode!r}, pad={tuple(sides)}",
            "use padding=… with padding_mode='zeros'",
        )
    return Value(source.name, source.shape, padding=add_padding(source.padding, Padding(top, left, bottom, right)))


READERS: Readers = {
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

"""Readers of what has weights: convolutions, linear layers, batch norms."""

import math

import torch
from torch import Tensor

from ...graph.graph import Padding
from ..operations import Affine, Conv, Operation, Unsupported
from .call import Call, Readers, add_padding, unflattened

aten = torch.ops.aten


def _convolution(call: Call) -> Operation:
    source, weight = unflattened(call.padded("input")), call.tensor("weight").double()
    stride, dilation, groups = call.pair("stride"), call.pair("dilation"), call["groups"]
    channels, kernel = source.shape[0], (weight.shape[2], weight.shape[3])
    if dilation != (1, 1):
        raise Unsupported(f"dilation {dilation} is not supported", "use dilation=1 (with a larger kernel)")
    if groups not in (1, channels):
        raise Unsupported(
            f"groups={groups} with {channels} channels is not supported",
            f"use groups=1 or groups={channels} (depthwise)",
        )
    padding = call["padding"]
    if padding == "valid":
        edges = Padding()
    elif padding == "same":
        edges = Padding(*((size - 1) // 2 for size in kernel), *(size // 2 for size in kernel))
    else:
        rows, columns = call.pair("padding")
        edges = Padding(rows, columns, rows, columns)
    edges = add_padding(edges, source.padding)
    return Conv(
        name=call.name, inputs=(source.name,), shape=call.map_shape, weight=weight, bias=_bias(call, weight),
        stride=stride, padding=edges, groups=groups,
    )  # fmt: skip


def _linear(call: Call) -> Operation:
    source, weight = call.value("input"), call.tensor("weight").double()
    if len(call.shape) != 2 or weight.shape[1] != math.prod(source.shape):
        raise Unsupported(f"it reads a map of shape {source.shape} row by row", "flatten the map to a vector before it")
    return Conv(
        name=call.name, inputs=(source.name,), shape=(weight.shape[0], 1, 1),
        weight=weight.reshape(weight.shape[0], *source.shape), bias=_bias(call, weight), kind="linear",
    )  # fmt: skip


def _bias(call: Call, weight: Tensor) -> Tensor:
    if call["bias"] is None:
        return torch.zeros(len(weight), dtype=weight.dtype)
    return call.tensor("bias").double()


def _batch_norm(call: Call) -> Operation:
    source = call.map("input")
    if call["running_mean"] is None or call["running_var"] is None:
        raise Unsupported("it has no running statistics", "use track_running_stats=True")
    mean, variance = call.tensor("running_mean").double(), call.tensor("running_var").double()
    factor = (variance + call["eps"]).rsqrt()
    if call["weight"] is not None:
        factor = factor * call.tensor("weight").double()
    offset = -mean * factor
    if call["bias"] is not None:
        offset = offset + call.tensor("bias").double()
    return Affine(name=call.name, inputs=(source.name,), shape=source.shape, factor=factor, offset=offset)


READERS: Readers = {
    aten.conv2d.default: _convolution,
    aten.conv2d.padding: _convolution,
    aten.linear.default: _linear,
    aten._native_batch_norm_legit_no_training.default: _batch_norm,
    aten.batch_norm.default: _batch_norm,
}

"""Readers of the operators that `torch.export` leaves: each checks its arguments and makes an `Operation`."""

import dataclasses
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from ..graph.graph import Padding
from .operations import Add, Affine, Clamp, Concatenate, Conv, Operation, Pool, Unsupported, Value

aten = torch.ops.aten

Result = Operation | Value | None
"""What a node becomes: an operation, another view of a value, or nothing (an unknown operand of an unknown)."""


class _Call:
    """A node's arguments by the names of its schema, with nodes replaced by what they stand for."""

    def __init__(self, node: fx.Node, values: Mapping[fx.Node, Any], name: str) -> None:
        self.node, self.name = node, name
        self.arguments: dict[str, Any] = {}
        schema = node.target._schema.arguments  # type: ignore[union-attr]
        for position, argument in enumerate(schema):
            value = node.kwargs.get(argument.name, _default(argument))
            value = node.args[position] if position < len(node.args) else value
            if isinstance(value, list | tuple):
                value = [values.get(item) if isinstance(item, fx.Node) else item for item in value]
            self.arguments[argument.name] = values.get(value) if isinstance(value, fx.Node) else value
        result = node.meta.get("val")
        self.shape = tuple(getattr(result[0] if isinstance(result, tuple) else result, "shape", ()))

    def __getitem__(self, key: str) -> Any:
        return self.arguments[key]

    def pair(self, key: str) -> tuple[int, int]:
        value = self[key]
        items = [value] if isinstance(value, int) else list(value)
        return (int(items[0]), int(items[-1]))

    def value(self, key: str) -> Value:
        """The operand, which must be a feature map without zeros around it."""
        value = self.padded(key)
        if value.padding:
            raise Unsupported("it reads a padded map", "only a convolution or an average pool may follow a pad")
        return value

    def padded(self, key: str) -> Value:
        """The operand, which must be a feature map; there may be zeros around it."""
        value = self[key]
        if not isinstance(value, Value):
            raise Unsupported(f"operand {key} is not a feature map", "only results of layers can be its operands")
        return value

    def seen(self, key: str) -> tuple[int, ...]:
        """The shape, batch included, in which the model sees the operand."""
        position = [argument.name for argument in self.node.target._schema.arguments].index(key)  # type: ignore[union-attr]
        return tuple(self.node.args[position].meta["val"].shape)  # type: ignore[union-attr]

    def map(self, key: str) -> Value:
        """The operand, which must not have been flattened (unless it is a vector anyway)."""
        return _unflattened(self.value(key))

    def tensor(self, key: str) -> Tensor:
        value = self[key]
        if not isinstance(value, Tensor):
            raise Unsupported(f"its {key} is computed by the model", "it must be a parameter or a buffer")
        return value


def _default(argument: Any) -> Any:
    return argument.default_value if argument.has_default_value() else None


def read(node: fx.Node, values: Mapping[fx.Node, Any], name: str) -> Result:
    """Reads one node of an exported graph.

    Parameters
    ----------
    values: what the nodes before stand for: Value, parameter tensor, or None.
    name: for the operation.

    Raises
    ------
    Unsupported: the accelerator has no such operator, or not with these arguments.
    """
    if node.target is operator.getitem:
        source, index = node.args
        value = values.get(source)  # type: ignore[arg-type]
        return value if index == 0 else None
    reader = _READERS.get(node.target)
    if reader is None:
        raise Unsupported(*_REFUSALS.get(_operator_name(node), _REFUSAL))
    operands = [values.get(argument) for argument in node.args if isinstance(argument, fx.Node)]
    if operands and operands[0] is None:
        return None  # the result of an operator that has been refused already
    return reader(_Call(node, values, name))


def _operator_name(node: fx.Node) -> str:
    return str(node.target).removeprefix("aten.").split(".")[0].strip("_")


_REFUSAL = (
    "the accelerator has no such operator",
    "use convolution, batch norm, ReLU, ReLU6, add, concatenation or pools instead",
)
_ACTIVATION = ("the only activations are ReLU and ReLU6", "replace it by nn.ReLU or nn.ReLU6 and fine-tune")
_NORM = ("it normalises by statistics of the image itself", "use BatchNorm2d with running statistics")
_LARGER = ("maps cannot be enlarged", "enlarge the image before the network, or its outputs after it")
_PRODUCT = ("maps cannot be multiplied with one another", "use convolutions or linear layers of constant weights")
_CHANNELS = ("maps cannot be cut or shuffled along channels", "use a 1×1 convolution for each part instead")
_REFUSALS = {
    **dict.fromkeys(("silu", "sigmoid", "hardsigmoid", "hardswish", "gelu", "leaky_relu", "elu"), _ACTIVATION),
    **dict.fromkeys(("prelu", "tanh", "mish", "softplus", "selu", "celu"), _ACTIVATION),
    **dict.fromkeys(("group_norm", "layer_norm", "instance_norm", "native_batch_norm_legit"), _NORM),
    **dict.fromkeys(("softmax", "log_softmax"), ("it is no integer operator", "apply it to the network's outputs")),
    **dict.fromkeys(("split", "chunk", "split_with_sizes", "slice", "channel_shuffle", "permute"), _CHANNELS),
    **dict.fromkeys(("transpose", "pixel_shuffle", "pixel_unshuffle", "index", "select"), _CHANNELS),
    **dict.fromkeys(("conv_transpose2d", "upsample_nearest2d", "upsample_bilinear2d"), _LARGER),
    **dict.fromkeys(("matmul", "bmm", "scaled_dot_product_attention"), _PRODUCT),
}


# Layers ---------------------------------------------------------------------------------------------------------------


def _convolution(call: _Call) -> Operation:
    source, weight = _unflattened(call.padded("input")), call.tensor("weight").double()
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
    edges = _sum(edges, source.padding)
    return Conv(
        name=call.name, inputs=(source.name,), shape=_map_shape(call), weight=weight, bias=_bias(call, weight),
        stride=stride, padding=edges, groups=groups,
    )  # fmt: skip


def _unflattened(value: Value) -> Value:
    if value.flat and value.shape[1:] != (1, 1):
        raise Unsupported(f"it reads a {value.shape} map that was flattened", "only linear, ReLU and dropout may")
    return value


def _sum(one: Padding, other: Padding) -> Padding:
    return Padding(*(left + right for left, right in zip(dataclasses.astuple(one), dataclasses.astuple(other))))


def _linear(call: _Call) -> Operation:
    source, weight = call.value("input"), call.tensor("weight").double()
    if len(call.shape) != 2 or weight.shape[1] != math.prod(source.shape):
        raise Unsupported(f"it reads a map of shape {source.shape} row by row", "flatten the map to a vector before it")
    return Conv(
        name=call.name, inputs=(source.name,), shape=(weight.shape[0], 1, 1),
        weight=weight.reshape(weight.shape[0], *source.shape), bias=_bias(call, weight), kind="linear",
    )  # fmt: skip


def _bias(call: _Call, weight: Tensor) -> Tensor:
    if call["bias"] is None:
        return torch.zeros(len(weight), dtype=weight.dtype)
    return call.tensor("bias").double()


def _batch_norm(call: _Call) -> Operation:
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


def _add(call: _Call) -> Operation:
    if not isinstance(call["self"], Value) or not isinstance(call["other"], Value):
        return _rescale(call)
    left, right = call.value("self"), call.value("other")
    if call["alpha"] != 1:
        raise Unsupported(f"alpha={call['alpha']} is not supported", "use alpha=1")
    if left.shape != right.shape or left.flat != right.flat or math.prod(call.shape) != math.prod(left.shape):
        raise Unsupported(f"it adds maps of shapes {left.shape} and {right.shape}", "both maps must have one shape")
    return Add(name=call.name, inputs=(left.name, right.name), shape=left.shape)


def _rescale(call: _Call) -> Operation:
    """A map times, over, plus or minus a constant: a number, or one for each channel."""
    what, behind = _operator_name(call.node), isinstance(call["self"], Value)
    constant = call.arguments.get("other", -1.0) if behind else call["self"]
    if isinstance(constant, Value):
        if what == "sub":
            raise Unsupported("maps cannot be subtracted", "negate the weights of the layer that makes one, and add")
        raise Unsupported("maps cannot be multiplied or divided", "remove the gate, and fine-tune")
    if not isinstance(constant, int | float | Tensor):
        raise Unsupported("its constant is computed by the model", "it must be a number, a parameter or a buffer")
    source = call.value("self" if behind else "other")
    if what == "div" and not behind:
        raise Unsupported("it divides by a map", "only a division by a constant is possible")
    if math.prod(call.shape) != math.prod(source.shape):
        raise Unsupported("its constant makes the map larger", "a number, or one for each channel, is possible")
    values = torch.broadcast_to(torch.as_tensor(constant, dtype=torch.float64), call.shape)
    values = values.reshape(source.shape[0], -1)
    if not bool((values == values[:, :1]).all()) or not bool(torch.isfinite(values).all()):
        raise Unsupported("its constant is not one finite number for each channel", "scale each channel as a whole")
    values, alpha = values[:, 0].contiguous(), float(call.arguments.get("alpha", 1))
    ones, zeros = torch.ones_like(values), torch.zeros_like(values)
    if what == "div" and not bool(values.all()):
        raise Unsupported("it divides by 0", "divide by a number that is not 0")
    factor, offset = {
        "mul": (values, zeros),
        "neg": (values, zeros),
        "div": (1 / values, zeros),
        "add": (ones, alpha * values) if behind else (alpha * ones, values),
        "sub": (ones, -alpha * values) if behind else (-alpha * ones, values),
        "rsub": (-alpha * ones, values),
    }[what]
    return Affine(name=call.name, inputs=(source.name,), shape=source.shape, factor=factor, offset=offset)


def _concatenate(call: _Call) -> Operation | Value | None:
    operands = call["tensors"]
    if any(operand is None for operand in operands):
        return None  # the result of an operator that has been refused already
    if not all(isinstance(operand, Value) for operand in operands):
        raise Unsupported("one of its operands is a constant", "only results of layers can be concatenated")
    if any(operand.flat and operand.shape[1:] != (1, 1) for operand in operands):
        raise Unsupported("it joins flattened maps", "concatenate the maps along channels, and flatten the result")
    if call["dim"] not in (1, 1 - len(call.shape)):
        raise Unsupported(f"it joins along dimension {call['dim']}", "only channels, dimension 1, can be concatenated")
    if len(operands) == 1:
        return operands[0]
    channels = sum(operand.shape[0] for operand in operands)
    shape = (channels, *operands[0].shape[1:])
    return Concatenate(name=call.name, inputs=tuple(operand.name for operand in operands), shape=shape)


# Activations ----------------------------------------------------------------------------------------------------------


def _clamp(call: _Call, low: Any, high: Any) -> Operation:
    if low != 0 or (high is not None and not high > 0):
        raise Unsupported(f"it clips to {low} … {high}", "only a range that begins at 0 and ends above it is possible")
    source = call.value("self")
    ceiling = math.inf if high is None else float(high)
    return Clamp(name=call.name, inputs=(source.name,), shape=source.shape, ceiling=ceiling)


# Pools ----------------------------------------------------------------------------------------------------------------


def _max_pool(call: _Call) -> Operation:
    source = call.map("self")
    if call.pair("dilation") != (1, 1):
        raise Unsupported(f"dilation {call.pair('dilation')} is not supported", "use dilation=1")
    kernel, (rows, columns) = call.pair("kernel_size"), call.pair("padding")
    stride = call.pair("stride") if call["stride"] else kernel
    padding = Padding(rows, columns, rows, columns)
    if call["ceil_mode"]:  # pad at the end exactly what the last window needs
        windows = zip(call.shape[2:], stride, kernel, source.shape[1:], (rows, columns))
        ends = [max(0, (count - 1) * step + size - length - begin) for count, step, size, length, begin in windows]
        padding = Padding(rows, columns, *ends)
    return Pool(
        name=call.name, inputs=(source.name,), shape=_map_shape(call), kernel=kernel, stride=stride, padding=padding
    )


def _average_pool(call: _Call) -> Operation:
    source, kernel = _unflattened(call.padded("self")), call.pair("kernel_size")
    stride = call.pair("stride") if call["stride"] else kernel
    rows, columns = call.pair("padding")
    padding = _sum(Padding(rows, columns, rows, columns), source.padding)
    sizes = (source.shape[1] + padding.top + padding.bottom, source.shape[2] + padding.left + padding.right)
    floor_size = tuple((length - size) // step + 1 for length, size, step in zip(sizes, kernel, stride))
    if tuple(call.shape[2:]) != floor_size:
        raise Unsupported("ceil_mode makes windows of different sizes", "use ceil_mode=False")
    if not call["count_include_pad"] and (rows or columns):
        raise Unsupported("count_include_pad=False divides by different counts", "use count_include_pad=True")
    return Pool(
        name=call.name, inputs=(source.name,), shape=_map_shape(call), kernel=kernel, stride=stride, padding=padding,
        maximum=False, divisor=float(call["divisor_override"] or kernel[0] * kernel[1]),
    )  # fmt: skip


def _adaptive_average_pool(call: _Call) -> Operation:
    source = call.map("self")
    sizes, counts = source.shape[1:], (int(call.shape[2]), int(call.shape[3]))
    if any(size % count for size, count in zip(sizes, counts)):
        raise Unsupported(
            f"it makes {counts[0]}×{counts[1]} of {sizes[0]}×{sizes[1]}, which does not divide",
            f"use a divisor, or images whose map there is a multiple of {counts[0]}×{counts[1]}",
        )
    kernel = (sizes[0] // counts[0], sizes[1] // counts[1])
    return _whole_pool(call, source, kernel, (source.shape[0], *counts))


def _reduce(call: _Call, *, maximum: bool = False, mean: bool = True) -> Operation:
    """A mean, sum or maximum over rows, columns or both, seen as such or joined."""
    source, seen = call.value("self"), call.seen("self")
    axes = sorted(axis % len(seen) for axis in call["dim"] or range(len(seen)))
    rows, columns = source.shape[1:]
    kernels = {(2,): (rows, 1), (3,): (1, columns), (2, 3): (rows, columns)}
    if len(seen) == 3 and seen[1] == source.shape[0]:  # rows and columns joined, or one of them gone
        kernels = {(2,): (rows, columns)}
    if (len(seen) == 2 or tuple(axes) not in kernels) or len(call.shape) < 2:
        raise Unsupported(f"it is taken over dimensions {call['dim']}", "take it over rows and columns")
    kernel = kernels[tuple(axes)]
    shape = (source.shape[0], rows // kernel[0], columns // kernel[1])
    return _whole_pool(call, source, kernel, shape, maximum=maximum, divisor=None if mean else 1.0)


def _adaptive_max_pool(call: _Call) -> Operation:
    source, shape = call.map("self"), _map_shape(call)
    if shape[1:] != (1, 1):
        raise Unsupported(f"it makes {shape[1]}×{shape[2]} of windows of its own", "use MaxPool2d with a fixed kernel")
    return _whole_pool(call, source, source.shape[1:], shape, maximum=True)


def _whole_pool(
    call: _Call, source: Value, kernel: tuple[int, int], shape: tuple[int, int, int], *, maximum: bool = False,
    divisor: float | None = None,
) -> Operation:  # fmt: skip
    return Pool(
        name=call.name, inputs=(source.name,), shape=shape, kernel=kernel, stride=kernel, maximum=maximum,
        divisor=1.0 if maximum else divisor or float(kernel[0] * kernel[1]),
    )  # fmt: skip


# Views ----------------------------------------------------------------------------------------------------------------


def _view(call: _Call) -> Value:
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


def _pad(call: _Call) -> Value:
    """Zeros around a map, for a convolution or an average pool to take into its own padding."""
    source, sides = call.padded("self"), list(call["pad"])
    mode = call.arguments.get("mode", "constant")
    left, right, top, bottom = (sides + [0] * 4)[:4]
    if mode != "constant" or call["value"] or len(sides) > 4 or len(call.shape) != 4 or min(sides) < 0:
        raise Unsupported(
            f"only zeros around rows and columns can be padded, not mode={mode!r}, pad={tuple(sides)}",
            "use padding=… with padding_mode='zeros'",
        )
    return Value(source.name, source.shape, padding=_sum(source.padding, Padding(top, left, bottom, right)))


def _map_shape(call: _Call) -> tuple[int, int, int]:
    channels, rows, columns = (int(size) for size in call.shape[1:])
    return channels, rows, columns


_READERS: dict[Any, Callable[[_Call], Result]] = {
    aten.conv2d.default: _convolution,
    aten.conv2d.padding: _convolution,
    aten.linear.default: _linear,
    aten._native_batch_norm_legit_no_training.default: _batch_norm,
    aten.batch_norm.default: _batch_norm,
    aten.add.Tensor: _add,
    **dict.fromkeys((aten.mul.Tensor, aten.div.Tensor, aten.sub.Tensor, aten.rsub.Scalar, aten.neg.default), _rescale),
    aten.cat.default: _concatenate,
    aten.relu.default: lambda call: _clamp(call, 0, None),
    aten.relu6.default: lambda call: _clamp(call, 0, 6),
    aten.hardtanh.default: lambda call: _clamp(call, call["min_val"], call["max_val"]),
    aten.clamp.default: lambda call: _clamp(call, call["min"], call["max"]),
    aten.clip.default: lambda call: _clamp(call, call["min"], call["max"]),
    aten.clamp_min.default: lambda call: _clamp(call, call["min"], None),
    aten.threshold.default: lambda call: _clamp(call, call["threshold"] or call["value"], None),
    aten.max_pool2d.default: _max_pool,
    aten.avg_pool2d.default: _average_pool,
    aten.adaptive_avg_pool2d.default: _adaptive_average_pool,
    aten.adaptive_max_pool2d.default: _adaptive_max_pool,
    aten.mean.dim: _reduce,
    aten.sum.dim_IntList: lambda call: _reduce(call, mean=False),
    aten.amax.default: lambda call: _reduce(call, maximum=True),
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

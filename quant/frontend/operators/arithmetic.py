"""Readers of what computes on maps position by position: sums, constants, concatenations, clipping."""

import math
from typing import Any

import torch
from torch import Tensor

from ..operations import Add, Affine, Clamp, Concatenate, Operation, Unsupported, Value
from .call import Call, Readers

aten = torch.ops.aten


def _add(call: Call) -> Operation:
    if not isinstance(call["self"], Value) or not isinstance(call["other"], Value):
        return _rescale(call)
    left, right = call.value("self"), call.value("other")
    if call["alpha"] != 1:
        raise Unsupported(f"alpha={call['alpha']} is not supported", "use alpha=1")
    if left.shape != right.shape or left.flat != right.flat or math.prod(call.shape) != math.prod(left.shape):
        raise Unsupported(f"it adds maps of shapes {left.shape} and {right.shape}", "both maps must have one shape")
    return Add(name=call.name, inputs=(left.name, right.name), shape=left.shape)


def _rescale(call: Call) -> Operation:
    """A map times, over, plus or minus a constant: a number, or one for each channel."""
    what, behind = call.operator, isinstance(call["self"], Value)
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


def _concatenate(call: Call) -> Operation | Value | None:
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


def _clamp(call: Call, low: Any, high: Any) -> Operation:
    if low != 0 or (high is not None and not high > 0):
        raise Unsupported(f"it clips to {low} … {high}", "only a range that begins at 0 and ends above it is possible")
    source = call.value("self")
    ceiling = math.inf if high is None else float(high)
    return Clamp(name=call.name, inputs=(source.name,), shape=source.shape, ceiling=ceiling)


READERS: Readers = {
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
}

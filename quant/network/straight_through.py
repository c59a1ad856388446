"""Rounding with straight-through gradients (Bengio et al., 2013), as functions with derivatives of their own.

As one operation each, because autograd would keep and traverse a dozen maps for what takes two: the value that comes in
and the value that goes out, which the neighbouring convolutions keep anyway.
"""

from typing import Any

import torch
from torch import Tensor

_HALF_IN_DOUBLE = 0.5 + 2.0**-36
"""The requantizer's sums are multiples of 2^−S, S often 15 … 20, so that one in 2^S lies exactly between two codes. In
float64 it is off by some 2^−45, and this lets it go up all the same."""


def round_half_up(value: Tensor) -> Tensor:
    """⌊v + ½⌋, the rounding of the requantizer."""
    return torch.floor(value + 0.5)


def steps(value: Tensor, scale: Tensor, zero: Tensor | None, maximum: int) -> Tensor:
    """Codes less the zero point (None is 0), clip(⌊v / s + ½⌋, −z, maximum − z), as floats."""
    result = torch.div(value, scale).add_(_HALF_IN_DOUBLE if value.dtype == torch.float64 else 0.5).floor_()
    if zero is None:
        return result.clamp_(0, maximum)
    if value.is_cpu:  # clamping by tensors is slow there; elsewhere, numbers would have to be waited for
        return result.clamp_(-zero.item(), maximum - zero.item())
    return result.clamp_(-zero, maximum - zero)


class QuantizeWeight(torch.autograd.Function):
    """(weight, quantized) to quantized, with the gradient of the identity for the weight."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, quantized: Tensor) -> Tensor:
        return quantized.view_as(quantized)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0], None


class QuantizeActivation(torch.autograd.Function):
    """Fake quantization of a map with the range low … high (both without dimensions) in codes 0 … maximum.

    `low` is None where it is 0: that takes half the operations, and on a GPU small maps cost what their operations do.

    With s = (high − low) / maximum and z = round(−low / s) the output is y = s·n, n = clip(round(v / s), −z,
    maximum − z). Inside the range the gradient goes through to v, and s gets that of the rounding, n − v / s (LSQ,
    Esser et al., 2020, equation 3); outside, the ends get it (PACT, Choi et al., 2018). The real −z·s follows low:

        ∂L/∂s = (Σ g·y − Σ_in g·v) / s − low / s · Σ_out g,    ∂L/∂low = Σ_out g,

    and ∂s/∂high = −∂s/∂low = 1 / maximum. `factor` multiplies the gradients of the ends.

    `relu`: negative values, all of which have code 0, get no gradient (low must be 0): a ReLU before the quantizer then
    need not be computed.
    """

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, low: Tensor | None, high: Tensor, maximum: int, relu: bool, factor: float
    ) -> Tensor:  # fmt: skip
        scale = (high if low is None else high - low) / maximum
        zero = None if low is None else round_half_up(-low / scale)
        precise = value.float() if value.dtype == torch.bfloat16 else value
        result = steps(precise, scale, zero, maximum).mul_(scale).to(value.dtype)
        ctx.save_for_backward(value, result, low, scale, zero)
        ctx.maximum, ctx.relu, ctx.factor = maximum, relu, factor
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        gradient = gradients[0].contiguous()
        value, result, low, scale, zero = ctx.saved_tensors
        below, above = (0.5, ctx.maximum + 0.5) if zero is None else (zero + 0.5, ctx.maximum - zero + 0.5)
        inside = _where_between(gradient, value, None if ctx.relu else -scale * below, scale * above)
        if not (ctx.needs_input_grad[1] or ctx.needs_input_grad[2]):
            return inside, None, None, None, None, None
        by_steps = _dot(gradient, result) - _dot(inside, value)
        if low is None:
            return inside, None, by_steps / scale * (ctx.factor / ctx.maximum), None, None, None
        outside = gradient.sum(dtype=scale.dtype) - inside.sum(dtype=scale.dtype)
        by_high = (by_steps - low * outside) / scale * (ctx.factor / ctx.maximum)
        return inside, outside * ctx.factor - by_high, by_high, None, None, None


class AtMost(torch.autograd.Function):
    """min(value, ceiling); at the ceiling, no gradient that would lift the value further (projected descent)."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, ceiling: float) -> Tensor:
        ctx.save_for_backward(value)
        ctx.ceiling = ceiling
        return value.clamp(max=ceiling)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (value,) = ctx.saved_tensors
        return gradients[0].masked_fill((value >= ctx.ceiling) & (gradients[0] < 0), 0.0), None


def _where_between(gradient: Tensor, value: Tensor, low: Tensor | None, high: Tensor) -> Tensor:
    """The gradient where low < value < high, 0 elsewhere; a `low` of None is 0."""
    if value.is_cpu:  # one pass; comparisons and `where` take twelve times as long there
        return torch.ops.aten.hardtanh_backward(gradient, value, 0.0 if low is None else low.item(), high.item())
    if low is None:
        return torch.ops.aten.threshold_backward(gradient, value, 0.0) * (value < high)
    return gradient * ((value > low) & (value < high))


def _dot(left: Tensor, right: Tensor) -> Tensor:
    flat = (entry.flatten() if entry.dtype == torch.float64 else entry.flatten().float() for entry in (left, right))
    return torch.dot(*flat)

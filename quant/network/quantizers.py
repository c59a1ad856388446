"""Fake quantization of weights, per filter, with straight-through gradients.

Integer codes (`weight_codes`) and the dequantised forward (`fake_quantize_weight`) are separate functions of one
arithmetic.
"""

import functools

import numpy as np
import torch
from torch import Tensor

from ..graph.formats import WeightFormat
from .straight_through import QuantizeWeight

Formats = tuple[WeightFormat, ...]
"""A weight format per filter."""

SCALE_METHODS = ("maximum", "mse")
_MSE_STEPS = 40
_SEARCHED_AT_ONCE = 1 << 18
"""Weights whose scales are searched at once."""
_SMALLEST_WEIGHT = 1e-30


class QuantizationError(ValueError):
    """A tensor or a layer that cannot be quantized; the message names it, the reason and a remedy."""


def weight_codes(weight: Tensor, scale: Tensor, formats: Formats) -> Tensor:
    """The integer weights: each weight over its filter's scale, projected to the nearest level of the filter's format.

    Parameters
    ----------
    weight: filters × … (any shape behind), real.
    scale: per filter, above 0; the real weight of a code is code · scale.
    formats: per filter; they may be mixed.

    Returns
    -------
    int64, shaped like `weight`.

    Raises
    ------
    QuantizationError: `formats` has another length than there are filters.
    """
    return _levels(weight, scale, formats).to(torch.int64)


def fake_quantize_weight(weight: Tensor, scale: Tensor, formats: Formats) -> Tensor:
    """The dequantised weights code · scale, with the gradient of the identity (straight-through)."""
    with torch.no_grad():
        quantized = _levels(weight, scale, formats) * _column(scale, weight)
    return QuantizeWeight.apply(weight, quantized)  # type: ignore[no-any-return,no-untyped-call]


def weight_scale(weight: Tensor, formats: Formats, *, method: str = "maximum") -> Tensor:
    """A scale per filter, above 0 (no gradient).

    `maximum`: α = max |w| of the filter over the format's largest level, so that the levels are ±α{0, …, 1}
    (FILM-QNN equation 1, with α per filter instead of per layer; likewise SP2 of Mix and Match and PoT of ILMPQ).
    `mse`: the multiple of that scale, of 40 between 0.4 and 1, with the smallest squared error of the filter.
    A filter of zeros (or of less than 1e-30) gets scale 1.

    Raises
    ------
    ValueError: `method` is neither.
    """
    if method not in SCALE_METHODS:
        raise ValueError(f"weight scale method must be 'maximum' or 'mse', not {method!r}")
    with torch.no_grad():
        largest = weight.detach().flatten(1).abs().amax(dim=1)
        _, high, _ = _grid(formats, weight.dtype, weight.device)
        scale = torch.where(largest > _SMALLEST_WEIGHT, largest / high, torch.ones_like(largest))
        if method == "maximum":
            return scale
        # On a CPU part by part, so that what every candidate makes stays in the cache: VGG-16 has a layer of 411 MB.
        at_once = max(1, _SEARCHED_AT_ONCE // weight[0].numel()) if weight.is_cpu else len(weight)
        for kind, rows in _rows(formats, weight.device):
            for part in rows.split(at_once):
                scale[part] = _best_scale(weight[part].detach(), scale[part], kind)
        return scale


def weight_error(weight: Tensor, scale: Tensor, formats: Formats) -> Tensor:
    """‖w − Q(w)‖² per filter."""
    with torch.no_grad():
        return _error(weight, scale, _levels(weight, scale, formats))


def _best_scale(weight: Tensor, scale: Tensor, kind: WeightFormat) -> Tensor:
    """The multiple of each filter's scale with the smallest squared error."""

    def error(candidate: Tensor) -> Tensor:
        return _error(weight, candidate, _project(weight / _column(candidate, weight), kind))

    best, best_error = scale, error(scale)
    for factor in np.linspace(0.4, 1.0, _MSE_STEPS, endpoint=False):
        candidate = scale * factor
        found = error(candidate)
        better = found < best_error
        best, best_error = torch.where(better, candidate, best), torch.where(better, found, best_error)
    return best


def _error(weight: Tensor, scale: Tensor, levels: Tensor) -> Tensor:
    """‖w − s·level‖² per filter."""
    return (weight - levels * _column(scale, weight)).flatten(1).square().sum(dim=1)


def _column(scale: Tensor, weight: Tensor) -> Tensor:
    return scale.reshape(-1, *([1] * (weight.ndim - 1)))


def _levels(weight: Tensor, scale: Tensor, formats: Formats) -> Tensor:
    """The nearest level of every weight, as floats."""
    if len(formats) != len(weight):
        raise QuantizationError(f"{len(formats)} weight formats for {len(weight)} filters; one per filter is needed")
    ratio = weight.detach() / _column(scale, weight)
    low, high, others = _grid(formats, ratio.dtype, ratio.device)
    result = ratio.round().clamp_(_column(low, ratio), _column(high, ratio))
    for kind, rows in others:
        result[rows] = _project(ratio[rows], kind)
    return result


@functools.lru_cache(maxsize=1024)
def _grid(formats: Formats, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, tuple]:
    """Each filter's smallest and largest level, and the filters of each format that leaves out integers."""
    high = torch.tensor([float(kind.levels[-1]) for kind in formats], dtype=dtype, device=device)
    others = tuple((kind, rows) for kind, rows in _rows(formats, device) if not kind.scheme.uniform)
    return -high, high, others


@functools.lru_cache(maxsize=1024)
def _rows(formats: Formats, device: torch.device) -> tuple[tuple[WeightFormat, Tensor], ...]:
    """The filters of each format."""
    return tuple(
        (kind, torch.tensor([index for index, entry in enumerate(formats) if entry == kind], device=device))
        for kind in dict.fromkeys(formats)
    )


def _project(ratio: Tensor, kind: WeightFormat) -> Tensor:
    top = int(kind.levels[-1])
    if kind.scheme.uniform:
        return ratio.round().clamp_(-top, top)
    index = (ratio * 2).ceil_().add_(2 * top).to(torch.int32).clamp_(0, 4 * top)
    return _nearest(kind, ratio.dtype, ratio.device).index_select(0, index.flatten()).view_as(ratio)


@functools.cache
def _nearest(kind: WeightFormat, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The level for each ⌈2·ratio⌉: levels are integers, so those that are nearest change at multiples of ½.

    A look-up takes a tenth of the time of `torch.bucketize`.
    """
    levels = torch.from_numpy(kind.levels)
    halves = torch.arange(-2 * int(levels[-1]), 2 * int(levels[-1]) + 1)
    return levels[torch.bucketize(halves, levels[1:] + levels[:-1])].to(dtype=dtype, device=device)

"""Weights that are drawn, and M, R, B and S such that a layer's codes use their range."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from ..formats import WeightFormat
from ..graph import BIAS_BITS, MAXIMUM_SHIFT, MULTIPLIER_BITS, Convolution, TensorType


def draw_weights(formats: Sequence[WeightFormat], shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Weights of a normal distribution, projected to each filter's format: int64, filters × `shape`.

    One weight of every filter is the format's largest level, or minus that.
    """
    weight = np.empty((len(formats), *shape), np.int64)
    for index, kind in enumerate(formats):
        middles = (kind.levels[1:] + kind.levels[:-1]) / 2
        drawn = rng.normal(0, kind.levels[-1] / 2.5, shape)
        drawn.flat[rng.integers(drawn.size)] = kind.levels[-1] * rng.choice([-1, 1])
        weight[index] = kind.levels[np.searchsorted(middles, drawn)]
    return weight


def calibrated(
    layer: Convolution,
    sums: np.ndarray,
    residual: np.ndarray | None,
    *,
    source: TensorType,
    target: TensorType,
    rng: np.random.Generator,
) -> Convolution:
    """The layer with M, R, B and S that map its accumulators to the target's range.

    Parameters
    ----------
    sums: accumulators of the calibration images; residual: codes that are added to them, or None.
    """
    filters, span = sums.shape[1], target.maximum
    spread, mean = np.maximum(sums.std(axis=(0, 2, 3)), 1), sums.mean(axis=(0, 2, 3))
    if layer.kind == "average_pool":
        gain = np.full(filters, span / (source.maximum * math.prod(layer.kernel)))
        offset = np.zeros(filters)
    else:
        gain = span / (spread * rng.uniform(2.5, 5, filters))
        centre = span * (rng.uniform(0.1, 0.45, filters) if target.zero_point == 0 else np.full(filters, 0.5))
        clipping = rng.random(filters) < 0.06
        centre = np.where(clipping, span * rng.uniform(-0.3, 1.3, filters), centre)
        if layer.kind != "add":
            gain *= np.where(rng.random(filters) < 0.1, -1, 1)
        offset = centre - gain * mean
    slope = 0.0
    if residual is not None:
        slope = span / (max(residual.std(), 1) * rng.uniform(4, 8)) * rng.choice([1, 1, 1, -1])
        offset -= slope * residual.mean()
    shift = _shift(np.append(gain, slope), offset) - int(rng.integers(0, 3))
    return dataclasses.replace(
        layer,
        multiplier=np.rint(gain * 2.0**shift).astype(np.int64),
        bias=np.rint(offset * 2.0**shift).astype(np.int64),
        shift=shift,
        residual_multiplier=round(slope * 2.0**shift),
    )


def _shift(slopes: np.ndarray, offset: np.ndarray) -> int:
    """The largest S at which all slopes fit M and R, and all offsets B + half."""
    room = (1 << (MULTIPLIER_BITS - 1)) - 1
    by_slope = math.log2(room / np.abs(slopes).max())
    by_offset = math.log2(((1 << (BIAS_BITS - 1)) - 1) / (np.abs(offset).max() + 1))
    return max(2, min(MAXIMUM_SHIFT, math.floor(by_slope), math.floor(by_offset)))

"""Proof that a layer's sums fit the machine, from its actual weights."""

import numpy as np

from ..hdl.geometry import Geometry
from .errors import CompileError
from .lowered import LoweredLayer

REQUANTIZER_BITS = 48
"""Width of acc·M + r·R + B: the accumulator of a DSP."""


def signed_bits(value: int) -> int:
    """Bits of the narrowest two's complement number that holds a value."""
    return (value if value >= 0 else ~value).bit_length() + 1


def accumulator_interval(weight: np.ndarray, maximum: int) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest Σ w·q of every filter over all q in 0 … maximum (int64)."""
    flat = weight.reshape(len(weight), -1)
    return np.minimum(flat, 0).sum(axis=1) * maximum, np.maximum(flat, 0).sum(axis=1) * maximum


def check_bounds(layer: LoweredLayer, geometry: Geometry) -> None:
    """Proves that every Σ w·q fits `accumulator_bits`, and acc·M + r·R + B + half fits 48 bits.

    The accumulator works modulo 2^accumulator_bits, so the digits and offsets in between may wrap.

    Raises
    ------
    CompileError: a filter's does not; the message names the layer, the filter and the bits it needs.
    """
    if layer.weight is None:
        return
    convolution = layer.convolution
    low, high = accumulator_interval(layer.weight, layer.source.maximum)
    for index, (least, greatest) in enumerate(zip(low.tolist(), high.tolist())):
        needed = max(signed_bits(least), signed_bits(greatest))
        if needed > geometry.accumulator_bits:
            raise CompileError(
                f"{layer.where}, filter {index}",
                f"its sums reach {least} … {greatest}, which needs {needed} bits; accumulator_bits = "
                f"{geometry.accumulator_bits}",
                "raise the geometry's accumulator_bits, or use fewer bits for the filter or for tensor "
                f"{layer.source.name!r}",
            )
        multiplier, bias = int(convolution.multiplier[index]), int(convolution.bias[index])
        offset = bias + (1 << convolution.shift >> 1)
        residual = 0 if layer.residual is None else layer.residual.maximum * convolution.residual_multiplier
        ends = [least * multiplier, greatest * multiplier]
        bottom, top = min(ends) + min(residual, 0) + offset, max(ends) + max(residual, 0) + offset
        needed = max(signed_bits(bottom), signed_bits(top))
        if needed > REQUANTIZER_BITS:
            raise CompileError(
                f"{layer.where}, filter {index}",
                f"acc·M + r·R + B reaches {bottom} … {top}, which needs {needed} bits; the requantizer has "
                f"{REQUANTIZER_BITS}",
                "export the layer with a smaller shift",
            )

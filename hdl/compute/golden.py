"""What the requantizers compute, on NumPy integers."""

import numpy as np

from ..geometry import Geometry
from ..isa import OffsetCode

OFFSETS = {OffsetCode.NONE: 0, OffsetCode.EIGHT: 8, OffsetCode.ONE_HUNDRED_TWENTY_EIGHT: 128}
"""The multiple of Σq that an `OffsetCode` subtracts."""


def wrap(values: np.ndarray, bits: int) -> np.ndarray:
    """`values` modulo 2^bits, read as two's complement, int64."""
    half = 1 << (bits - 1)
    return ((np.asarray(values, np.int64) + half) & ((1 << bits) - 1)) - half


def requantize(
    accumulators: np.ndarray,
    sums: np.ndarray,
    *,
    multiplier: np.ndarray,
    offset: np.ndarray,
    bias: np.ndarray,
    residual: np.ndarray | int = 0,
    residual_scale: int = 0,
    shift: int,
    maximum: int,
    accumulator_bits: int,
) -> np.ndarray:
    """y = clip((a·M + r·R + B) >> S, 0, maximum) with a = acc − {0, 8, 128}[offset]·Σq, signed; uint8.

    Arrays broadcast. The operands' widths (25, 18, 8, 18 and 44 bits) keep the sum within 48 bits: int64 is exact.
    """
    owed = np.array([OFFSETS[OffsetCode(code)] for code in range(3)], np.int64)[np.asarray(offset)]
    a = wrap(np.asarray(accumulators, np.int64) - owed * np.asarray(sums, np.int64), accumulator_bits)
    total = a * np.asarray(multiplier, np.int64) + np.asarray(residual, np.int64) * residual_scale + bias
    return np.clip(total >> shift, 0, maximum).astype(np.uint8)


def output_words(geometry: Geometry, codes: np.ndarray, digits: int) -> np.ndarray:
    """A pixel's output words in the order of planes: uint8 slots, (digits · D) × Ti.

    Parameters
    ----------
    codes: To output codes of a pixel, in lane order.
    digits: 1, or 2: words of upper 4-bit digits, then words of lower ones.
    """
    words = np.asarray(codes, np.uint8).reshape(geometry.tile_words, geometry.word_channels)
    return words if digits == 1 else np.concatenate([words >> 4, words & 15])

"""What the depthwise unit computes, on NumPy integers."""

import numpy as np

from .. import isa
from ..geometry import Geometry


def depthwise_plane(
    codes: np.ndarray,
    weights: np.ndarray,
    *,
    multiplier: np.ndarray,
    bias: np.ndarray,
    borders: tuple[int, int, int, int],
    stride: int,
    shift: int,
    maximum: int,
) -> np.ndarray:
    """A plane through the unit: clip((acc · M + B) >> shift, 0, maximum); uint8, rows × columns × Ti.

    Parameters
    ----------
    codes: rows × columns × Ti.
    weights: 3 × 3 × Ti.
    multiplier, bias: Ti.
    borders: zero rows before and after, zero columns before and after.
    stride: rows and columns between windows.
    """
    top, bottom, left, right = borders
    padded = np.pad(np.asarray(codes, np.int64), ((top, bottom), (left, right), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))[::stride, ::stride]
    accumulators = np.einsum("yxcij,ijc->yxc", windows, np.asarray(weights, np.int64))
    total = accumulators * np.asarray(multiplier, np.int64) + np.asarray(bias, np.int64)
    return np.clip(total >> shift, 0, maximum).astype(np.uint8)


def kernel_words(geometry: Geometry, weights: np.ndarray, multiplier: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A plane's kernels as they lie in memory: uint8 slots, KERNEL_WORDS × Ti (see `isa.KERNEL_LAYOUT`).

    Parameters
    ----------
    weights: 3 × 3 × Ti.
    multiplier, bias: Ti.
    """
    g = geometry
    words = np.zeros((isa.KERNEL_WORDS, g.word_channels), np.uint8)
    for channel, kernel in enumerate(np.asarray(weights).reshape(isa.KERNEL_TAPS, g.word_channels).T):
        fields = {f"weight_{tap}": int(weight) for tap, weight in enumerate(kernel)}
        fields |= {"multiplier": int(multiplier[channel]), "offset": isa.OffsetCode.NONE, "bias": int(bias[channel])}
        packed = isa.pack(isa.KERNEL_LAYOUT, fields, what="kernel")
        words[:, channel] = [packed >> 4 * digit & 15 for digit in range(isa.KERNEL_WORDS)]
    return words

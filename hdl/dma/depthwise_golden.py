"""What the depthwise unit computes, on NumPy integers."""

import numpy as np


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

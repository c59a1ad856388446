"""The exact sums of a convolution, and the bounds that they keep. NumPy only."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .window import shifted

_WINDOW_BYTES = 1 << 25
"""Size up to which the windows of several images are multiplied at once."""


def accumulator_interval(weight: np.ndarray, maximum: int) -> tuple[np.ndarray, np.ndarray]:
    """The exact lowest and highest Σ w·q of every filter over all q in 0 … maximum (int64 each).

    It holds for every partial sum too, whatever the order of addition. Sums whose window lies partly in the padding are
    inside it.

    Parameters
    ----------
    weight: int64, filters × ….
    """
    flat = weight.reshape(len(weight), -1)
    low = np.minimum(flat, 0).sum(axis=1, dtype=np.int64) * maximum
    high = np.maximum(flat, 0).sum(axis=1, dtype=np.int64) * maximum
    return low, high


def accumulator_bound(weight: np.ndarray, maximum: int) -> np.ndarray:
    """The largest |Σ w·q| of every filter over all q in 0 … maximum (int64)."""
    low, high = accumulator_interval(weight, maximum)
    return np.maximum(-low, high)


def accumulate(
    weight: np.ndarray, inputs: np.ndarray, maximum: int, *, stride: tuple[int, int] = (1, 1), groups: int = 1
) -> np.ndarray:
    """The accumulators Σ w·q of a convolution: int64, N × filters × rows × columns.

    Sums run in float32, float64 or int64: the first whose integers provably hold every partial sum.

    Parameters
    ----------
    weight: int64, filters × channels / groups × rows × columns; groups: 1, or as many as channels.
    inputs: padded codes, N × channels × rows × columns, 0 … maximum.
    """
    bound = int(accumulator_bound(weight, maximum).max(initial=0))
    exact: Any = np.float32 if bound < 1 << 24 else np.float64 if bound < 1 << 53 else np.int64
    if groups > 1:
        return _by_channel(weight, inputs, stride, groups, exact)
    windows = sliding_window_view(inputs, weight.shape[2:], axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    images, _, rows, columns = windows.shape[:4]
    matrix = weight.reshape(len(weight), -1).astype(exact)
    sums = np.empty((images, len(matrix), rows, columns), np.int64)
    step = max(1, _WINDOW_BYTES // (matrix.shape[1] * rows * columns * matrix.itemsize))
    for start in range(0, images, step):
        part = windows[start : start + step].transpose(1, 4, 5, 0, 2, 3).astype(exact)
        product = matrix @ part.reshape(matrix.shape[1], -1)
        sums[start : start + step] = product.reshape(len(matrix), -1, rows, columns).swapaxes(0, 1)
    return sums


def _by_channel(
    weight: np.ndarray, inputs: np.ndarray, stride: tuple[int, int], groups: int, exact: Any
) -> np.ndarray:
    filters = len(weight)
    spread = np.repeat(inputs.astype(exact), filters // groups, axis=1)
    taps = weight.reshape(filters, -1).T.astype(exact)
    sums: np.ndarray | int = 0
    for tap, view in zip(taps, shifted(spread, weight.shape[2:], stride)):
        sums = sums + view * tap[:, None, None]
    return np.asarray(sums).astype(np.int64)

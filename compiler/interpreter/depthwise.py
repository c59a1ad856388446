"""The interpreter's depthwise unit: a 3×3 depthwise convolution of rows on their way to the lanes."""

import numpy as np

from ...hdl.geometry import Geometry
from ...hdl.instructions import LoadMap
from ...hdl.isa import (
    DEPTHWISE_COLUMNS,
    KERNEL_LAYOUT,
    KERNEL_ROWS,
    KERNEL_SIZE,
    KERNEL_TAPS,
    KERNEL_WORDS,
    MAXIMUM_SHIFT,
    unpack,
)  # fmt: skip
from .state import Numbered


class KernelMemory:
    """The unit's kernels: rows of Ti digits, `KERNEL_WORDS` for each channel word."""

    def __init__(self, geometry: Geometry) -> None:
        self.depth = KERNEL_ROWS if geometry.depthwise_channels else 0
        self.rows = np.zeros((self.depth, geometry.word_channels), np.uint8)
        self.valid = np.zeros(self.depth, bool)

    def write(self, i: Numbered[LoadMap], rows: np.ndarray) -> None:
        """A LOAD_MAP with `kernels`. Raises InterpreterError."""
        i.need(self.depth > 0, "kernels", "the geometry has no depthwise unit")
        end = i.instruction.base + len(rows)
        i.need(end <= self.depth, "base", f"the last word goes to row {end - 1} of {self.depth}")
        self.rows[i.instruction.base : end] = rows % 16
        self.valid[i.instruction.base : end] = True

    def of_plane(self, i: Numbered[LoadMap], plane: int) -> np.ndarray:
        """Rows of a plane's kernels. Raises InterpreterError."""
        start = i.instruction.kernel_base + plane * KERNEL_WORDS
        end = start + KERNEL_WORDS
        i.need(end <= self.depth, "kernel_base", f"plane {plane}'s kernels end at row {end - 1} of {self.depth}")
        i.need(bool(self.valid[start:end].all()), "kernel_base", f"plane {plane}'s kernels were never loaded")
        return self.rows[start:end]


def check_depthwise(i: Numbered[LoadMap], geometry: Geometry) -> None:
    """Fields of a LOAD_MAP that convolves. Raises InterpreterError."""
    i.need(geometry.depthwise_channels > 0, "depthwise", "the geometry has no depthwise unit")
    load = i.instruction
    i.need_counts("source_words")
    stride = load.source_stride
    i.need(stride in (1, 2), "source_stride", f"must be 1 or 2, not {stride}")
    i.need(load.shift <= MAXIMUM_SHIFT, "shift", f"must be 0 … {MAXIMUM_SHIFT}, not {load.shift}")
    columns = load.source_words + load.source_left + load.source_right
    i.need(
        KERNEL_SIZE <= columns <= DEPTHWISE_COLUMNS,
        "source_words",
        f"a row has {columns} columns with its zeros; {KERNEL_SIZE} … {DEPTHWISE_COLUMNS} are possible",
    )
    rows = load.chunks * load.chunk_words // load.source_words + load.source_top + load.source_bottom
    i.need(rows >= KERNEL_SIZE, "chunk_words", f"{rows} rows with their zeros; a window has {KERNEL_SIZE}")
    expected = (columns - KERNEL_SIZE) // stride + 1
    i.need(load.row_words == expected, "row_words", f"must be the {expected} windows of a row, not {load.row_words}")


def depthwise(load: LoadMap, rows: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Rows of a plane as the lanes take them.

    Parameters
    ----------
    rows: rows × columns × Ti slots, as read.
    kernels: `KERNEL_WORDS` × Ti digits.
    """
    digits = [sum(int(slot) << 4 * place for place, slot in enumerate(slots)) for slots in kernels.T]
    fields = [unpack(KERNEL_LAYOUT, word) for word in digits]
    weights = np.array([[each[f"weight_{tap}"] for tap in range(KERNEL_TAPS)] for each in fields], np.int64)
    multiplier = np.array([each["multiplier"] for each in fields], np.int64)
    bias = np.array([each["bias"] for each in fields], np.int64)
    borders = (load.source_top, load.source_bottom), (load.source_left, load.source_right), (0, 0)
    padded = np.pad(rows.astype(np.int64), borders)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (KERNEL_SIZE, KERNEL_SIZE), axis=(0, 1))  # type: ignore[call-overload]
    taps = windows[:: load.source_stride, :: load.source_stride].reshape(-1, rows.shape[2], KERNEL_TAPS)
    sums = np.einsum("nck,ck->nc", taps, weights)
    codes = np.clip((sums * multiplier + bias) >> load.shift, 0, load.maximum)
    return codes.astype(np.uint8).reshape(-1, load.row_words, rows.shape[2])

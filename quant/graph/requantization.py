"""Requantization: from exact sums to the codes of a map (docs/numbers.md). NumPy only."""

from collections.abc import Callable
from typing import NoReturn

import numpy as np

from .tensors import is_integer

MULTIPLIER_BITS = 18
"""M and R are signed integers of this width."""
BIAS_BITS = 44
"""B + half is a signed integer of this width."""
MAXIMUM_SHIFT = 47


def requantize(
    accumulators: np.ndarray,
    multiplier: np.ndarray,
    bias: np.ndarray,
    shift: int,
    maximum: int,
    *,
    residual: np.ndarray | None = None,
    residual_multiplier: int = 0,
) -> np.ndarray:
    """clip((acc·M + r·R + B + half) >> S, 0, maximum) as uint8.

    Parameters
    ----------
    accumulators: int64, … × filters × rows × columns.
    multiplier, bias: int64 per filter.
    residual: codes shaped like `accumulators`, or None.
    """
    half = (1 << shift) >> 1
    total = accumulators * multiplier[:, None, None]
    total += (bias + half)[:, None, None]
    if residual is not None:
        total += residual.astype(np.int64) * int(residual_multiplier)
    total >>= shift
    return np.clip(total, 0, maximum, out=total).astype(np.uint8)


def check_constants(
    refuse: Callable[[str, str], NoReturn], filters: int, multiplier: np.ndarray, bias: np.ndarray, shift: int
) -> None:
    """Checks M, B and S of a layer; `refuse` is called with the field that breaks the contract and the reason."""
    if not is_integer(shift) or not 0 <= shift <= MAXIMUM_SHIFT:
        refuse("shift", f"must be 0 … {MAXIMUM_SHIFT}, not {shift!r}")
    half = (1 << shift) >> 1
    for field, values, bits, added in (
        ("multiplier", multiplier, MULTIPLIER_BITS, 0),
        ("bias", bias, BIAS_BITS, half),
    ):
        if not isinstance(values, np.ndarray) or values.dtype != np.int64 or values.shape != (filters,):
            refuse(field, f"must be an int64 array with one entry for each of {filters} filters")
        low, high = -(1 << (bits - 1)) - added, (1 << (bits - 1)) - 1 - added
        wrong = np.flatnonzero((values < low) | (values > high))
        if len(wrong):
            note = f" ({bits} bits with half = {half} added)" if added else f" ({bits} bits)"
            refuse(f"{field}[{wrong[0]}]", f"must be {low} … {high}{note}, not {values[wrong[0]]}")


def check_residual_multiplier(refuse: Callable[[str, str], NoReturn], value: int) -> None:
    """Checks R of a layer, likewise."""
    limit = 1 << (MULTIPLIER_BITS - 1)
    if not is_integer(value) or not -limit <= value < limit:
        refuse("residual_multiplier", f"must be {-limit} … {limit - 1}, not {value!r}")

"""Pools over more rows or columns than a window of the accelerator has, as two pools, one after the other."""

import dataclasses
import math

from ..graph.graph import Padding
from .operations import Pool

LARGEST_WINDOW = 255
"""Rows and columns of a window at most (`isa.COMPUTE`)."""


def in_two_steps(pool: Pool) -> tuple[Pool, Pool] | None:
    """The same pool as two, each with a window of `LARGEST_WINDOW` rows and columns at most; None where it is no pool
    of whole rows, whole columns or both without padding, or too large for two steps.

    The first takes parts of equal size, of which the last may reach beyond the map: a maximum ignores what is there, an
    average counts it as zeros. The second has the pool's own name.
    """
    parts = [_parts(size) if size > LARGEST_WINDOW else (size, 1) for size in pool.kernel]
    whole = all(
        count == 1 or pool.shape[1 + axis] == 1 for axis, (_, count) in enumerate(parts)
    )  # a window that does not move along an axis can be cut there
    if pool.padding or not whole or any(count > LARGEST_WINDOW for _, count in parts):
        return None
    (rows, row_parts), (columns, column_parts) = parts
    beyond = Padding(0, 0, rows * row_parts - pool.kernel[0], columns * column_parts - pool.kernel[1])
    strides = (rows if row_parts > 1 else pool.stride[0], columns if column_parts > 1 else pool.stride[1])
    channels, height, width = pool.shape
    shape = (channels, max(row_parts, height), max(column_parts, width))
    area = rows * columns
    first = dataclasses.replace(
        pool, name=f"{pool.name}.parts", shape=shape, kernel=(rows, columns), stride=strides,
        padding=beyond, divisor=1.0 if pool.maximum else float(area),
    )  # fmt: skip
    second = dataclasses.replace(
        pool, inputs=(first.name,), kernel=(row_parts, column_parts), stride=(row_parts, column_parts),
        divisor=1.0 if pool.maximum else pool.divisor / area,
    )  # fmt: skip
    return first, second


def _parts(size: int) -> tuple[int, int]:
    """Size and number of equal parts that hold so many rows, as alike as can be."""
    count = math.ceil(math.sqrt(size))
    return -(-size // count), count

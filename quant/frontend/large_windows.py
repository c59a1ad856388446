"""Windows of more rows or columns than one of the accelerator has: a pool as two pools, one after the other, a linear
layer over a map with these rows and columns in the channels."""

import dataclasses
import math

import torch
from torch.nn import functional

from ..graph.graph import Padding
from .folded import FoldedConvolution
from .operations import Conv, Pool

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


def spread(
    layer: Conv, source: str, shape: tuple[int, int, int], name: str
) -> tuple[FoldedConvolution, Conv] | None:
    """The same layer over a map that has every so-manieth row and column in a channel of its own, and the layer that
    makes that map of the source; None where the layer is no linear one over the whole map.

    The map keeps its codes, so that the two compute in integers what the one would. It may reach beyond the source,
    where it is padded, and has weights 0.

    Parameters
    ----------
    shape: of the source, channels × height × width.
    name: of the map to make.
    """
    channels, height, width = shape
    if layer.groups > 1 or layer.padding or (height, width) != tuple(layer.weight.shape[2:]):
        return None
    rows, columns = (-(-size // LARGEST_WINDOW) for size in (height, width))
    down, across = -(-height // rows), -(-width // columns)
    beyond = Padding(0, 0, rows * down - height, columns * across - width)
    single = torch.eye(rows * columns, dtype=torch.float64).reshape(rows * columns, 1, rows, columns)
    made = FoldedConvolution(
        name=name, input=source, output=name, shape=(channels * rows * columns, down, across),
        weight=single.repeat(channels, 1, 1, 1), bias=torch.zeros(channels * rows * columns, dtype=torch.float64),
        stride=(rows, columns), padding=beyond, groups=channels, exact=True, keeps_codes=True, kind="copy",
    )  # fmt: skip
    whole = functional.pad(layer.weight, (0, beyond.right, 0, beyond.bottom))
    parts = whole.reshape(-1, channels, down, rows, across, columns).permute(0, 1, 3, 5, 2, 4)
    return made, dataclasses.replace(layer, weight=parts.reshape(len(whole), -1, down, across))

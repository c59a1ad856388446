"""Readers of pools, and of means, sums and maxima over rows and columns."""

import torch

from ...graph.graph import Padding
from ..operations import Operation, Pool, Unsupported, Value
from .call import Call, Readers, add_padding, unflattened

aten = torch.ops.aten


def _max_pool(call: Call) -> Operation:
    source = call.map("self")
    if call.pair("dilation") != (1, 1):
        raise Unsupported(f"dilation {call.pair('dilation')} is not supported", "use dilation=1")
    kernel, (rows, columns) = call.pair("kernel_size"), call.pair("padding")
    stride = call.pair("stride") if call["stride"] else kernel
    padding = Padding(rows, columns, rows, columns)
    if call["ceil_mode"]:  # pad at the end exactly what the last window needs
        windows = zip(call.shape[2:], stride, kernel, source.shape[1:], (rows, columns))
        ends = [max(0, (count - 1) * step + size - length - begin) for count, step, size, length, begin in windows]
        padding = Padding(rows, columns, *ends)
    return Pool(
        name=call.name, inputs=(source.name,), shape=call.map_shape, kernel=kernel, stride=stride, padding=padding
    )


def _average_pool(call: Call) -> Operation:
    source, kernel = unflattened(call.padded("self")), call.pair("kernel_size")
    stride = call.pair("stride") if call["stride"] else kernel
    rows, columns = call.pair("padding")
    padding = add_padding(Padding(rows, columns, rows, columns), source.padding)
    sizes = (source.shape[1] + padding.top + padding.bottom, source.shape[2] + padding.left + padding.right)
    floor_size = tuple((length - size) // step + 1 for length, size, step in zip(sizes, kernel, stride))
    if tuple(call.shape[2:]) != floor_size:
        raise Unsupported("ceil_mode makes windows of different sizes", "use ceil_mode=False")
    if not call["count_include_pad"] and (rows or columns):
        raise Unsupported("count_include_pad=False divides by different counts", "use count_include_pad=True")
    return Pool(
        name=call.name, inputs=(source.name,), shape=call.map_shape, kernel=kernel, stride=stride, padding=padding,
        maximum=False, divisor=float(call["divisor_override"] or kernel[0] * kernel[1]),
    )  # fmt: skip


def _adaptive_average_pool(call: Call) -> Operation:
    source = call.map("self")
    sizes, counts = source.shape[1:], (int(call.shape[2]), int(call.shape[3]))
    if any(size % count for size, count in zip(sizes, counts)):
        raise Unsupported(
            f"it makes {counts[0]}×{counts[1]} of {sizes[0]}×{sizes[1]}, which does not divide",
            f"use a divisor, or images whose map there is a multiple of {counts[0]}×{counts[1]}",
        )
    kernel = (sizes[0] // counts[0], sizes[1] // counts[1])
    return _whole_pool(call, source, kernel, (source.shape[0], *counts))


def _reduce(call: Call, *, maximum: bool = False, mean: bool = True) -> Operation:
    """A mean, sum or maximum over rows, columns or both, seen as such or joined."""
    source, seen = call.value("self"), call.seen("self")
    axes = sorted(axis % len(seen) for axis in call["dim"] or range(len(seen)))
    rows, columns = source.shape[1:]
    kernels = {(2,): (rows, 1), (3,): (1, columns), (2, 3): (rows, columns)}
    if len(seen) == 3 and seen[1] == source.shape[0]:  # rows and columns joined, or one of them gone
        kernels = {(2,): (rows, columns)}
    if (len(seen) == 2 or tuple(axes) not in kernels) or len(call.shape) < 2:
        raise Unsupported(f"it is taken over dimensions {call['dim']}", "take it over rows and columns")
    kernel = kernels[tuple(axes)]
    shape = (source.shape[0], rows // kernel[0], columns // kernel[1])
    return _whole_pool(call, source, kernel, shape, maximum=maximum, divisor=None if mean else 1.0)


def _adaptive_max_pool(call: Call) -> Operation:
    source, shape = call.map("self"), call.map_shape
    if shape[1:] != (1, 1):
        raise Unsupported(f"it makes {shape[1]}×{shape[2]} of windows of its own", "use MaxPool2d with a fixed kernel")
    return _whole_pool(call, source, source.shape[1:], shape, maximum=True)


def _whole_pool(
    call: Call, source: Value, kernel: tuple[int, int], shape: tuple[int, int, int], *, maximum: bool = False,
    divisor: float | None = None,
) -> Operation:  # fmt: skip
    return Pool(
        name=call.name, inputs=(source.name,), shape=shape, kernel=kernel, stride=kernel, maximum=maximum,
        divisor=1.0 if maximum else divisor or float(kernel[0] * kernel[1]),
    )  # fmt: skip


READERS: Readers = {
    aten.max_pool2d.default: _max_pool,
    aten.avg_pool2d.default: _average_pool,
    aten.adaptive_avg_pool2d.default: _adaptive_average_pool,
    aten.adaptive_max_pool2d.default: _adaptive_max_pool,
    aten.mean.dim: _reduce,
    aten.sum.dim_IntList: lambda call: _reduce(call, mean=False),
    aten.amax.default: lambda call: _reduce(call, maximum=True),
}

"""The NumPy executor: runs an integer graph exactly, and proves the bounds that it relies on."""

import functools
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .graph import Concatenation, Convolution, IntegerGraph, Layer, MaxPool, Padding, TensorType

_WINDOW_BYTES = 1 << 25
"""Size up to which the windows of several images are multiplied at once."""


def execute(graph: IntegerGraph, codes: np.ndarray, *, keep: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Every tensor of the graph for an input, all bits exact.

    Parameters
    ----------
    codes: the input's codes, C × H × W for one image or N × C × H × W for a batch; any integer type.
    keep: names of the tensors wanted; the others are dropped as soon as no layer needs them. None: all of them.

    Returns
    -------
    uint8 codes by tensor name (the input included), shaped like `codes`: C × H × W, or N × C × H × W.

    Raises
    ------
    TypeError: `codes` is no array of integers.
    ValueError: the shape or the range of `codes` is not the input's, or `keep` names an unknown tensor.
    """
    batch = _checked_input(graph.tensors[graph.input], codes)
    wanted = set(graph.tensors if keep is None else keep)
    if unknown := sorted(wanted - set(graph.tensors)):
        raise ValueError(f"graph {graph.name!r} has no tensor {unknown[0]!r} to keep")
    last_use = {name: index for index, layer in enumerate(graph.layers) for name in layer.inputs}
    tensors = {graph.input: batch}
    for index, layer in enumerate(graph.layers):
        tensors[layer.output] = execute_layer(graph, layer, tensors)
        for name in {*layer.inputs, layer.output}:
            if name not in wanted and last_use.get(name, -1) <= index:
                del tensors[name]
    results = {name: tensors[name] for name in graph.tensors if name in wanted}
    return results if codes.ndim == 4 else {name: value[0] for name, value in results.items()}


def execute_layer(graph: IntegerGraph, layer: Layer, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """The output codes of one layer, N × C × H × W uint8, from its inputs' (N × C × H × W uint8) in `tensors`."""
    if isinstance(layer, Concatenation):
        return np.concatenate([tensors[name] for name in layer.inputs], axis=1)
    inputs = tensors[layer.input]
    if isinstance(layer, MaxPool):
        return maximum_pool(layer, inputs)
    residual = None if layer.residual is None else tensors[layer.residual]
    return requantize(
        accumulate(layer, inputs, graph.tensors[layer.input].maximum),
        layer.multiplier,
        layer.bias,
        layer.shift,
        graph.tensors[layer.output].maximum,
        residual=residual,
        residual_multiplier=layer.residual_multiplier,
    )


def accumulator_interval(layer: Convolution, maximum: int) -> tuple[np.ndarray, np.ndarray]:
    """The exact lowest and highest Σ w·q of every filter over all q in 0 … maximum (int64 each).

    It holds for every partial sum too, whatever the order of addition. Sums whose window lies partly in the padding are
    inside it.
    """
    axes = (1, 2, 3)
    low = np.minimum(layer.weight, 0).sum(axis=axes, dtype=np.int64) * maximum
    high = np.maximum(layer.weight, 0).sum(axis=axes, dtype=np.int64) * maximum
    return low, high


def accumulator_bound(layer: Convolution, maximum: int) -> np.ndarray:
    """The largest |Σ w·q| of every filter over all q in 0 … maximum (int64); `maximum` is the input tensor's."""
    low, high = accumulator_interval(layer, maximum)
    return np.maximum(-low, high)


def accumulate(layer: Convolution, inputs: np.ndarray, maximum: int) -> np.ndarray:
    """The accumulators Σ w·q of a convolution: int64, N × filters × rows × columns, from N × C × H × W codes.

    Sums run in float32, float64 or int64: the first whose integers provably hold every partial sum.
    """
    bound = int(accumulator_bound(layer, maximum).max(initial=0))
    exact: Any = np.float32 if bound < 1 << 24 else np.float64 if bound < 1 << 53 else np.int64
    padded = _pad(inputs, layer.padding)
    if layer.depthwise:
        return _depthwise(layer, padded, exact)
    windows = sliding_window_view(padded, layer.kernel, axis=(2, 3))[:, :, :: layer.stride[0], :: layer.stride[1]]
    images, _, rows, columns = windows.shape[:4]
    matrix = layer.weight.reshape(len(layer.weight), -1).astype(exact)
    sums = np.empty((images, len(matrix), rows, columns), np.int64)
    step = max(1, _WINDOW_BYTES // (matrix.shape[1] * rows * columns * matrix.itemsize))
    for start in range(0, images, step):
        part = windows[start : start + step].transpose(1, 4, 5, 0, 2, 3).astype(exact)
        product = matrix @ part.reshape(matrix.shape[1], -1)
        sums[start : start + step] = product.reshape(len(matrix), -1, rows, columns).swapaxes(0, 1)
    return sums


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
    """clip((acc·M + r·R + B + half) >> S, 0, maximum) as uint8 (DESIGN section 3).

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


def maximum_pool(layer: MaxPool, inputs: np.ndarray) -> np.ndarray:
    """The largest code of every window, uint8, N × C × rows × columns; padding counts as code 0."""
    return functools.reduce(np.maximum, _shifted(layer, _pad(inputs, layer.padding))).copy()


def _depthwise(layer: Convolution, padded: np.ndarray, exact: Any) -> np.ndarray:
    filters = len(layer.weight)
    spread = np.repeat(padded.astype(exact), filters // layer.groups, axis=1)
    taps = layer.weight.reshape(filters, -1).T.astype(exact)
    sums: np.ndarray | int = 0
    for tap, shifted in zip(taps, _shifted(layer, spread)):
        sums = sums + shifted * tap[:, None, None]
    return np.asarray(sums).astype(np.int64)


def _shifted(layer: Convolution | MaxPool, padded: np.ndarray) -> Iterator[np.ndarray]:
    """The map as each position of the window sees it, row by row: views of N × C × rows × columns."""
    (kernel_y, kernel_x), (stride_y, stride_x) = layer.kernel, layer.stride
    rows, columns = (padded.shape[2] - kernel_y) // stride_y, (padded.shape[3] - kernel_x) // stride_x
    for y in range(kernel_y):
        for x in range(kernel_x):
            yield padded[:, :, y : y + rows * stride_y + 1 : stride_y, x : x + columns * stride_x + 1 : stride_x]


def _pad(inputs: np.ndarray, padding: Padding) -> np.ndarray:
    if not padding:
        return inputs
    return np.pad(inputs, ((0, 0), (0, 0), (padding.top, padding.bottom), (padding.left, padding.right)))


def _checked_input(tensor: TensorType, codes: np.ndarray) -> np.ndarray:
    if not isinstance(codes, np.ndarray) or codes.dtype.kind not in "iu":
        found = codes.dtype if isinstance(codes, np.ndarray) else type(codes).__name__
        raise TypeError(f"codes of input {tensor.name!r} must be a NumPy array of integers, not {found}")
    if codes.ndim not in (3, 4) or codes.shape[-3:] != tensor.shape:
        raise ValueError(
            f"codes of input {tensor.name!r} must have shape {tensor.shape} or (N, *{tensor.shape}), not {codes.shape}"
        )
    if codes.size and (codes.min() < 0 or codes.max() > tensor.maximum):
        raise ValueError(
            f"codes of input {tensor.name!r} must be 0 … {tensor.maximum}, not {codes.min()} … {codes.max()}"
        )
    return np.ascontiguousarray(codes.reshape(-1, *tensor.shape), np.uint8)

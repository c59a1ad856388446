"""The NumPy executor: runs an integer graph exactly."""

from collections.abc import Collection

import numpy as np

from .graph import IntegerGraph, TensorType


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
        tensors[layer.output] = layer.execute(graph.tensors, tensors)
        for name in {*layer.inputs, layer.output}:
            if name not in wanted and last_use.get(name, -1) <= index:
                del tensors[name]
    results = {name: tensors[name] for name in graph.tensors if name in wanted}
    return results if codes.ndim == 4 else {name: value[0] for name, value in results.items()}


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

"""Checks that an integer graph keeps the contract of DESIGN section 3. NumPy only."""

import math
import numbers
from typing import NoReturn

import numpy as np

from .formats import WeightFormat
from .graph import (
    BIAS_BITS,
    MAXIMUM_SHIFT,
    MULTIPLIER_BITS,
    Concatenation,
    Convolution,
    GraphError,
    IntegerGraph,
    Layer,
    MaxPool,
    Padding,
    TensorType,
)

TENSOR_BITS = range(2, 9)
"""Legal bits of a feature map."""
ACCUMULATOR_LIMIT = 1 << 44
"""Σ |w| · q must stay below: requantization is then exact in 64 bits."""


def validate(graph: IntegerGraph) -> None:
    """Checks every tensor and every layer of a graph.

    Raises
    ------
    GraphError: something breaks the contract; the message names the layer (or tensor), the field, the reason and what
        would be legal.
    """
    if not graph.layers:
        raise GraphError(f"graph {graph.name!r}: layers must not be empty")
    for key, tensor in graph.tensors.items():
        _check_tensor(key, tensor)
    _check_names(graph)
    _check_order(graph)
    for layer in graph.layers:
        if isinstance(layer, Concatenation):
            _check_concatenation(layer, graph.tensors)
        elif isinstance(layer, MaxPool):
            _check_max_pool(layer, graph.tensors)
        else:
            _check_convolution(layer, graph.tensors)


def output_size(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: Padding
) -> tuple[int, int]:
    """Rows and columns that a window makes of a map of `size` (rows, columns); below 1 where it fits nowhere."""
    rows = (size[0] + padding.top + padding.bottom - kernel[0]) // stride[0] + 1
    columns = (size[1] + padding.left + padding.right - kernel[1]) // stride[1] + 1
    return rows, columns


def _refuse(layer: Layer, field: str, reason: str) -> NoReturn:
    raise GraphError(f"layer {layer.name!r}: {field} {reason}")


def _is_integer(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


# Tensors and the order of layers --------------------------------------------------------------------------------------


def _check_tensor(key: str, tensor: TensorType) -> None:
    def refuse(field: str, reason: str) -> NoReturn:
        raise GraphError(f"tensor {key!r}: {field} {reason}")

    if not isinstance(tensor, TensorType):
        refuse("value", f"must be a TensorType, not {type(tensor).__name__}")
    if not isinstance(key, str) or not key or tensor.name != key:
        refuse("name", f"must be the tensor's key in the graph and not empty; it is {tensor.name!r}")
    for field in ("channels", "height", "width"):
        value = getattr(tensor, field)
        if not _is_integer(value) or value < 1:
            refuse(field, f"must be an integer of at least 1, not {value!r}")
    if not _is_integer(tensor.bits) or tensor.bits not in TENSOR_BITS:
        refuse("bits", f"must be {TENSOR_BITS[0]} … {TENSOR_BITS[-1]}, not {tensor.bits!r}")
    if not isinstance(tensor.scale, numbers.Real) or not math.isfinite(tensor.scale) or tensor.scale <= 0:
        refuse("scale", f"must be a finite number above 0, not {tensor.scale!r}")
    if not _is_integer(tensor.zero_point):
        refuse("zero_point", f"must be an integer, not {tensor.zero_point!r}")


def _check_names(graph: IntegerGraph) -> None:
    names: set[str] = set()
    for index, layer in enumerate(graph.layers):
        if not isinstance(layer, Layer):
            kinds = "a Convolution, a MaxPool or a Concatenation"
            raise GraphError(f"layer {index}: must be {kinds}, not {type(layer).__name__}")
        if not isinstance(layer.name, str) or not layer.name:
            raise GraphError(f"layer {index}: name must be a string that is not empty, not {layer.name!r}")
        if layer.name in names:
            _refuse(layer, "name", "is used by two layers; layer names must be unique")
        names.add(layer.name)


def _check_order(graph: IntegerGraph) -> None:
    if graph.input not in graph.tensors:
        raise GraphError(f"graph {graph.name!r}: input {graph.input!r} is not a tensor of the graph")
    produced = {graph.input}
    for layer in graph.layers:
        if isinstance(layer, Concatenation):
            if not isinstance(layer.inputs, tuple) or len(layer.inputs) < 2:
                _refuse(layer, "inputs", f"must be a tuple of at least two tensors, not {layer.inputs!r}")
            reads = [(f"inputs[{position}]", tensor) for position, tensor in enumerate(layer.inputs)]
        else:
            reads = list(zip(("input", "residual"), layer.inputs))
        for field, tensor in reads:
            if tensor not in graph.tensors:
                _refuse(layer, field, f"{tensor!r} is not a tensor of the graph")
            if tensor not in produced:
                _refuse(layer, field, f"{tensor!r} is produced later or never; layers must be in order of execution")
        if layer.output not in graph.tensors:
            _refuse(layer, "output", f"{layer.output!r} is not a tensor of the graph")
        if layer.output in produced:
            what = "the graph's input" if layer.output == graph.input else "produced by an earlier layer"
            _refuse(layer, "output", f"{layer.output!r} is {what}; every tensor is produced once")
        produced.add(layer.output)
    if unused := [name for name in graph.tensors if name not in produced]:
        raise GraphError(f"tensor {unused[0]!r}: no layer produces it; remove it, or add the layer that does")
    if not graph.outputs:
        raise GraphError(f"graph {graph.name!r}: outputs must name at least one tensor")
    for name in graph.outputs:
        if name not in produced or name == graph.input:
            raise GraphError(f"graph {graph.name!r}: output {name!r} is not produced by a layer")
    if len(set(graph.outputs)) != len(graph.outputs):
        raise GraphError(f"graph {graph.name!r}: outputs {graph.outputs} name a tensor twice")


# Layers ---------------------------------------------------------------------------------------------------------------


def _check_concatenation(layer: Concatenation, tensors: dict[str, TensorType]) -> None:
    target = tensors[layer.output]
    for position, name in enumerate(layer.inputs):
        for field in ("height", "width", "bits", "scale", "zero_point"):
            before, after = getattr(tensors[name], field), getattr(target, field)
            if before != after:
                _refuse(
                    layer,
                    f"inputs[{position}]",
                    f"{name!r} has {field} {before}, but {target.name!r} has {after}; all maps of a concatenation "
                    "must have the same",
                )
    channels = sum(tensors[name].channels for name in layer.inputs)
    if target.channels != channels:
        _refuse(layer, "output", f"{target.name!r} has {target.channels} channels, but its operands have {channels}")


def _check_window(layer: Convolution | MaxPool, source: TensorType, target: TensorType) -> None:
    for field in ("kernel", "stride"):
        value = getattr(layer, field)
        if len(value) != 2 or not all(_is_integer(number) and number >= 1 for number in value):
            _refuse(layer, field, f"must be two integers of at least 1, not {value!r}")
    padding = layer.padding
    for side in ("top", "left", "bottom", "right"):
        if not _is_integer(getattr(padding, side)) or getattr(padding, side) < 0:
            _refuse(layer, f"padding.{side}", f"must be an integer of at least 0, not {getattr(padding, side)!r}")
    rows, columns = output_size((source.height, source.width), layer.kernel, layer.stride, padding)
    if rows < 1 or columns < 1:
        _refuse(
            layer,
            "kernel",
            f"{layer.kernel[0]}×{layer.kernel[1]} is larger than the padded map of {source.name!r}, "
            f"{source.height + padding.top + padding.bottom}×{source.width + padding.left + padding.right}",
        )
    if (rows, columns) != (target.height, target.width):
        _refuse(
            layer,
            "output",
            f"{target.name!r} is {target.height}×{target.width}, but kernel, stride and padding make "
            f"{rows}×{columns} of {source.name!r}",
        )


def _check_max_pool(layer: MaxPool, tensors: dict[str, TensorType]) -> None:
    source, target = tensors[layer.input], tensors[layer.output]
    _check_window(layer, source, target)
    for field in ("channels", "bits", "scale", "zero_point"):
        before, after = getattr(source, field), getattr(target, field)
        if before != after:
            _refuse(layer, "output", f"{target.name!r} has {field} {after}; a max pool keeps its input's, {before}")


def _check_convolution(layer: Convolution, tensors: dict[str, TensorType]) -> None:
    source, target = tensors[layer.input], tensors[layer.output]
    if not isinstance(layer.weight, np.ndarray) or layer.weight.dtype != np.int64 or layer.weight.ndim != 4:
        found = f"{layer.weight.dtype} of {layer.weight.ndim}" if isinstance(layer.weight, np.ndarray) else "no array,"
        _refuse(layer, "weight", f"must be an int64 array of 4 dimensions, not {found} dimensions")
    filters, depth = layer.weight.shape[:2]
    if not _is_integer(layer.groups) or layer.groups < 1 or layer.groups not in (1, source.channels):
        _refuse(layer, "groups", f"must be 1 or the {source.channels} input channels (depthwise), not {layer.groups!r}")
    if filters < 1 or filters % layer.groups:
        _refuse(layer, "weight", f"has {filters} filters; a multiple of the {layer.groups} groups is needed")
    if depth != source.channels // layer.groups:
        _refuse(
            layer,
            "weight",
            f"has {depth} channels a filter; {source.name!r} with {layer.groups} groups needs "
            f"{source.channels // layer.groups}",
        )
    _check_window(layer, source, target)
    if filters != target.channels:
        _refuse(layer, "output", f"{target.name!r} has {target.channels} channels, but weight has {filters} filters")
    if layer.padding and source.zero_point != 0:
        _refuse(
            layer,
            "padding",
            f"pads {source.name!r}, whose zero_point is {source.zero_point}; a padded map must have zero_point 0 "
            "(put a ReLU before it, or drop the padding)",
        )
    _check_formats(layer)
    _check_requantization(layer, source, target, tensors)


def _check_formats(layer: Convolution) -> None:
    if len(layer.formats) != len(layer.weight):
        _refuse(layer, "formats", f"has {len(layer.formats)} entries for {len(layer.weight)} filters")
    for index, kind in enumerate(layer.formats):
        if not isinstance(kind, WeightFormat):
            _refuse(layer, f"formats[{index}]", f"must be a WeightFormat, not {kind!r}")
    for kind in dict.fromkeys(layer.formats):
        rows = np.array([index for index, entry in enumerate(layer.formats) if entry == kind])
        weights = layer.weight[rows]
        wrong = ~np.isin(weights, kind.levels)
        if wrong.any():
            place = np.argwhere(wrong)[0]
            _refuse(
                layer,
                f"weight[{rows[place[0]]}]",
                f"holds {weights[tuple(place)]}, which is not a level of its format {kind.name}",
            )


def _check_requantization(
    layer: Convolution, source: TensorType, target: TensorType, tensors: dict[str, TensorType]
) -> None:
    if not _is_integer(layer.shift) or not 0 <= layer.shift <= MAXIMUM_SHIFT:
        _refuse(layer, "shift", f"must be 0 … {MAXIMUM_SHIFT}, not {layer.shift!r}")
    half = (1 << layer.shift) >> 1
    for field, values, bits, added in (
        ("multiplier", layer.multiplier, MULTIPLIER_BITS, 0),
        ("bias", layer.bias, BIAS_BITS, half),
    ):
        if not isinstance(values, np.ndarray) or values.dtype != np.int64 or values.shape != (len(layer.weight),):
            _refuse(layer, field, f"must be an int64 array with one entry for each of {len(layer.weight)} filters")
        low, high = -(1 << (bits - 1)) - added, (1 << (bits - 1)) - 1 - added
        wrong = np.flatnonzero((values < low) | (values > high))
        if len(wrong):
            note = f" ({bits} bits with half = {half} added)" if added else f" ({bits} bits)"
            _refuse(layer, f"{field}[{wrong[0]}]", f"must be {low} … {high}{note}, not {values[wrong[0]]}")
    largest = int(np.abs(layer.weight).sum(axis=(1, 2, 3)).max()) * source.maximum
    if largest >= ACCUMULATOR_LIMIT:
        _refuse(layer, "weight", f"allows sums of {largest}; they must stay below {ACCUMULATOR_LIMIT}: use fewer bits")
    limit = 1 << (MULTIPLIER_BITS - 1)
    if not _is_integer(layer.residual_multiplier) or not -limit <= layer.residual_multiplier < limit:
        _refuse(layer, "residual_multiplier", f"must be {-limit} … {limit - 1}, not {layer.residual_multiplier!r}")
    if layer.residual is None:
        if layer.residual_multiplier != 0:
            _refuse(layer, "residual_multiplier", "must be 0 where there is no residual")
    elif tensors[layer.residual].shape != target.shape:
        _refuse(
            layer,
            "residual",
            f"{layer.residual!r} has shape {tensors[layer.residual].shape}; it must be the output's, {target.shape}",
        )

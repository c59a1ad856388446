"""Export: a quantized network as an integer graph, and how far the two agree.

For each layer, with the scales s of its tensors and of its filters, and zero points z:

    M[o] = round(s_in · s_w[o] / s_out · 2^S),   R = round(s_r / s_out · 2^S),
    B[o] = round((bias[o] / s_out + z_out) · 2^S) − M[o] · z_in · Σw[o] − R · z_r

with the largest S ≤ 47 such that every M and R has 18 bits, and every B + half 44 bits (both signed).
"""

import copy
import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from ..frontend.folded import FoldedConvolution, FoldedPool
from ..graph.executor import execute
from ..graph.graph import (
    BIAS_BITS,
    MAXIMUM_SHIFT,
    MULTIPLIER_BITS,
    Concatenation,
    Convolution,
    IntegerGraph,
    Layer,
    MaxPool,
    TensorType,
)
from .model import IMAGE_MAXIMUM, QuantizedNetwork
from .quantized_convolution import QuantizedConvolution
from .quantizers import QuantizationError

_BATCH = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Requantization:
    """The integers M, B (int64 per filter), R and S of a layer; `addend` is B without what the zero points owe."""

    multiplier: np.ndarray
    bias: np.ndarray
    addend: np.ndarray
    residual_multiplier: int
    shift: int


def export(network: QuantizedNetwork) -> IntegerGraph:
    """The integer graph of a quantized network, as it is now.

    Raises
    ------
    QuantizationError: a layer's scale or weight is not finite, or its requantization does not fit; names the layer.
    graph.GraphError: the result breaks the contract of the integer graph.
    """
    graph = network.graph
    tensors = _tensors(network)
    layers: list[Layer] = []
    for layer in graph.layers:
        if isinstance(layer, FoldedConvolution):
            layers.append(_convolution(network.convolutions[layer.name], tensors))
        elif isinstance(layer, FoldedPool):
            layers.append(MaxPool(layer.name, layer.input, layer.output, layer.kernel, layer.stride, layer.padding))
        else:
            layers.append(Concatenation(layer.name, layer.inputs, layer.output))
    return IntegerGraph(graph.name, tensors, tuple(layers), graph.input, graph.outputs)


@torch.no_grad()
def align_scales(network: QuantizedNetwork) -> None:
    """Moves every filter's scale and bias, and what a residual is multiplied by, to what the integers of its
    requantization stand for (by half a unit of M, B and R at most).

    Fake quantization then computes with the numbers of the integer graph, so that the two differ only by rounding of
    floating point. To be called after training; `update_scale` undoes it, but for the biases.

    Raises
    ------
    QuantizationError: as `export`.
    """
    tensors = _tensors(network)
    for module in network.convolutions.values():
        layer = module.layer
        source, target = tensors[layer.input], tensors[layer.output]
        numbers = _requantization(module, module.codes(), tensors)
        unit = target.scale * 2.0**-numbers.shift
        aligned = torch.from_numpy(numbers.multiplier * unit / source.scale).to(module.scale.dtype)
        module.scale.copy_(torch.where(aligned > 0, aligned, module.scale))
        module.bias.copy_(torch.from_numpy(numbers.addend * unit - target.zero_point * target.scale))
        if layer.residual is not None:
            module.residual_factor.fill_(numbers.residual_multiplier * unit / tensors[layer.residual].scale)


def _tensors(network: QuantizedNetwork) -> dict[str, TensorType]:
    tensors: dict[str, TensorType] = {}
    for name, shape in network.graph.shapes.items():
        quantizer = network.quantizer(name)
        scale = quantizer.scale
        if not math.isfinite(scale) or scale <= 0:
            raise QuantizationError(
                f"layer {name!r}: the scale of its output is {scale}; calibrate again, or train with a lower rate"
            )
        tensors[name] = TensorType(name, *shape, quantizer.bits, scale, quantizer.zero_point)
    for layer in network.graph.convolutions:
        if layer.border is not None:
            codes = (layer.border * IMAGE_MAXIMUM).round().int().tolist()
            tensors[layer.input] = dataclasses.replace(tensors[layer.input], border=tuple(codes))
    return tensors


def _convolution(module: QuantizedConvolution, tensors: dict[str, TensorType]) -> Convolution:
    layer, weight = module.layer, module.codes()
    numbers = _requantization(module, weight, tensors)
    return Convolution(
        name=layer.name, input=layer.input, output=layer.output, weight=weight, formats=module.formats,
        multiplier=numbers.multiplier, bias=numbers.bias, shift=numbers.shift, stride=layer.stride,
        padding=layer.padding, groups=layer.groups, residual=layer.residual,
        residual_multiplier=numbers.residual_multiplier, kind=layer.kind,
    )  # fmt: skip


def _requantization(
    module: QuantizedConvolution, weight: np.ndarray, tensors: dict[str, TensorType]
) -> Requantization:
    layer = module.layer
    for what, values in (("weights", module.weight), ("biases", module.bias), ("weight scales", module.scale)):
        if not bool(torch.isfinite(values).all()):
            raise QuantizationError(f"layer {layer.name!r}: its {what} are not all finite; train with a lower rate")
    return requantization(
        layer.name, weight, module.scale.double().numpy(), module.bias.detach().double().numpy(),
        source=tensors[layer.input], target=tensors[layer.output],
        residual=tensors[layer.residual] if layer.residual is not None else None,
    )  # fmt: skip


def requantization(
    name: str,
    weight: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    *,
    source: TensorType,
    target: TensorType,
    residual: TensorType | None = None,
) -> Requantization:
    """The integers that requantize a layer.

    Parameters
    ----------
    weight: int64, filters × …; scale: of the filters' weights, per filter; bias: real, per filter.

    Raises
    ------
    QuantizationError: even with S = 0 something does not fit.
    """
    sums = weight.reshape(len(weight), -1).sum(axis=1)
    used = np.abs(weight).reshape(len(weight), -1).any(axis=1)
    factors = np.where(used, source.scale * scale / target.scale, 0.0)
    residual_factor = residual.scale / target.scale if residual is not None else 0.0
    residual_zero = residual.zero_point if residual is not None else 0
    offsets = bias / target.scale + target.zero_point
    limit, bias_limit = 1 << (MULTIPLIER_BITS - 1), 1 << (BIAS_BITS - 1)
    largest, largest_offset = max(float(factors.max(initial=0.0)), residual_factor), float(np.abs(offsets).max())
    if largest < limit and largest_offset < bias_limit:
        for shift in range(MAXIMUM_SHIFT, -1, -1):
            unit, half = 2.0**shift, (1 << shift) >> 1
            multiplier, addend = np.rint(factors * unit), np.rint(offsets * unit)
            times = round(residual_factor * unit)
            if multiplier.max(initial=0.0) >= limit or times >= limit or largest_offset * unit >= 2.0**62:
                continue
            total = addend.astype(np.int64) - multiplier.astype(np.int64) * source.zero_point * sums
            total -= times * residual_zero
            if total.min() + half >= -bias_limit and total.max() + half < bias_limit:
                return Requantization(multiplier.astype(np.int64), total, addend, times, shift)
    raise QuantizationError(
        f"layer {name!r}: its scales are too far apart for {MULTIPLIER_BITS}-bit multipliers, {BIAS_BITS}-bit biases "
        f"(largest factor {largest:g}, largest bias {largest_offset:g} steps of the output); "
        "calibrate with representative images"
    )


# Agreement ------------------------------------------------------------------------------------------------------------


def image_codes(images: Tensor) -> np.ndarray:
    """The input codes of images: uint8 as they are, floats in 0 … 1 as round-half-up of 255 times the value."""
    if images.dtype == torch.uint8:
        return images.numpy()
    return torch.floor(images.float() * IMAGE_MAXIMUM + 0.5).clamp(0, IMAGE_MAXIMUM).to(torch.uint8).numpy()


def integer_scores(graph: IntegerGraph, images: Tensor, *, batch: int = 64) -> np.ndarray:
    """The real values of the first output by the integer executor: float64, N × values."""
    target = graph.tensors[graph.outputs[0]]
    codes = image_codes(images)
    parts = [
        execute(graph, codes[start : start + batch], keep=(target.name,))[target.name]
        for start in range(0, len(codes), batch)
    ]
    return (np.concatenate(parts).reshape(len(codes), -1).astype(np.float64) - target.zero_point) * target.scale


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How the codes of the integer executor and of fake quantization differ on the same images, for one tensor.

    Members
    -------
    differing: share of codes that are not equal.
    far: share of codes that differ by more than 1.
    """

    tensor: str
    differing: float
    far: float


def agreement(network: QuantizedNetwork, graph: IntegerGraph, images: Tensor) -> tuple[Agreement, ...]:
    """Compares every tensor that a layer makes; errors of earlier layers are carried along in both.

    Fake quantization runs in float64 here, with the graph's scales. In float32 its sums have errors of their own, which
    turn over one code in some hundred thousand, and a deep network spreads what is turned over: of the codes of
    EfficientNet-Lite0 1.5 % differ then, and of its last layers most.
    """
    precise = _in_double(network, graph)
    names = [name for name in graph.tensors if name != graph.input]
    differing, far = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for batch in images.split(_BATCH):
        expected, found = precise.codes(batch), execute(graph, image_codes(batch))
        for name in names:
            distance = np.abs(expected[name] - found[name].astype(np.int64))
            differing[name] += int((distance > 0).sum())
            far[name] += int((distance > 1).sum())
    sizes = {name: len(images) * math.prod(graph.tensors[name].shape) for name in names}
    return tuple(Agreement(name, differing[name] / sizes[name], far[name] / sizes[name]) for name in names)


def _in_double(network: QuantizedNetwork, graph: IntegerGraph) -> QuantizedNetwork:
    """A copy that computes in float64, aligned, with the scales that the graph's tensors have."""
    precise = copy.deepcopy(network).double()
    for name, tensor in graph.tensors.items():
        precise.quantizer(name).set_codes(tensor.scale, tensor.zero_point)
    align_scales(precise)
    return precise

"""Runs the layers of a folded graph in floating point."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..graph.graph import Padding
from .folded import FoldedConcatenation, FoldedConvolution, FoldedGraph, FoldedLayer, FoldedPool


def convolve(layer: FoldedConvolution, value: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The convolution of a layer with given weights (before residual and output range); value: N × C × H × W."""
    padding = layer.padding
    if layer.border is not None:
        value, edges = _surround(value, padding, layer.border), (0, 0)
    elif padding.top == padding.bottom and padding.left == padding.right:
        edges = (padding.top, padding.left)
    else:
        value, edges = pad(value, padding), (0, 0)
    return functional.conv2d(value, weight, bias, layer.stride, edges, 1, layer.groups)


def pad(value: Tensor, padding: Padding, fill: float = 0.0) -> Tensor:
    if not padding:
        return value
    return functional.pad(value, (padding.left, padding.right, padding.top, padding.bottom), value=fill)


def _surround(value: Tensor, padding: Padding, border: Tensor) -> Tensor:
    """The value with a number for each channel around its maps."""
    images, channels, height, width = value.shape
    rows, columns = height + padding.top + padding.bottom, width + padding.left + padding.right
    result = border.to(value)[:, None, None].expand(images, channels, rows, columns).clone()
    result[:, :, padding.top : padding.top + height, padding.left : padding.left + width] = value
    return result


def max_pool(layer: FoldedPool, value: Tensor) -> Tensor:
    """The max pool of a layer; value: N × C × H × W."""
    return functional.max_pool2d(pad(value, layer.padding, -math.inf), layer.kernel, layer.stride)


def run_folded(graph: FoldedGraph, images: Tensor) -> dict[str, Tensor]:
    """Every tensor of a folded graph in floating point of the images' type (N × C × H × W)."""
    tensors = {graph.input: images}
    run_layers(graph.layers, tensors)
    return tensors


def run_layers(layers: Sequence[FoldedLayer], tensors: dict[str, Tensor]) -> None:
    """Runs some of the layers, which follow one another: adds their outputs to `tensors`, which has what they read."""
    for layer in layers:
        if isinstance(layer, FoldedConvolution):
            value = tensors[layer.input]
            result = convolve(layer, value, layer.weight.to(value.dtype), layer.bias.to(value.dtype))
            tensors[layer.output] = finish(layer, result, tensors)
        else:
            tensors[layer.output] = rearrange(layer, tensors)


def rearrange(layer: FoldedPool | FoldedConcatenation, tensors: Mapping[str, Tensor]) -> Tensor:
    """The output of a layer that keeps its inputs' values, N × C × H × W."""
    if isinstance(layer, FoldedPool):
        return max_pool(layer, tensors[layer.input])
    return torch.cat([tensors[name] for name in layer.inputs], dim=1)


def finish(layer: FoldedConvolution, result: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """Residual and output range of a layer."""
    result = add_residual(layer, result, tensors)
    return result.clamp(0.0, layer.ceiling) if layer.relu else result


def add_residual(layer: FoldedConvolution, result: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """A layer's convolution and its residual, if it has one."""
    return result if layer.residual is None else result + tensors[layer.residual]

"""An integer graph as a PyTorch module in integer arithmetic: the reference that the executor is compared with.

Written with PyTorch's own operators and nothing of the executor. Convolutions run in float64, whose integers are exact
to 2^53: validation keeps every sum below 2^44.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .graph import Concatenation, Convolution, IntegerGraph, Layer, MaxPool, Padding, TensorType


class ReferenceConvolution(nn.Module):
    """A `graph.Convolution`: int64 codes N × C × H × W (and residual codes) to int64 codes."""

    weight: Tensor
    multiplier: Tensor
    bias: Tensor

    around: Tensor

    def __init__(self, layer: Convolution, source: TensorType, maximum: int) -> None:
        super().__init__()
        self.layer, self.maximum = layer, maximum
        self.register_buffer("around", torch.tensor(source.padding_codes, dtype=torch.float64).reshape(1, -1, 1, 1))
        self.register_buffer("weight", torch.from_numpy(layer.weight.astype(np.float64)))
        self.register_buffer("multiplier", torch.from_numpy(layer.multiplier.copy()).reshape(1, -1, 1, 1))
        self.register_buffer("bias", torch.from_numpy(layer.bias.copy()).reshape(1, -1, 1, 1))

    def forward(self, codes: Tensor, residual: Tensor | None = None) -> Tensor:
        padded = _padded(codes - self.around, self.layer.padding) + self.around
        sums = functional.conv2d(padded, self.weight, stride=self.layer.stride, groups=self.layer.groups).long()
        scaled = sums * self.multiplier + self.bias
        if residual is not None:
            scaled = scaled + residual * self.layer.residual_multiplier
        if self.layer.shift:
            scaled = scaled + 2 ** (self.layer.shift - 1)
        return torch.div(scaled, 2**self.layer.shift, rounding_mode="floor").clamp(0, self.maximum)


class ReferencePool(nn.Module):
    """A `graph.MaxPool`: int64 codes to int64 codes."""

    def __init__(self, layer: MaxPool) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, codes: Tensor) -> Tensor:
        padded = _padded(codes, self.layer.padding)
        return functional.max_pool2d(padded, self.layer.kernel, self.layer.stride).long()


class ReferenceConcatenation(nn.Module):
    """A `graph.Concatenation`: int64 codes of all operands to int64 codes."""

    def forward(self, *codes: Tensor) -> Tensor:
        return torch.cat(codes, dim=1)


class ReferenceNetwork(nn.Module):
    """An `IntegerGraph`: integer codes N × C × H × W to the codes of every tensor, by name (int64)."""

    def __init__(self, graph: IntegerGraph) -> None:
        super().__init__()
        self.graph = graph
        self.steps = nn.ModuleList(self._step(layer) for layer in graph.layers)

    def _step(self, layer: Layer) -> nn.Module:
        tensors = self.graph.tensors
        if isinstance(layer, Concatenation):
            return ReferenceConcatenation()
        if isinstance(layer, MaxPool):
            return ReferencePool(layer)
        return ReferenceConvolution(layer, tensors[layer.input], tensors[layer.output].maximum)

    @torch.no_grad()
    def forward(self, codes: Tensor) -> dict[str, Tensor]:
        tensors = {self.graph.input: codes.long()}
        for layer, step in zip(self.graph.layers, self.steps):
            tensors[layer.output] = step(*(tensors[name] for name in layer.inputs))
        return tensors


def _padded(codes: Tensor, padding: Padding) -> Tensor:
    return functional.pad(codes.double(), (padding.left, padding.right, padding.top, padding.bottom))

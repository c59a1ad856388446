"""Folding: the captured operations as the layers that the machine has; real numbers still, and the same function.

Batch norms go into the weights and biases, ReLU and ReLU6 become the output range of the layer before, an add joins the
convolution that makes one of its operands. What cannot be joined becomes a depthwise 1×1 convolution with weights ±1.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .capture import Add, Affine, CapturedGraph, Clamp, Conv, Operation, Pool
from .graph import Padding


@dataclasses.dataclass(eq=False, kw_only=True)
class FoldedConvolution:
    """clip(conv(x) + bias (+ r), 0 or −∞, ceiling).

    Members
    -------
    weight: float64, out × in / groups × rows × columns; bias: float64 per filter.
    exact: a pseudo-layer (average pool, add, lone batch norm or ReLU): every filter's weights are ±its one magnitude,
        so that its integer weights are ±1 and its scale that magnitude, whatever its format; it is not trained.
    residual: name of r, or None.
    relu, ceiling: the output range; ceiling is ∞ unless ReLU6.
    kind: as in `graph.Convolution`.
    """

    name: str
    input: str
    output: str
    shape: tuple[int, int, int]
    weight: Tensor
    bias: Tensor
    stride: tuple[int, int] = (1, 1)
    padding: Padding = dataclasses.field(default_factory=Padding)
    groups: int = 1
    residual: str | None = None
    relu: bool = False
    ceiling: float = math.inf
    exact: bool = False
    kind: str = "convolution"

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,) if self.residual is None else (self.input, self.residual)


@dataclasses.dataclass(eq=False, kw_only=True)
class FoldedPool:
    """A max pool."""

    name: str
    input: str
    output: str
    shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding
    kind: str = "max_pool"

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


FoldedLayer = FoldedConvolution | FoldedPool


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FoldedGraph:
    """Layers in order of execution; the tensor that a layer makes has its name.

    Members
    -------
    shapes: channels, height, width by tensor.
    signed: whether a tensor can have negative values, by tensor (the input image has none).
    tensor_of: the tensor that holds a captured operation's result, by the operation's name.
    """

    name: str
    input: str
    layers: tuple[FoldedLayer, ...]
    outputs: tuple[str, ...]
    shapes: dict[str, tuple[int, int, int]]
    signed: dict[str, bool]
    tensor_of: dict[str, str]

    @property
    def convolutions(self) -> tuple[FoldedConvolution, ...]:
        return tuple(layer for layer in self.layers if isinstance(layer, FoldedConvolution))

    def consumers(self, tensor: str) -> tuple[FoldedLayer, ...]:
        return tuple(layer for layer in self.layers if tensor in layer.inputs)


def fold(captured: CapturedGraph) -> FoldedGraph:
    """Folds a captured graph. The function stays the same but for rounding of floating point.

    Raises
    ------
    ValueError: nothing is left to compute.
    """
    folder = _Folder(captured)
    for operation in captured.operations:
        folder.take(operation)
    return folder.result()


def convolve(layer: FoldedConvolution, value: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The convolution of a layer with given weights (before residual and output range); value: N × C × H × W."""
    padding = layer.padding
    if padding.top == padding.bottom and padding.left == padding.right:
        edges = (padding.top, padding.left)
    else:
        value, edges = pad(value, padding), (0, 0)
    return functional.conv2d(value, weight, bias, layer.stride, edges, 1, layer.groups)


def pad(value: Tensor, padding: Padding, fill: float = 0.0) -> Tensor:
    if not padding:
        return value
    return functional.pad(value, (padding.left, padding.right, padding.top, padding.bottom), value=fill)


def max_pool(layer: FoldedPool, value: Tensor) -> Tensor:
    """The max pool of a layer; value: N × C × H × W."""
    return functional.max_pool2d(pad(value, layer.padding, -math.inf), layer.kernel, layer.stride)


def run_folded(graph: FoldedGraph, images: Tensor) -> dict[str, Tensor]:
    """Every tensor of a folded graph in floating point of the images' type (N × C × H × W)."""
    tensors = {graph.input: images}
    for layer in graph.layers:
        value = tensors[layer.input]
        if isinstance(layer, FoldedPool):
            tensors[layer.output] = max_pool(layer, value)
        else:
            result = convolve(layer, value, layer.weight.to(value.dtype), layer.bias.to(value.dtype))
            tensors[layer.output] = finish(layer, result, tensors)
    return tensors


def finish(layer: FoldedConvolution, result: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """Residual and output range of a layer."""
    if layer.residual is not None:
        result = result + tensors[layer.residual]
    return result.clamp(0.0, layer.ceiling) if layer.relu else result


class _Folder:
    def __init__(self, captured: CapturedGraph) -> None:
        self.captured = captured
        self.uses = Counter(name for operation in captured.operations for name in operation.inputs)
        self.uses.update(captured.outputs)
        self.tensor = {captured.input: captured.input}
        """The tensor that holds a captured value."""
        self.value = {captured.input: captured.input}
        """The last captured value that a tensor holds."""
        self.layers: dict[str, FoldedLayer] = {}
        """By the tensor that they make, in order of execution."""

    def take(self, operation: Operation) -> None:
        sources = [self.tensor[name] for name in operation.inputs]
        if isinstance(operation, Conv):
            self._append(operation, sources[0], weight=operation.weight.clone(), bias=operation.bias.clone(),
                         stride=operation.stride, padding=operation.padding, groups=operation.groups,
                         kind=operation.kind)  # fmt: skip
        elif isinstance(operation, Affine):
            self._affine(operation, sources[0])
        elif isinstance(operation, Clamp):
            self._clamp(operation, sources[0])
        elif isinstance(operation, Add):
            self._add(operation, sources)
        elif isinstance(operation, Pool):
            self._pool(operation, sources[0])
        else:
            raise TypeError(f"operation {operation.name!r} has an unknown type, {type(operation).__name__}")

    def result(self) -> FoldedGraph:
        outputs = tuple(self.tensor[name] for name in self.captured.outputs)
        needed = set(outputs)
        for layer in reversed(self.layers.values()):
            if layer.output in needed:
                needed.update(layer.inputs)
        layers = tuple(layer for layer in self.layers.values() if layer.output in needed)
        if not layers or self.captured.input in outputs or len(set(outputs)) != len(outputs):
            raise ValueError(f"{self.captured.name}: the outputs must be different tensors, computed from the input")
        shapes = {self.captured.input: self.captured.input_shape} | {layer.output: layer.shape for layer in layers}
        return FoldedGraph(
            name=self.captured.name, input=self.captured.input, layers=layers, outputs=outputs, shapes=shapes,
            signed={name: self._signed(name) for name in shapes}, tensor_of=dict(self.tensor),
        )  # fmt: skip

    # One operation each ---------------------------------------------------------------------------------------------

    def _affine(self, operation: Affine, source: str) -> None:
        layer = self._open(operation.inputs[0])
        if layer is not None and not layer.relu and layer.residual is None:
            layer.weight = layer.weight * operation.factor[:, None, None, None]
            layer.bias = layer.bias * operation.factor + operation.offset
            self._hold(operation, source)
        else:
            self._pseudo(operation, source, operation.factor, bias=operation.offset)

    def _clamp(self, operation: Clamp, source: str) -> None:
        if not self._signed(source) and operation.ceiling == math.inf:
            self._alias(operation, source)  # nothing to clip
            return
        # Clipping commutes with a max pool, so it moves before it.
        layer = self._open(operation.inputs[0], through_pools=True)
        if layer is None:
            layer = self._pseudo(operation, source, torch.ones(operation.shape[0], dtype=torch.float64))
        else:
            self._hold(operation, source)
        layer.relu, layer.ceiling = True, min(layer.ceiling, operation.ceiling)

    def _add(self, operation: Add, sources: list[str]) -> None:
        for name, source, other in zip(operation.inputs, sources, reversed(sources)):
            layer = self._open(name)
            if layer is not None and not layer.relu and layer.residual is None and layer.output == source:
                layer.residual = other
                self.layers[source] = self.layers.pop(source)  # after the other operand
                self._hold(operation, source)
                return
        ones = torch.ones(operation.shape[0], dtype=torch.float64)
        self._pseudo(operation, sources[0], ones, residual=sources[1], kind="add")

    def _pool(self, operation: Pool, source: str) -> None:
        if (operation.kernel, operation.stride, operation.divisor) == ((1, 1), (1, 1), 1.0) and not operation.padding:
            self._alias(operation, source)
        elif operation.maximum:
            self.layers[operation.name] = FoldedPool(
                name=operation.name, input=source, output=operation.name, shape=operation.shape,
                kernel=operation.kernel, stride=operation.stride, padding=operation.padding,
            )  # fmt: skip
            self._hold(operation, operation.name)
        else:
            factor = torch.full((operation.shape[0],), 1.0 / operation.divisor, dtype=torch.float64)
            self._pseudo(operation, source, factor, kind="average_pool", kernel=operation.kernel,
                         stride=operation.stride, padding=operation.padding)  # fmt: skip

    # Helpers --------------------------------------------------------------------------------------------------------

    def _append(self, operation: Operation, source: str, **fields: Any) -> FoldedConvolution:
        layer = FoldedConvolution(
            name=operation.name, input=source, output=operation.name, shape=operation.shape, **fields
        )  # fmt: skip
        self.layers[operation.name] = layer
        self._hold(operation, operation.name)
        return layer

    def _pseudo(
        self, operation: Operation, source: str, factor: Tensor, *, bias: Tensor | None = None,
        kernel: tuple[int, int] = (1, 1), **fields: Any,
    ) -> FoldedConvolution:  # fmt: skip
        """A depthwise convolution with equal weights in each filter."""
        channels = operation.shape[0]
        weight = factor[:, None, None, None].expand(channels, 1, *kernel).clone()
        bias = torch.zeros(channels, dtype=torch.float64) if bias is None else bias
        return self._append(operation, source, weight=weight, bias=bias, groups=channels, exact=True, **fields)

    def _hold(self, operation: Operation, tensor: str) -> None:
        """The operation's result is what the tensor now holds."""
        self.tensor[operation.name] = tensor
        self.value[tensor] = operation.name

    def _alias(self, operation: Operation, tensor: str) -> None:
        """The operation changes nothing: who reads its result and who reads its operand read one tensor."""
        self.uses[operation.name] += self.uses[operation.inputs[0]] - 1
        self._hold(operation, tensor)

    def _open(self, value: str, *, through_pools: bool = False) -> FoldedConvolution | None:
        """The convolution whose output is read only as this value, by one operation; None if there is none."""
        layer = self.layers.get(self.tensor[value])
        if self.uses[value] > 1:
            return None
        if isinstance(layer, FoldedPool):
            return self._open(self.value[layer.input], through_pools=True) if through_pools else None
        return layer

    def _signed(self, tensor: str) -> bool:
        """Whether the tensor can have negative values."""
        layer = self.layers.get(tensor)
        if layer is None or (isinstance(layer, FoldedConvolution) and layer.relu):
            return False
        if isinstance(layer, FoldedConvolution):
            positive = layer.exact and bool((layer.weight >= 0).all()) and bool((layer.bias >= 0).all())
            if not positive:
                return True
        return any(self._signed(name) for name in layer.inputs)

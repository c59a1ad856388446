"""Folding: the captured operations as the layers that the machine has; real numbers still, and the same function.

Batch norms go into the weights and biases, ReLU and ReLU6 become the output range of the layer before, an add joins the
convolution that makes one of its operands. What cannot be joined becomes a depthwise 1×1 convolution with weights ±1.

All operands of a concatenation share one quantizer, so that it costs nothing. Batch norm and ReLU of a concatenation
that no one else reads go into the convolutions before it; in DenseNet, where each concatenation normalises the same
maps differently, they become a depthwise 1×1 convolution: scale and offset per channel are its requantization, exactly.
An operand that cannot share the others' quantizer, or that stands beside other maps in another concatenation, is copied
by such a convolution.
"""

import dataclasses
import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..graph.concatenation import Chains, Tie, leaves_of, segment_classes
from ..graph.graph import Padding
from .operations import Add, Affine, CapturedGraph, Clamp, Concatenate, Conv, Operation, Pool


@dataclasses.dataclass(eq=False, kw_only=True)
class FoldedConvolution:
    """clip(conv(x) + bias (+ r), 0 or −∞, ceiling).

    Members
    -------
    weight: float64, out × in / groups × rows × columns; bias: float64 per filter.
    exact: a pseudo-layer (average pool, add, copy, lone batch norm or ReLU): every filter's weights are ±its one
        magnitude, so that its integer weights are ±1 and its scale that magnitude, whatever its format; not trained.
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


@dataclasses.dataclass(eq=False, kw_only=True)
class FoldedConcatenation:
    """The channels of maps, one after the other; none of the inputs is a concatenation itself."""

    name: str
    inputs: tuple[str, ...]
    output: str
    shape: tuple[int, int, int]
    kind: str = "concatenation"


FoldedLayer = FoldedConvolution | FoldedPool | FoldedConcatenation


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FoldedGraph:
    """Layers in order of execution; the tensor that a layer makes has its name.

    Members
    -------
    shapes: channels, height, width by tensor.
    signed: whether a tensor, or one that has the same quantizer, can have negative values (the input image has none).
    tensor_of: the tensor that holds a captured operation's result, by the operation's name.
    """

    name: str
    input: str
    layers: tuple[FoldedLayer, ...]
    outputs: tuple[str, ...]
    shapes: dict[str, tuple[int, int, int]]
    signed: dict[str, bool]
    tensor_of: dict[str, str]

    @functools.cached_property
    def sources(self) -> dict[str, str]:
        """By tensor, the first that has its quantizer: a max pool keeps codes, a concatenation shares them."""
        return code_sources(self.shapes, self.layers)

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


def code_sources(tensors: Iterable[str], layers: Iterable[FoldedLayer]) -> dict[str, str]:
    """See `FoldedGraph.sources`; `tensors` in order of execution."""
    kept = [layer for layer in layers if not isinstance(layer, FoldedConvolution)]
    ties = [Tie(layer.output, name, 1) for layer in kept for name in layer.inputs]
    channels = dict.fromkeys(tensors, 1)
    classes = segment_classes(channels, ties)
    sources = {segment.tensor: members[0].tensor for members in classes for segment in members}
    return {name: sources[name] for name in channels}


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
        if isinstance(layer, FoldedConvolution):
            value = tensors[layer.input]
            result = convolve(layer, value, layer.weight.to(value.dtype), layer.bias.to(value.dtype))
            tensors[layer.output] = finish(layer, result, tensors)
        else:
            tensors[layer.output] = rearrange(layer, tensors)
    return tensors


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
        elif isinstance(operation, Concatenate):
            self.layers[operation.name] = FoldedConcatenation(
                name=operation.name, inputs=tuple(sources), output=operation.name, shape=operation.shape
            )
            self._hold(operation, operation.name)
        elif isinstance(operation, Pool):
            self._pool(operation, sources[0])
        else:
            raise TypeError(f"operation {operation.name!r} has an unknown type, {type(operation).__name__}")

    def result(self) -> FoldedGraph:
        outputs = tuple(self.tensor[name] for name in self.captured.outputs)
        joined = {name: it.inputs for name, it in self.layers.items() if isinstance(it, FoldedConcatenation)}
        for layer in self.layers.values():
            if isinstance(layer, FoldedConcatenation):
                layer.inputs = leaves_of(layer.output, joined)
        needed = set(outputs)
        for layer in reversed(self.layers.values()):
            if layer.output in needed:
                needed.update(layer.inputs)
        layers = self._by_address(
            self._one_quantizer([layer for layer in self.layers.values() if layer.output in needed])
        )
        if not layers or self.captured.input in outputs or len(set(outputs)) != len(outputs):
            raise ValueError(f"{self.captured.name}: the outputs must be different tensors, computed from the input")
        shapes = {self.captured.input: self.captured.input_shape} | {layer.output: layer.shape for layer in layers}
        sources = code_sources(shapes, layers)
        signed = {sources[name] for name in shapes if self._signed(name)}
        return FoldedGraph(
            name=self.captured.name, input=self.captured.input, layers=layers, outputs=outputs, shapes=shapes,
            signed={name: sources[name] in signed for name in shapes}, tensor_of=dict(self.tensor),
        )  # fmt: skip

    def _one_quantizer(self, layers: list[FoldedLayer]) -> list[FoldedLayer]:
        """The layers, and copies of operands that cannot share the quantizer of their concatenations: those of the
        image, and those that were clipped at 0, or at a ceiling, where others are not. (A layer clips to its lowest and
        its highest code: a ReLU needs zero point 0, a ReLU6 a range that ends at 6.)"""
        readers = [layer for layer in layers if isinstance(layer, FoldedConcatenation)]
        while True:
            names = dict.fromkeys(name for layer in layers for name in (*layer.inputs, layer.output))
            sources = code_sources(names, layers)
            signed = {source for name, source in sources.items() if self._signed(name)}
            ceilings: dict[str, float] = {}
            for layer in layers:
                if isinstance(layer, FoldedConvolution):
                    source, ceiling = sources[layer.output], layer.ceiling if layer.relu else math.inf
                    ceilings[source] = max(ceilings.get(source, 0.0), ceiling)
            misfits = [
                (reader, name)
                for reader in readers
                for name in reader.inputs
                if (maker := self._maker(name)) is None
                or (maker.relu and (sources[name] in signed or maker.ceiling < ceilings[sources[name]]))
            ]
            if not misfits:
                return layers
            first, source = misfits[0]
            copy = self._copy(first, source)
            layers.insert(layers.index(first), copy)
            for reader in readers:
                reader.inputs = tuple(copy.output if name == source else name for name in reader.inputs)

    def _by_address(self, layers: list[FoldedLayer]) -> tuple[FoldedLayer, ...]:
        """The layers, and copies of operands that cannot lie beside the others of a concatenation."""
        chains = Chains()
        result: list[FoldedLayer] = []
        for layer in layers:
            if isinstance(layer, FoldedConcatenation):
                while conflicts := chains.add(layer.inputs):
                    copies = {place: self._copy(layer, layer.inputs[place]) for place in conflicts}
                    result += copies.values()
                    layer.inputs = tuple(
                        copies[place].output if place in copies else name for place, name in enumerate(layer.inputs)
                    )
            result.append(layer)
        return tuple(result)

    def _maker(self, tensor: str) -> FoldedConvolution | None:
        """The convolution that made a tensor's codes; None if they are the image's."""
        layer = self.layers.get(tensor)
        if isinstance(layer, FoldedPool):
            return self._maker(layer.input)
        return layer if isinstance(layer, FoldedConvolution) else None

    def _copy(self, reader: FoldedConcatenation, source: str) -> FoldedConvolution:
        """A layer that copies an operand."""
        shape = self.captured.input_shape if source == self.captured.input else self.layers[source].shape
        names = (f"{reader.name}.copy{number}" for number in itertools.count(1))
        name = next(name for name in names if name not in self.tensor and name not in self.layers)
        self.layers[name] = layer = FoldedConvolution(
            name=name, input=source, output=name, shape=shape, groups=shape[0], exact=True, kind="copy",
            weight=torch.ones(shape[0], 1, 1, 1, dtype=torch.float64), bias=torch.zeros(shape[0], dtype=torch.float64),
        )  # fmt: skip
        return layer

    # One operation each ---------------------------------------------------------------------------------------------

    def _affine(self, operation: Affine, source: str) -> None:
        makers = self._makers(operation.inputs[0])
        if makers and not any(layer.relu or layer.residual is not None for layer in makers):
            sizes = [len(layer.weight) for layer in makers]
            for layer, factor, offset in zip(makers, operation.factor.split(sizes), operation.offset.split(sizes)):
                layer.weight = layer.weight * factor[:, None, None, None]
                layer.bias = layer.bias * factor + offset
            self._hold(operation, source)
        else:
            self._pseudo(operation, source, operation.factor, bias=operation.offset)

    def _clamp(self, operation: Clamp, source: str) -> None:
        if not self._signed(source) and operation.ceiling == math.inf:
            self._alias(operation, source)  # nothing to clip
            return
        # Clipping commutes with a max pool, so it moves before it.
        makers = self._makers(operation.inputs[0], through_pools=True)
        if makers:
            self._hold(operation, source)
        else:
            makers = [self._pseudo(operation, source, torch.ones(operation.shape[0], dtype=torch.float64))]
        for layer in makers:
            layer.relu, layer.ceiling = True, min(layer.ceiling, operation.ceiling)

    def _add(self, operation: Add, sources: list[str]) -> None:
        for name, source, other in zip(operation.inputs, sources, reversed(sources)):
            makers = self._makers(name)
            layer = makers[0] if len(makers) == 1 else None
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

    def _makers(self, value: str, *, through_pools: bool = False) -> list[FoldedConvolution]:
        """The convolutions whose outputs, concatenated, are read only as this value, by one operation; [] if it is not
        made of such."""
        layer = self.layers.get(self.tensor[value])
        if self.uses[value] > 1 or layer is None or (isinstance(layer, FoldedPool) and not through_pools):
            return []
        if isinstance(layer, FoldedConvolution):
            return [layer]
        parts = [self._makers(self.value[name], through_pools=through_pools) for name in layer.inputs]
        return [maker for part in parts for maker in part] if all(parts) else []

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


def padding_fault(graph: FoldedGraph, layer: FoldedConvolution) -> tuple[str, str] | None:
    """Why a layer cannot pad its input with zeros, and what would work; None if it can (DESIGN section 3)."""
    if not (layer.padding and graph.signed[layer.input]):
        return None
    name = layer.input
    joined = next((it.output for it in graph.layers if it.kind == "concatenation" and name in it.inputs), None)
    where = f"after {name!r}" if joined is None else f"after every map of the concatenation {joined!r}"
    which = "can" if joined is None else "(or what it is concatenated with) can"
    return (
        f"zero-pads {name!r}, which {which} be negative and so needs a zero point",
        f"put a ReLU or ReLU6 {where}, or use padding=0 in {layer.name!r}",
    )

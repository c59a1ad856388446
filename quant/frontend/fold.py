"""Folding: the captured operations as the layers that the machine has; real numbers still, and the same function.

What a model does to its image first, as a normalisation, goes into what reads it (`image_affine.py`).
Batch norms go into the weights and biases, ReLU and ReLU6 become the output range of the layer before, an add joins the
convolution that makes one of its operands. What cannot be joined becomes a depthwise 1×1 convolution with weights ±1.

All operands of a concatenation share one quantizer, so that it costs nothing. Batch norm and ReLU of a concatenation
that no one else reads go into the convolutions before it; in DenseNet, where each concatenation normalises the same
maps differently, they become a depthwise 1×1 convolution: scale and offset per channel are its requantization, exactly.
An operand that cannot share the others' quantizer, or that stands beside other maps in another concatenation, is copied
by such a convolution, and so is the image where it is pooled: its codes have 8 bits, of which the accelerator can take
no maximum. Pools over more rows or columns than a window has are taken in two steps; a linear layer over such a map
reads one that has every second row or column in the channels.
"""

import dataclasses
import math
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from ..graph.concatenation import leaves_of
from .folded import (
    FoldedConcatenation,
    FoldedConvolution,
    FoldedGraph,
    FoldedLayer,
    FoldedPool,
    can_be_negative,
    code_sources,
)
from .image_affine import absorb_image_affine
from .large_windows import LARGEST_WINDOW, in_two_steps, spread
from .operand_copies import OperandCopies, copy_layer
from .operations import Add, Affine, CapturedGraph, Clamp, Concatenate, Conv, Operation, Pool


def fold(captured: CapturedGraph) -> FoldedGraph:
    """Folds a captured graph. The function stays the same but for rounding of floating point, and of the border around
    a normalised image to codes.

    Raises
    ------
    ValueError: nothing is left to compute.
    """
    absorbed = absorb_image_affine(captured)
    folder = _Folder(absorbed.graph)
    for operation in absorbed.graph.operations:
        folder.take(operation)
    graph = folder.result()
    absent = {name: graph.tensor_of[reader] for name, reader in absorbed.readers.items()}
    return dataclasses.replace(graph, tensor_of=graph.tensor_of | absent)


class _Folder:
    """Takes the captured operations one by one, each into the layers so far."""

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
            self._convolution(operation, sources[0])
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
        copies = OperandCopies(self.layers, self.captured.input_shape, taken=self.tensor)
        layers = copies.added([layer for layer in self.layers.values() if layer.output in needed])
        if not layers or self.captured.input in outputs or len(set(outputs)) != len(outputs):
            raise ValueError(f"{self.captured.name}: the outputs must be different tensors, computed from the input")
        shapes = {self.captured.input: self.captured.input_shape} | {layer.output: layer.shape for layer in layers}
        sources = code_sources(shapes, layers)
        signed = {sources[name] for name in shapes if can_be_negative(name, self.layers)}
        return FoldedGraph(
            name=self.captured.name, input=self.captured.input, layers=layers, outputs=outputs, shapes=shapes,
            signed={name: sources[name] in signed for name in shapes}, tensor_of=dict(self.tensor),
        )  # fmt: skip

    # One operation each ---------------------------------------------------------------------------------------------

    def _convolution(self, operation: Conv, source: str) -> None:
        # The image's own rows and columns are laid in channels by the compiler.
        if max(operation.weight.shape[2:]) > LARGEST_WINDOW and source in self.layers:
            name = f"{source}.spread"
            if found := spread(operation, source, self.layers[source].shape, name):
                made, operation = found
                self.layers.setdefault(name, made)
                source = name
        self._append(operation, source, weight=operation.weight.clone(), bias=operation.bias.clone(),
                     stride=operation.stride, padding=operation.padding, groups=operation.groups,
                     border=operation.border, kind=operation.kind)  # fmt: skip

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
        if not can_be_negative(source, self.layers) and operation.ceiling == math.inf:
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
        if max(operation.kernel) > LARGEST_WINDOW and (steps := in_two_steps(operation)):
            for step in steps:
                self.uses[step.name] += 1
                self._pool(step, source)
                source = self.tensor[step.name]
            self.uses[operation.name] -= 1
            return
        if operation.maximum and source == self.captured.input and not _keeps(operation):
            source = self._image_copy()
        if _keeps(operation):
            self._alias(operation, source)
        elif operation.maximum and self._joins_stride(operation, source):
            self._hold(operation, source)
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

    def _image_copy(self) -> str:
        """The image with fewer bits, for pools."""
        name = f"{self.captured.input}.copy"
        if name not in self.layers:
            self.layers[name] = copy_layer(name, self.captured.input, self.captured.input_shape)
        return name

    def _joins_stride(self, operation: Pool, source: str) -> bool:
        """Takes every so-many-th row or column into a layer that does so already; whether there is such a layer."""
        layer = self.layers.get(source)
        if operation.kernel != (1, 1) or operation.padding or self.uses[operation.inputs[0]] > 1:
            return False
        if not isinstance(layer, FoldedPool) or layer.kernel != (1, 1) or layer.padding:
            return False
        layer.stride = (layer.stride[0] * operation.stride[0], layer.stride[1] * operation.stride[1])
        layer.shape = operation.shape
        return True

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


def _keeps(pool: Pool) -> bool:
    """Whether a pool changes nothing."""
    return (pool.kernel, pool.stride, pool.divisor) == ((1, 1), (1, 1), 1.0) and not pool.padding

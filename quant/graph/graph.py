"""The integer graph: the contract of docs/numbers.md between quantizer, executor, compiler, RTL and HLS. NumPy only.

Every map is an unsigned integer tensor (codes), every operator exact integer arithmetic. A `Convolution` is

    acc = Σ w · q                          (outside the map q is the code of the value 0, or the image's border)
    y   = clip((acc·M[o] + r·R + B[o] + half) >> S, 0, 2^bits − 1),   half = 2^(S−1), or 0 where S = 0

with M per filter, B per filter, r the residual map. Linear layers are convolutions whose kernel covers the map; average
pools are depthwise convolutions with equal weights; a residual add that stands alone is a depthwise 1×1 convolution.
A `Concatenation` computes nothing: its operands share one scale and one zero point, so that codes stay what they are.
The layer types stand in `layers/`, a file each; this module has all names that those who read graphs need.
"""

import dataclasses
from collections.abc import Iterator

from .layers import Concatenation, Convolution, Layer, MaxPool
from .requantization import BIAS_BITS, MAXIMUM_SHIFT, MULTIPLIER_BITS
from .tensors import GraphError, Padding, TensorType
from .validation import validate

__all__ = [
    "BIAS_BITS",
    "MAXIMUM_SHIFT",
    "MULTIPLIER_BITS",
    "Concatenation",
    "Convolution",
    "GraphError",
    "IntegerGraph",
    "Layer",
    "MaxPool",
    "Padding",
    "TensorType",
]


@dataclasses.dataclass(frozen=True, eq=False)
class IntegerGraph:
    """Layers in order of execution over named tensors.

    It is checked on construction (`validation.validate`).

    Raises
    ------
    GraphError: a layer breaks the contract.
    """

    name: str
    tensors: dict[str, TensorType]
    layers: tuple[Layer, ...]
    input: str
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        validate(self.name, self.tensors, self.layers, self.input, self.outputs)

    @property
    def computing(self) -> tuple[Convolution | MaxPool, ...]:
        """The layers that make new codes: all but concatenations."""
        return tuple(layer for layer in self.layers if not isinstance(layer, Concatenation))

    @property
    def concatenations(self) -> dict[str, tuple[str, ...]]:
        """The operands of every concatenated tensor, by its name, in order of execution."""
        return {layer.output: layer.inputs for layer in self.layers if isinstance(layer, Concatenation)}

    def consumers(self, tensor: str) -> Iterator[Layer]:
        """The layers that read a tensor, in order."""
        return (layer for layer in self.layers if tensor in layer.inputs)

    def producer(self, tensor: str) -> Layer | None:
        """The layer that writes a tensor; None for the input."""
        return next((layer for layer in self.layers if layer.output == tensor), None)

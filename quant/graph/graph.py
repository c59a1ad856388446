"""The integer graph: the contract of DESIGN section 3 between quantizer, executor, compiler, RTL and HLS. NumPy only.

Every map is an unsigned integer tensor (codes), every operator exact integer arithmetic. A `Convolution` is

    acc = Σ w · q                          (a code outside the map is 0)
    y   = clip((acc·M[o] + r·R + B[o] + half) >> S, 0, 2^bits − 1),   half = 2^(S−1), or 0 where S = 0

with M per filter, B per filter, r the residual map. Linear layers are convolutions whose kernel covers the map; average
pools are depthwise convolutions with equal weights; a residual add that stands alone is a depthwise 1×1 convolution.
A `Concatenation` computes nothing: its operands share one scale and one zero point, so that codes stay what they are.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from .formats import WeightFormat

MULTIPLIER_BITS = 18
"""M and R are signed integers of this width."""
BIAS_BITS = 44
"""B + half is a signed integer of this width."""
MAXIMUM_SHIFT = 47


class GraphError(ValueError):
    """An integer graph that breaks the contract; the message names the layer and the field."""


@dataclasses.dataclass(frozen=True)
class TensorType:
    """An integer feature map: codes of `bits` bits whose real value is scale · (code − zero_point).

    A vector (after flatten or a linear layer) has height = width = 1.
    """

    name: str
    channels: int
    height: int
    width: int
    bits: int
    scale: float = 1.0
    zero_point: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width

    @property
    def maximum(self) -> int:
        """The largest code."""
        return (1 << self.bits) - 1


@dataclasses.dataclass(frozen=True)
class Padding:
    """Zero codes around a map."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any(dataclasses.astuple(self))


@dataclasses.dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution with its requantization.

    Members
    -------
    name, input, output: the layer's name; names of its tensors.
    weight: int64, out × in / groups × kernel height × kernel width, from each filter's format.
    formats: a WeightFormat per filter.
    multiplier, bias: int64 per filter, M and B (without half).
    shift: S.
    stride: rows, columns.
    groups: 1, or the number of input channels (depthwise; a filter count that is a multiple is legal).
    residual, residual_multiplier: name of r's tensor (the output's shape) or None; R.
    kind: what it was in the model: "convolution", "linear", "average_pool", "add"; for reports.
    """

    name: str
    input: str
    output: str
    weight: np.ndarray
    formats: tuple[WeightFormat, ...]
    multiplier: np.ndarray
    bias: np.ndarray
    shift: int
    stride: tuple[int, int] = (1, 1)
    padding: Padding = Padding()
    groups: int = 1
    residual: str | None = None
    residual_multiplier: int = 0
    kind: str = "convolution"

    @property
    def depthwise(self) -> bool:
        return self.groups > 1

    @property
    def kernel(self) -> tuple[int, int]:
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,) if self.residual is None else (self.input, self.residual)


@dataclasses.dataclass(frozen=True)
class MaxPool:
    """A max pool. Padding counts as code 0, which no window of the map can be below."""

    name: str
    input: str
    output: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = Padding()
    kind: str = "max_pool"

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclasses.dataclass(frozen=True)
class Concatenation:
    """The channels of several maps, one map after the other: codes are copied, or stay where they are.

    Members
    -------
    inputs: names of at least two tensors of one height, width, number of bits, scale and zero point, the output's too.
    """

    name: str
    inputs: tuple[str, ...]
    output: str
    kind: str = "concatenation"


Layer = Convolution | MaxPool | Concatenation


@dataclasses.dataclass(frozen=True, eq=False)
class IntegerGraph:
    """Layers in order of execution over named tensors.

    `validate` is called on construction.

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
        from .validation import validate

        validate(self)

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

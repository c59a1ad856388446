"""Operators of a captured model, as the machine has them."""

import dataclasses
import math

from torch import Tensor

from ..graph.graph import Padding

NO_PADDING = Padding()


@dataclasses.dataclass(frozen=True)
class Problem:
    """An operator that the accelerator has not: where it is, what it is, why, and what would work."""

    name: str
    operator: str
    reason: str
    remedy: str


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Operation:
    """An operator of the model.

    Members
    -------
    name: unique; the module's path, or that of the module which calls a function.
    inputs: names of the operations (or `CapturedGraph.input`) whose results it reads.
    shape: channels, height, width of its result; a vector is C × 1 × 1.
    """

    name: str
    inputs: tuple[str, ...]
    shape: tuple[int, int, int]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Conv(Operation):
    """A convolution; a linear layer is one whose kernel covers the map. Weight: out × in / groups × rows × columns.

    Members
    -------
    border: values of its input, one a channel, where it pads; None: 0.
    """

    weight: Tensor
    bias: Tensor
    stride: tuple[int, int] = (1, 1)
    padding: Padding = NO_PADDING
    groups: int = 1
    border: Tensor | None = None
    kind: str = "convolution"


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Affine(Operation):
    """factor[c] · x + offset[c]: a batch norm with its running statistics."""

    factor: Tensor
    offset: Tensor


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Clamp(Operation):
    """clip(x, 0, ceiling): ReLU (ceiling ∞), ReLU6."""

    ceiling: float = math.inf


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Add(Operation):
    """The sum of two maps of one shape."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Concatenate(Operation):
    """The channels of its inputs, one map after the other."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Pool(Operation):
    """A pool: `maximum` ignores padding; an average counts it as zeros and divides by `divisor`."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = NO_PADDING
    maximum: bool = True
    divisor: float = 1.0


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CapturedGraph:
    """Operations in order of execution over named values.

    Members
    -------
    name: the model's class.
    input, input_shape: name of the input value; channels, height, width.
    outputs: names of the values that the model returns, in its order.
    """

    name: str
    input: str
    input_shape: tuple[int, int, int]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]


class Unsupported(Exception):
    """Raised by a reader in `operators/`: why an operator has no counterpart, and what would work instead."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)
        self.reason, self.remedy = reason, remedy


@dataclasses.dataclass(frozen=True)
class Value:
    """What a node of the exported graph stands for: an operation's result.

    Members
    -------
    flat: it is seen as a vector, or with rows and columns joined.
    padding: zeros that the model has put around it.
    """

    name: str
    shape: tuple[int, int, int]
    flat: bool = False
    padding: Padding = NO_PADDING

"""The maps of an integer graph: what a tensor is, and the codes around it. NumPy only."""

import dataclasses
import math
import numbers
from typing import NoReturn

TENSOR_BITS = range(2, 9)
"""Legal bits of a feature map."""


class GraphError(ValueError):
    """An integer graph that breaks the contract; the message names the layer and the field."""


@dataclasses.dataclass(frozen=True)
class TensorType:
    """An integer feature map: codes of `bits` bits whose real value is scale · (code − zero_point).

    A vector (after flatten or a linear layer) has height = width = 1.

    Members
    -------
    border: of the network's input, codes that convolutions see where they pad it, one a channel: those of the mean
        colour, for a model that normalises its images. Empty: the code of the value 0, as for every other map.
    """

    name: str
    channels: int
    height: int
    width: int
    bits: int
    scale: float = 1.0
    zero_point: int = 0
    border: tuple[int, ...] = ()

    @property
    def padding_codes(self) -> tuple[int, ...]:
        """The code of each channel where a convolution pads the map."""
        return self.border or (self.zero_point,) * self.channels

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width

    @property
    def maximum(self) -> int:
        """The largest code."""
        return (1 << self.bits) - 1


@dataclasses.dataclass(frozen=True)
class Padding:
    """Positions around a map."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any(dataclasses.astuple(self))


UNPADDED = Padding()


def is_integer(value: object) -> bool:
    """Whether a value is a whole number, of Python or NumPy, and no truth value."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_tensor(key: str, tensor: TensorType) -> None:
    """Checks a tensor that stands under a key of a graph.

    Raises
    ------
    GraphError: a field is outside the contract; the message names it and what would be legal.
    """

    def refuse(field: str, reason: str) -> NoReturn:
        raise GraphError(f"tensor {key!r}: {field} {reason}")

    if not isinstance(tensor, TensorType):
        refuse("value", f"must be a TensorType, not {type(tensor).__name__}")
    if not isinstance(key, str) or not key or tensor.name != key:
        refuse("name", f"must be the tensor's key in the graph and not empty; it is {tensor.name!r}")
    for field in ("channels", "height", "width"):
        value = getattr(tensor, field)
        if not is_integer(value) or value < 1:
            refuse(field, f"must be an integer of at least 1, not {value!r}")
    if not is_integer(tensor.bits) or tensor.bits not in TENSOR_BITS:
        refuse("bits", f"must be {TENSOR_BITS[0]} … {TENSOR_BITS[-1]}, not {tensor.bits!r}")
    if not isinstance(tensor.scale, numbers.Real) or not math.isfinite(tensor.scale) or tensor.scale <= 0:
        refuse("scale", f"must be a finite number above 0, not {tensor.scale!r}")
    if not is_integer(tensor.zero_point):
        refuse("zero_point", f"must be an integer, not {tensor.zero_point!r}")
    codes = [code for code in tensor.border if is_integer(code) and 0 <= code <= tensor.maximum]
    if tensor.border and (len(codes), len(tensor.border)) != (tensor.channels, tensor.channels):
        legal = f"{tensor.channels} codes of 0 … {tensor.maximum}, one a channel"
        refuse("border", f"must be {legal}, not {tensor.border!r}")

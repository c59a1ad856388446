"""The layer type max pool. NumPy only."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from ..tensors import UNPADDED, Padding, TensorType
from .layer import GraphLayer
from .window import check_window, padded, shifted, window_entry, window_fields


@dataclasses.dataclass(frozen=True)
class MaxPool(GraphLayer):
    """A max pool. Padding counts as code 0, which no window of the map can be below."""

    OPERATOR: ClassVar[str] = "max_pool"

    name: str
    input: str
    output: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = UNPADDED
    kind: str = "max_pool"

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)

    def reads(self) -> list[tuple[str, str]]:
        return [("input", self.input)]

    def check(self, tensors: Mapping[str, TensorType]) -> None:
        source, target = tensors[self.input], tensors[self.output]
        check_window(self, source, target)
        for field in ("channels", "bits", "scale", "zero_point"):
            before, after = getattr(source, field), getattr(target, field)
            if before != after:
                self.refuse("output", f"{target.name!r} has {field} {after}; a max pool keeps its input's, {before}")

    def execute(self, tensors: Mapping[str, TensorType], codes: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.pool(codes[self.input])

    def pool(self, inputs: np.ndarray) -> np.ndarray:
        """The largest code of every window, uint8, N × C × rows × columns."""
        return functools.reduce(np.maximum, shifted(padded(inputs, self.padding), self.kernel, self.stride)).copy()

    def entry(self) -> dict[str, Any]:
        return window_entry(self) | {"kernel": [int(number) for number in self.kernel]}

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(**window_fields(entry), kernel=tuple(entry["kernel"]))

"""The layer type concatenation. NumPy only."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from ..tensors import TensorType
from .layer import GraphLayer


@dataclasses.dataclass(frozen=True)
class Concatenation(GraphLayer):
    """The channels of several maps, one map after the other: codes are copied, or stay where they are.

    Members
    -------
    inputs: names of at least two tensors of one height, width, number of bits, scale and zero point, the output's too.
    """

    OPERATOR: ClassVar[str] = "concatenation"

    name: str
    inputs: tuple[str, ...]
    output: str
    kind: str = "concatenation"

    def reads(self) -> list[tuple[str, str]]:
        if not isinstance(self.inputs, tuple) or len(self.inputs) < 2:
            self.refuse("inputs", f"must be a tuple of at least two tensors, not {self.inputs!r}")
        return [(f"inputs[{position}]", tensor) for position, tensor in enumerate(self.inputs)]

    def check(self, tensors: Mapping[str, TensorType]) -> None:
        target = tensors[self.output]
        for position, name in enumerate(self.inputs):
            for field in ("height", "width", "bits", "scale", "zero_point"):
                before, after = getattr(tensors[name], field), getattr(target, field)
                if before != after:
                    self.refuse(
                        f"inputs[{position}]",
                        f"{name!r} has {field} {before}, but {target.name!r} has {after}; all maps of a concatenation "
                        "must have the same",
                    )
        channels = sum(tensors[name].channels for name in self.inputs)
        if target.channels != channels:
            self.refuse("output", f"{target.name!r} has {target.channels} channels, but its operands have {channels}")

    def execute(self, tensors: Mapping[str, TensorType], codes: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([codes[name] for name in self.inputs], axis=1)

    def entry(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(entry["name"], tuple(entry["inputs"]), entry["output"], entry["kind"])

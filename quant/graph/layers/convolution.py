"""The layer type convolution: with its requantization, and the operand that is added to it. NumPy only."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from ..formats import WeightFormat
from ..requantization import check_constants, check_residual_multiplier, requantize
from ..tensors import UNPADDED, Padding, TensorType, is_integer
from .layer import GraphLayer
from .sums import accumulate
from .window import check_window, padded, window_entry, window_fields

ACCUMULATOR_LIMIT = 1 << 44
"""Σ |w| · q must stay below: requantization is then exact in 64 bits."""


@dataclasses.dataclass(frozen=True, eq=False)
class Convolution(GraphLayer):
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

    OPERATOR: ClassVar[str] = "convolution"
    ARRAYS: ClassVar[tuple[str, ...]] = ("weight", "multiplier", "bias")

    name: str
    input: str
    output: str
    weight: np.ndarray
    formats: tuple[WeightFormat, ...]
    multiplier: np.ndarray
    bias: np.ndarray
    shift: int
    stride: tuple[int, int] = (1, 1)
    padding: Padding = UNPADDED
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
    def weight_bits(self) -> int:
        """Of all weights, at the bits that filters have."""
        return sum(kind.bits for kind in self.formats) * self.weight[0].size

    @property
    def weight_bytes(self) -> int:
        return math.ceil(self.weight_bits / 8)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,) if self.residual is None else (self.input, self.residual)

    def reads(self) -> list[tuple[str, str]]:
        return list(zip(("input", "residual"), self.inputs))

    # Execution --------------------------------------------------------------------------------------------------------

    def execute(self, tensors: Mapping[str, TensorType], codes: Mapping[str, np.ndarray]) -> np.ndarray:
        return requantize(
            self.accumulate(codes[self.input], tensors[self.input]),
            self.multiplier,
            self.bias,
            self.shift,
            tensors[self.output].maximum,
            residual=None if self.residual is None else codes[self.residual],
            residual_multiplier=self.residual_multiplier,
        )

    def accumulate(self, inputs: np.ndarray, source: TensorType) -> np.ndarray:
        """The accumulators Σ w·q, int64, N × filters × rows × columns, from N × C × H × W codes of the source."""
        around = padded(inputs, self.padding, source.padding_codes)
        return accumulate(self.weight, around, source.maximum, stride=self.stride, groups=self.groups)

    # Files ------------------------------------------------------------------------------------------------------------

    def entry(self) -> dict[str, Any]:
        return window_entry(self) | {
            "groups": int(self.groups),
            "shift": int(self.shift),
            "residual": self.residual,
            "residual_multiplier": int(self.residual_multiplier),
            "formats": [kind.name for kind in self.formats],
        }

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        fields = window_fields(entry) | {field: arrays[field] for field in cls.ARRAYS}
        fields |= {field: entry[field] for field in ("groups", "shift", "residual", "residual_multiplier")}
        return cls(**fields, formats=tuple(WeightFormat.parse(name) for name in entry["formats"]))

    # Checks -----------------------------------------------------------------------------------------------------------

    def check(self, tensors: Mapping[str, TensorType]) -> None:
        source, target = tensors[self.input], tensors[self.output]
        self._check_weight(source)
        check_window(self, source, target)
        filters = len(self.weight)
        if filters != target.channels:
            self.refuse("output", f"{target.name!r} has {target.channels} channels, but weight has {filters} filters")
        if self.padding and not source.border and not 0 <= source.zero_point <= source.maximum:
            self.refuse(
                "padding",
                f"pads {source.name!r}, whose zero_point is {source.zero_point}; a padded map must have a code for 0: "
                f"its zero_point must be 0 … {source.maximum}",
            )
        self._check_formats()
        check_constants(self.refuse, filters, self.multiplier, self.bias, self.shift)
        largest = int(np.abs(self.weight).sum(axis=(1, 2, 3)).max()) * source.maximum
        if largest >= ACCUMULATOR_LIMIT:
            reason = f"allows sums of {largest}; they must stay below {ACCUMULATOR_LIMIT}: use fewer bits"
            self.refuse("weight", reason)
        self._check_residual(tensors)

    def _check_weight(self, source: TensorType) -> None:
        weight = self.weight
        if not isinstance(weight, np.ndarray) or weight.dtype != np.int64 or weight.ndim != 4:
            found = f"{weight.dtype} of {weight.ndim}" if isinstance(weight, np.ndarray) else "no array,"
            self.refuse("weight", f"must be an int64 array of 4 dimensions, not {found} dimensions")
        filters, depth = weight.shape[:2]
        if not is_integer(self.groups) or self.groups < 1 or self.groups not in (1, source.channels):
            channels = f"the {source.channels} input channels (depthwise)"
            self.refuse("groups", f"must be 1 or {channels}, not {self.groups!r}")
        if filters < 1 or filters % self.groups:
            self.refuse("weight", f"has {filters} filters; a multiple of the {self.groups} groups is needed")
        if depth != source.channels // self.groups:
            self.refuse(
                "weight",
                f"has {depth} channels a filter; {source.name!r} with {self.groups} groups needs "
                f"{source.channels // self.groups}",
            )

    def _check_formats(self) -> None:
        if len(self.formats) != len(self.weight):
            self.refuse("formats", f"has {len(self.formats)} entries for {len(self.weight)} filters")
        for index, kind in enumerate(self.formats):
            if not isinstance(kind, WeightFormat):
                self.refuse(f"formats[{index}]", f"must be a WeightFormat, not {kind!r}")
        for kind in dict.fromkeys(self.formats):
            rows = np.array([index for index, entry in enumerate(self.formats) if entry == kind])
            weights = self.weight[rows]
            wrong = ~np.isin(weights, kind.levels)
            if wrong.any():
                place = np.argwhere(wrong)[0]
                self.refuse(
                    f"weight[{rows[place[0]]}]",
                    f"holds {weights[tuple(place)]}, which is not a level of its format {kind.name}",
                )

    def _check_residual(self, tensors: Mapping[str, TensorType]) -> None:
        check_residual_multiplier(self.refuse, self.residual_multiplier)
        if self.residual is None:
            if self.residual_multiplier != 0:
                self.refuse("residual_multiplier", "must be 0 where there is no residual")
            return
        found, wanted = tensors[self.residual].shape, tensors[self.output].shape
        if found != wanted:
            self.refuse("residual", f"{self.residual!r} has shape {found}; it must be the output's, {wanted}")

"""Windows that slide over a map: what convolutions and pools have in common. NumPy only."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, Protocol

import numpy as np

from ..tensors import Padding, TensorType, is_integer


class Window(Protocol):
    """A layer with a window."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def input(self) -> str: ...
    @property
    def output(self) -> str: ...
    @property
    def kernel(self) -> tuple[int, int]: ...
    @property
    def stride(self) -> tuple[int, int]: ...
    @property
    def padding(self) -> Padding: ...
    def refuse(self, field: str, reason: str) -> NoReturn: ...


def output_size(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: Padding
) -> tuple[int, int]:
    """Rows and columns that a window makes of a map of `size` (rows, columns); below 1 where it fits nowhere."""
    rows = (size[0] + padding.top + padding.bottom - kernel[0]) // stride[0] + 1
    columns = (size[1] + padding.left + padding.right - kernel[1]) // stride[1] + 1
    return rows, columns


def check_window(layer: Window, source: TensorType, target: TensorType) -> None:
    """Checks kernel, stride and padding of a layer, and that they make the target's rows and columns of the source's.

    Raises
    ------
    GraphError: they do not.
    """
    for field in ("kernel", "stride"):
        value = getattr(layer, field)
        if len(value) != 2 or not all(is_integer(number) and number >= 1 for number in value):
            layer.refuse(field, f"must be two integers of at least 1, not {value!r}")
    padding = layer.padding
    for side in ("top", "left", "bottom", "right"):
        if not is_integer(getattr(padding, side)) or getattr(padding, side) < 0:
            layer.refuse(f"padding.{side}", f"must be an integer of at least 0, not {getattr(padding, side)!r}")
    rows, columns = output_size((source.height, source.width), layer.kernel, layer.stride, padding)
    if rows < 1 or columns < 1:
        layer.refuse(
            "kernel",
            f"{layer.kernel[0]}×{layer.kernel[1]} is larger than the padded map of {source.name!r}, "
            f"{source.height + padding.top + padding.bottom}×{source.width + padding.left + padding.right}",
        )
    if (rows, columns) != (target.height, target.width):
        layer.refuse(
            "output",
            f"{target.name!r} is {target.height}×{target.width}, but kernel, stride and padding make "
            f"{rows}×{columns} of {source.name!r}",
        )


def padded(inputs: np.ndarray, padding: Padding, codes: Sequence[int] | None = None) -> np.ndarray:
    """N × C × H × W codes with other codes around each map: one for each channel, or zeros."""
    if not padding:
        return inputs
    images, channels, height, width = inputs.shape
    rows, columns = height + padding.top + padding.bottom, width + padding.left + padding.right
    result = np.zeros((images, channels, rows, columns), inputs.dtype)
    if codes is not None:
        result += np.asarray(codes, inputs.dtype)[:, None, None]
    result[:, :, padding.top : padding.top + height, padding.left : padding.left + width] = inputs
    return result


def shifted(inputs: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int]) -> Iterator[np.ndarray]:
    """The padded map as each position of the window sees it, row by row: views of N × C × rows × columns."""
    rows, columns = (inputs.shape[2] - kernel[0]) // stride[0], (inputs.shape[3] - kernel[1]) // stride[1]
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            yield inputs[:, :, y : y + rows * stride[0] + 1 : stride[0], x : x + columns * stride[1] + 1 : stride[1]]


def window_entry(layer: Window) -> dict[str, Any]:
    """What a file says of any layer with a window; kernels stand where the type puts them."""
    return {
        "name": layer.name,
        "kind": layer.kind,
        "input": layer.input,
        "output": layer.output,
        "stride": [int(number) for number in layer.stride],
        "padding": {side: int(number) for side, number in dataclasses.asdict(layer.padding).items()},
    }


def window_fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the layer that `window_entry` wrote down."""
    fields = {field: entry[field] for field in ("name", "kind", "input", "output")}
    return fields | {"stride": tuple(entry["stride"]), "padding": Padding(**entry["padding"])}

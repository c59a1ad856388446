"""What a model does to the image before its first layers, as part of these: a normalisation costs nothing then.

A map a · x + b of the image x, with a and b for each channel (batch norm, sums and products with constants, one after
another), goes into the weights and biases of every convolution that reads it; pools without padding pass it on. Where
such a convolution pads, the zeros around the map are the image's x = −b / a: the border that the host lays around it,
as codes of 8 bits like the pixels.

A border can be had once, and only where all that read the image are convolutions over all channels of one stride and
one size of output (`graph.validation`). Elsewhere, and where something else reads it, the map is made as a layer.
"""

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from .operations import Affine, CapturedGraph, Conv, Operation, Pool

LARGEST_CODE = 255
"""Of the image: code 255 is the value 1."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Scaled:
    """A value of the model as factor · base + offset for each channel; `base` is the image or a pool of it."""

    base: str
    factor: Tensor
    offset: Tensor

    def then(self, factor: Tensor, offset: Tensor) -> "_Scaled":
        return _Scaled(self.base, self.factor * factor, self.offset * factor + offset)

    @property
    def border(self) -> Tensor | None:
        """The base's value where this one is 0, as a code of the image over 255; None where it has none."""
        border = torch.where(self.offset == 0, torch.zeros_like(self.offset), -self.offset / self.factor)
        possible = bool(torch.isfinite(border).all()) and bool(((border >= 0) & (border <= 1)).all())
        return (border * LARGEST_CODE + 0.5).floor() / LARGEST_CODE if possible else None


@dataclasses.dataclass(frozen=True, eq=False)
class Absorbed:
    """A graph whose image is read as it is.

    Members
    -------
    graph: without the operations that only scaled the image.
    readers: by the name of each of these, an operation that has taken it over.
    """

    graph: CapturedGraph
    readers: Mapping[str, str]


def absorb_image_affine(captured: CapturedGraph) -> Absorbed:
    """Puts what the model does to each channel of its image into the operations that read it.

    The function stays the same, but that the border is rounded to codes of the image.
    """
    absorbing = _Absorbing(captured)
    for operation in captured.operations:
        absorbing.take(operation)
    return absorbing.result()


class _Absorbing:
    """Takes the operations one by one."""

    def __init__(self, captured: CapturedGraph) -> None:
        self.captured = captured
        image = captured.input
        self.scaled = {image: _image(captured)}
        """Values that are functions of the image, channel by channel."""
        self.operations: list[Operation] = []
        self.made: dict[str, str] = {image: image}
        """By value, the operation that makes it; not yet there for values that nothing needed as they are."""
        self.readers: dict[str, str] = {}
        self.shapes = {image: captured.input_shape} | {it.name: it.shape for it in captured.operations}
        self.bordered = _has_one_border(captured)

    def take(self, operation: Operation) -> None:
        source = operation.inputs[0]
        scaled = self.scaled.get(source)
        if isinstance(operation, Affine) and scaled is not None:
            self.scaled[operation.name] = scaled.then(operation.factor, operation.offset)
            self.readers.setdefault(source, operation.name)
        elif scaled is None or source == self.captured.input or len(operation.inputs) > 1:
            self._keep(operation)
        elif isinstance(operation, Conv) and self._absorbs(operation, scaled):
            self._into_weights(operation, source, scaled)
        elif isinstance(operation, Pool) and source not in self.made and _passes(operation, scaled):
            self._behind_pool(operation, scaled)
        else:
            self._keep(operation)

    def result(self) -> Absorbed:
        outputs = tuple(self._value(name) for name in self.captured.outputs)
        graph = dataclasses.replace(self.captured, operations=tuple(self.operations), outputs=outputs)
        kept = {operation.name for operation in self.operations}
        taken = {}
        for name in self.readers.keys() - kept:
            reader: str | None = name
            while reader is not None and reader not in kept:
                reader = self.readers.get(reader)
            if reader is not None:
                taken[name] = reader
        return Absorbed(graph, taken)

    # One operation each ---------------------------------------------------------------------------------------------

    def _absorbs(self, operation: Conv, scaled: _Scaled) -> bool:
        """Whether the zeros around the value, if the convolution has any, can be had as a border, or are zeros too."""
        if not operation.padding or not bool(scaled.offset.any()):
            return True
        return self.bordered and scaled.border is not None

    def _into_weights(self, operation: Conv, source: str, scaled: _Scaled) -> None:
        depth = operation.weight.shape[1]
        factor, offset = (
            part.reshape(operation.groups, depth).repeat_interleave(len(operation.weight) // operation.groups, dim=0)
            for part in (scaled.factor, scaled.offset)
        )
        bias = operation.bias + (operation.weight.sum(dim=(2, 3)) * offset).sum(dim=1)
        border = scaled.border if operation.padding and bool(scaled.offset.any()) else None
        weight = operation.weight * factor[:, :, None, None]
        taken = dataclasses.replace(operation, inputs=(scaled.base,), weight=weight, bias=bias, border=border)
        self.operations.append(taken)
        self.readers.setdefault(source, operation.name)

    def _behind_pool(self, operation: Pool, scaled: _Scaled) -> None:
        """The pool reads the base, and its own result is what is scaled."""
        times = 1.0 if operation.maximum else operation.kernel[0] * operation.kernel[1] / operation.divisor
        self.operations.append(dataclasses.replace(operation, inputs=(scaled.base,)))
        self.readers.setdefault(operation.inputs[0], operation.name)
        self.scaled[operation.name] = _Scaled(operation.name, scaled.factor, scaled.offset * times)

    def _keep(self, operation: Operation) -> None:
        self.operations.append(
            dataclasses.replace(operation, inputs=tuple(self._value(name) for name in operation.inputs))
        )

    # Helpers --------------------------------------------------------------------------------------------------------

    def _value(self, name: str) -> str:
        """The operation that makes a value; one is added where it was only a scaled image so far."""
        scaled = self.scaled.get(name)
        if scaled is None or name in self.made:
            return self.made.get(name, name)
        made = name
        while made == scaled.base or made in self.shapes.keys() - {name}:
            made += ".scaled"
        self.made[name] = made
        shape, factor, offset = self.shapes[name], scaled.factor, scaled.offset
        self.operations.append(Affine(name=made, inputs=(scaled.base,), shape=shape, factor=factor, offset=offset))
        return made


def _passes(operation: Pool, scaled: _Scaled) -> bool:
    """Whether a pool of the scaled value is the scaled pool of the value."""
    if operation.maximum:
        return bool((scaled.factor > 0).all())
    return not operation.padding


def _has_one_border(captured: CapturedGraph) -> bool:
    """Whether all that read the image, scaled or as it is, can see one border around it."""
    scaled = {captured.input: _image(captured)}
    steps, borders = set(), set()
    for operation in captured.operations:
        known = [scaled[name] for name in operation.inputs if name in scaled]
        if not known:
            continue
        if isinstance(operation, Affine):
            scaled[operation.name] = known[0].then(operation.factor, operation.offset)
        elif not isinstance(operation, Conv) or operation.groups != 1:
            return False
        else:
            steps.add((operation.stride, operation.shape[1:]))
            if operation.padding:
                border = known[0].border
                borders.add(None if border is None else tuple(border.tolist()))
    return len(steps) == 1 and len(borders) == 1 and not scaled.keys() & set(captured.outputs)


def _image(captured: CapturedGraph) -> _Scaled:
    """The image itself."""
    ones = torch.ones(captured.input_shape[0], dtype=torch.float64)
    return _Scaled(captured.input, ones, torch.zeros_like(ones))

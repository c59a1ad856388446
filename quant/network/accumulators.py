"""Formats whose sums fit the accelerator's accumulators, whatever the image.

A filter with many weights (VGG-16's first linear layer has 25,088) can reach sums beyond the accumulator: then its
format loses bits, one at a time. Its lane stays the same, since the levels of fewer bits are levels of more.
"""

import dataclasses
from collections import Counter

import torch
from torch import Tensor

from ..graph.formats import WeightFormat
from ..graph.layers.sums import accumulator_interval
from .model import QuantizedNetwork
from .quantized_convolution import QuantizedConvolution
from .quantizers import QuantizationError

_SUMMED_AT_ONCE = 1 << 18
"""Weights whose codes are made at once."""


@dataclasses.dataclass(frozen=True)
class Narrowed:
    """Filters of a layer that were given fewer bits, because their sums could exceed the accumulator."""

    layer: str
    filters: int
    given: WeightFormat
    taken: WeightFormat

    def __str__(self) -> str:
        return f"{self.layer}: {self.filters} filters {self.given.name} → {self.taken.name}"


def fit_accumulators(network: QuantizedNetwork, accumulator_bits: int) -> tuple[Narrowed, ...]:
    """Takes bits from the formats of filters whose Σ w·q could leave the accumulator, until none can; says which.

    The bound is that of the weights' codes and the largest code of the layer's input, as the compiler proves it. To be
    called after formats or scales are set, and again after training.

    Raises
    ------
    QuantizationError: even a filter's format of fewest bits is too wide; names the layer.
    """
    narrowed = []
    for name, module in network.convolutions.items():
        maximum = (1 << network.quantizer(module.layer.input).bits) - 1
        given = module.formats
        filters = torch.arange(len(given))
        while len(filters := filters[_beyond(module, filters, maximum, accumulator_bits)]):
            formats = list(module.formats)
            for index in filters.tolist():
                formats[index] = _fewer_bits(formats[index], name, accumulator_bits)
            module.formats = tuple(formats)
            module.update_scale(filters)
        changes = Counter(pair for pair in zip(given, module.formats) if pair[0] != pair[1])
        narrowed += [Narrowed(name, count, before, after) for (before, after), count in changes.items()]
    return tuple(narrowed)


def _beyond(module: QuantizedConvolution, filters: Tensor, maximum: int, bits: int) -> Tensor:
    """Which of the filters' sums can leave two's complement of so many bits."""
    size = module.weight[0].numel()
    if size * max(int(kind.levels[-1]) for kind in module.formats) * maximum < 1 << (bits - 1):
        return torch.zeros(len(filters), dtype=torch.bool)
    wide = []
    for part in filters.split(max(1, _SUMMED_AT_ONCE // size)):
        least, greatest = accumulator_interval(module.codes(part), maximum)
        wide.append(torch.from_numpy((least < -(1 << (bits - 1))) | (greatest >= 1 << (bits - 1))))
    return torch.cat(wide)


def _fewer_bits(kind: WeightFormat, layer: str, accumulator_bits: int) -> WeightFormat:
    try:
        return WeightFormat(kind.scheme, kind.bits - 1)
    except ValueError:
        raise QuantizationError(
            f"layer {layer!r}: the sums of its {kind.name} filters can exceed {accumulator_bits}-bit accumulators; "
            "use fewer bits for its input, or a geometry with wider accumulators"
        ) from None

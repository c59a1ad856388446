"""Layers that keep more bits, whatever the method gives their filters."""

import dataclasses
from collections.abc import Mapping
from fnmatch import fnmatchcase

from ..frontend.folded import FoldedConvolution, FoldedGraph
from ..graph.formats import Scheme, WeightFormat
from ..network.quantizers import Formats

FIRST, LAST, DEPTHWISE = "first", "last", "depthwise"


class KeptError(ValueError):
    """A choice of layers that is malformed, or that no layer fits; the message says what would."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeptLayers:
    """Layers by what they are or are called, and the bits of fixed point that their filters get.

    Members
    -------
    bits: 2 … 8.
    layers: `first` (all that read the image), `last` (all that make an output), `depthwise`, or a layer's name, where
        `*` stands for anything: `blocks.0.*`.

    Raises
    ------
    KeptError: no layers, or bits outside 2 … 8.
    """

    bits: int
    layers: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise KeptError(f"kept layers: bits must be 2 … 8, not {self.bits!r}")
        if not self.layers or not all(self.layers):
            raise KeptError("kept layers: name at least one, as in 8:first,last,depthwise")

    @classmethod
    def parse(cls, text: str) -> "KeptLayers":
        """`8:first,last,depthwise`.

        Raises
        ------
        KeptError: it is not of this form.
        """
        bits, separator, names = text.partition(":")
        if not separator or not bits.strip().isdecimal():
            raise KeptError(f"kept layers must be BITS:LAYER,LAYER …, as in 8:first,last,depthwise, not {text!r}")
        return cls(bits=int(bits), layers=tuple(name.strip() for name in names.split(",")))

    def apply(self, graph: FoldedGraph, formats: Mapping[str, Formats]) -> dict[str, Formats]:
        """The formats with those of the kept layers in place of what they were.

        Raises
        ------
        KeptError: one of `layers` fits none.
        """
        result = dict(formats)
        candidates = [layer for layer in graph.convolutions if not layer.exact]
        for name in self.layers:
            found = [layer for layer in candidates if _fits(graph, layer, name)]
            if not found:
                names = ", ".join(layer.name for layer in candidates)
                raise KeptError(f"kept layers: no layer is {name!r}; there are first, last, depthwise, and {names}")
            for layer in found:
                result[layer.name] = (WeightFormat(Scheme.FIXED, self.bits),) * len(layer.weight)
        return result


def _fits(graph: FoldedGraph, layer: FoldedConvolution, name: str) -> bool:
    special = {
        FIRST: layer.input == graph.input,
        LAST: layer.output in graph.outputs,
        DEPTHWISE: layer.groups > 1,
    }
    return special[name] if name in special else fnmatchcase(layer.name, name)

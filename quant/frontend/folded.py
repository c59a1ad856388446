"""The folded graph: the layers that the machine has, in real numbers."""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping

from torch import Tensor

from ..graph.concatenation import Tie, segment_classes
from ..graph.graph import Padding


@dataclasses.dataclass(eq=False, kw_only=True)
class FoldedConvolution:
    """clip(conv(x) + bias (+ r), 0 or −∞, ceiling).

    Members
    -------
    weight: float64, out × in / groups × rows × columns; bias: float64 per filter.
    exact: a pseudo-layer (average pool, add, copy, lone batch norm or ReLU): every filter's weights are ±its one
        magnitude, or 0, so that its integer weights are ±1 or 0 and its scale that magnitude, whatever its format; not
        trained.
    keeps_codes: it only moves its input's values, so that its output has the same quantizer; exact.
    border: values of its input, float64, one a channel, where it pads (of the image alone); None: 0.
    residual: name of r, or None.
    relu, ceiling: the output range; ceiling is ∞ unless ReLU6.
    kind: as in `graph.Convolution`.
    """

    name: str
    input: str
    output: str
    shape: tuple[int, int, int]
    weight: Tensor
    bias: Tensor
    stride: tuple[int, int] = (1, 1)
    padding: Padding = dataclasses.field(default_factory=Padding)
    groups: int = 1
    border: Tensor | None = None
    residual: str | None = None
    relu: bool = False
    ceiling: float = math.inf
    exact: bool = False
    keeps_codes: bool = False
    kind: str = "convolution"

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,) if self.residual is None else (self.input, self.residual)


@dataclasses.dataclass(eq=False, kw_only=True)
class FoldedPool:
    """A max pool."""

    name: str
    input: str
    output: str
    shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding
    kind: str = "max_pool"

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclasses.dataclass(eq=False, kw_only=True)
class FoldedConcatenation:
    """The channels of maps, one after the other; none of the inputs is a concatenation itself."""

    name: str
    inputs: tuple[str, ...]
    output: str
    shape: tuple[int, int, int]
    kind: str = "concatenation"


FoldedLayer = FoldedConvolution | FoldedPool | FoldedConcatenation


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FoldedGraph:
    """Layers in order of execution; the tensor that a layer makes has its name.

    Members
    -------
    shapes: channels, height, width by tensor.
    signed: whether a tensor, or one that has the same quantizer, can have negative values (the input image has none).
    tensor_of: the tensor that holds a captured operation's result, by the operation's name.
    """

    name: str
    input: str
    layers: tuple[FoldedLayer, ...]
    outputs: tuple[str, ...]
    shapes: dict[str, tuple[int, int, int]]
    signed: dict[str, bool]
    tensor_of: dict[str, str]

    @functools.cached_property
    def sources(self) -> dict[str, str]:
        """By tensor, the first that has its quantizer: a max pool and a layer that only moves values keep
        codes, a concatenation shares them."""
        return code_sources(self.shapes, self.layers)

    @property
    def convolutions(self) -> tuple[FoldedConvolution, ...]:
        return tuple(layer for layer in self.layers if isinstance(layer, FoldedConvolution))

    def consumers(self, tensor: str) -> tuple[FoldedLayer, ...]:
        return tuple(layer for layer in self.layers if tensor in layer.inputs)


def code_sources(tensors: Iterable[str], layers: Iterable[FoldedLayer]) -> dict[str, str]:
    """See `FoldedGraph.sources`; `tensors` in order of execution."""
    kept = [layer for layer in layers if not isinstance(layer, FoldedConvolution) or layer.keeps_codes]
    ties = [Tie(layer.output, name, 1) for layer in kept for name in layer.inputs]
    channels = dict.fromkeys(tensors, 1)
    classes = segment_classes(channels, ties)
    sources = {segment.tensor: members[0].tensor for members in classes for segment in members}
    return {name: sources[name] for name in channels}


def can_be_negative(tensor: str, layers: Mapping[str, FoldedLayer]) -> bool:
    """Whether a tensor can have negative values; `layers` by the tensor that they make."""
    layer = layers.get(tensor)
    if layer is None or (isinstance(layer, FoldedConvolution) and layer.relu):
        return False
    if isinstance(layer, FoldedConvolution):
        positive = layer.exact and bool((layer.weight >= 0).all()) and bool((layer.bias >= 0).all())
        if not positive:
            return True
    return any(can_be_negative(name, layers) for name in layer.inputs)

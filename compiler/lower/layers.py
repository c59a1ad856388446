"""Layers as the scheduler sees them: windows over stored maps, the input rewritten, shapes resolved."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ...hdl.geometry import Geometry
from ...quant.graph.border import reach
from ...quant.graph.graph import Convolution, IntegerGraph, MaxPool, TensorType
from ..errors import CompileError
from ..program.input_fold import InputFold
from ..program.lane_groups import most_layers
from ..program.map_border import NO_BORDER, MapBorder
from .input_rewrite import InputRewrite, choose_input_rewrite


@dataclasses.dataclass(frozen=True, eq=False)
class MachineLayer:
    """A layer over stored maps.

    Members
    -------
    number: place in the order of execution, from 0; the `layer` field of its instructions.
    layer: the layer of the integer graph.
    source, target: types of the input and output tensors as read and stored: after folding, with `border`.
    residual: type of the residual tensor, or None.
    weight: int64, filters × channels (1 if depthwise) × rows × columns, folded where the input is; None for a max pool.
    kernel, stride: rows, columns.
    pad_top, pad_left: zero rows above and zero columns left of the source. Those below and to the right follow from
        the size of the output.
    images: that are computed at once; types and shapes are of one.
    border: rows and columns of the source that lie around the map: where a layer pads with another code than 0, which
        is stored around the map, and the machine pads nothing.
    on_load: the depthwise layer whose output `source` is, if that is not stored but computed while it is loaded.
    """

    number: int
    layer: Convolution | MaxPool
    source: TensorType
    target: TensorType
    residual: TensorType | None
    weight: np.ndarray | None
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad_top: int
    pad_left: int
    images: int = 1
    border: MapBorder = NO_BORDER
    on_load: "MachineLayer | None" = None

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def where(self) -> str:
        """How errors name it."""
        return f"layer {self.layer.name!r}"

    @property
    def stored(self) -> TensorType:
        """The tensor that it reads from memory."""
        return self.source if self.on_load is None else self.on_load.source

    @property
    def stored_border(self) -> MapBorder:
        """What it reads of the border of `stored`."""
        return self.border if self.on_load is None else self.on_load.border

    @property
    def convolution(self) -> Convolution:
        assert isinstance(self.layer, Convolution)
        return self.layer

    @property
    def depthwise(self) -> bool:
        return isinstance(self.layer, Convolution) and self.layer.depthwise

    @property
    def by_channel(self) -> bool:
        """Whether every output channel depends on one input channel: a max pool, or depthwise."""
        return self.weight is None or self.depthwise

    @property
    def keeps_order(self) -> bool:
        """Whether output channel c depends on input channel c alone: a max pool, or depthwise without a multiplier."""
        return isinstance(self.layer, MaxPool) or (self.depthwise and self.source.channels == self.target.channels)


def digits_of(tensor: TensorType, geometry: Geometry) -> int:
    """Words that hold one position's codes: 1, or 2 where codes are wider than a slot."""
    return 1 if tensor.bits <= geometry.activation_bits else 2


def lower(
    graph: IntegerGraph, geometry: Geometry, images: int = 1
) -> tuple[tuple[MachineLayer, ...], InputFold | None]:
    """The layers of a graph for a geometry (but concatenations, which are a matter of memory), and how its input is
    folded.

    Parameters
    ----------
    images: that are computed at once.

    Raises
    ------
    CompileError: a layer is outside what the machine does.
    """
    rewrite = choose_input_rewrite(graph, geometry)
    if len(graph.computing) > (most := most_layers(geometry)):
        reason = f"has {len(graph.computing)} layers, more than can be numbered with {geometry.maps_ports} maps_ports"
        raise CompileError(f"graph {graph.name!r}", reason, f"cut it in graphs of at most {most} layers")
    lowering = _Lowering(graph, rewrite, geometry, images)
    layers = tuple(LOWERINGS[type(layer)](lowering, number, layer) for number, layer in enumerate(graph.computing))
    return layers, rewrite.fold if rewrite else None


@dataclasses.dataclass(frozen=True, eq=False)
class _Lowering:
    """Lowers layers, a method for each type; members: the arguments of `lower`, and how the input is rewritten."""

    graph: IntegerGraph
    rewrite: InputRewrite | None
    geometry: Geometry
    images: int

    def convolution(self, number: int, layer: Convolution) -> MachineLayer:
        tensors, rewrite = self.graph.tensors, self.rewrite
        source, weight = tensors[layer.input], layer.weight
        kernel, stride, pad = layer.kernel, layer.stride, (layer.padding.top, layer.padding.left)
        if layer.input == self.graph.input and rewrite:
            source, weight = rewrite.source, rewrite.weight(layer)
            kernel, stride = (weight.shape[2], weight.shape[3]), (rewrite.rows.stride, rewrite.columns.stride)
            pad = (rewrite.rows.pad, rewrite.columns.pad)
        border = NO_BORDER
        if layer.padding and source.zero_point and not (layer.input == self.graph.input and rewrite):
            border, pad = MapBorder(*dataclasses.astuple(reach(layer, source, tensors[layer.output]))), (0, 0)
            height, width = border.around(source.height, source.width)
            source = dataclasses.replace(source, height=height, width=width)
        residual = None if layer.residual is None else tensors[layer.residual]
        return MachineLayer(
            number, layer, source, tensors[layer.output], residual, weight, kernel, stride, *pad, self.images, border
        )

    def max_pool(self, number: int, layer: MaxPool) -> MachineLayer:
        source, target = self.graph.tensors[layer.input], self.graph.tensors[layer.output]
        if digits_of(source, self.geometry) > 1:
            slot = self.geometry.activation_bits
            raise CompileError(
                f"layer {layer.name!r}",
                f"is a max pool of {source.bits}-bit codes, which a geometry with activation_bits = {slot} stores as "
                "two digits; a maximum of digits is not the digits of the maximum",
                f"quantize tensor {source.name!r} to {slot} bits, or put a layer between",
            )
        pad = (layer.padding.top, layer.padding.left)
        return MachineLayer(
            number, layer, source, target, None, None, layer.kernel, layer.stride, *pad, self.images
        )  # fmt: skip


LOWERINGS: dict[type, Callable[[_Lowering, int, Any], MachineLayer]] = {
    Convolution: _Lowering.convolution,
    MaxPool: _Lowering.max_pool,
}
"""How each layer type that computes is lowered."""

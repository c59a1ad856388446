"""The memory plan: where every map lies in DDR."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from ..hdl.geometry import Geometry
from ..quant.graph import IntegerGraph
from .layout import MapLayout
from .weights import ALIGNMENT, align


@dataclasses.dataclass(frozen=True)
class Lifetime:
    """Bytes that something needs from step `first` to step `last`, both included."""

    name: str
    bytes: int
    first: int
    last: int


def allocate(lifetimes: Iterable[Lifetime]) -> tuple[dict[str, int], int]:
    """Offsets at multiples of 64 bytes such that what lives at the same step does not overlap; and the bytes in all.

    Largest first, each at the lowest offset where it fits.
    """
    placed: list[tuple[Lifetime, int, int]] = []
    for item in sorted(lifetimes, key=lambda item: (-item.bytes, item.first, item.name)):
        size = max(align(item.bytes), ALIGNMENT)
        rivals = sorted(
            (start, end) for other, start, end in placed if other.first <= item.last and item.first <= other.last
        )
        offset = 0
        for start, end in rivals:
            if offset + size <= start:
                break
            offset = max(offset, end)
        placed.append((item, offset, offset + size))
    return {item.name: start for item, start, _ in placed}, max((end for *_, end in placed), default=0)


def plan_memory(
    graph: IntegerGraph,
    geometry: Geometry,
    orders: dict[str, np.ndarray],
    factor: int,
    *,
    keep_maps: bool,
    turns: Sequence[int] | None = None,
) -> tuple[dict[str, MapLayout], dict[str, int]]:
    """The layout of every tensor, by name, and the bytes of the regions INPUT, OUTPUT and WORKSPACE.

    Parameters
    ----------
    orders: channel order of every tensor.
    factor: space-to-depth factor of the network's input.
    keep_maps: give every map memory of its own; otherwise maps share memory where none is still needed.
    turns: when each layer runs, from 0; those of the same number run side by side. None: one after the other.
    """
    turns = range(len(graph.layers)) if turns is None else turns
    last_use = {name: turn for turn, layer in zip(turns, graph.layers) for name in layer.inputs}
    regions: dict[str, list[Lifetime]] = {"INPUT": [], "OUTPUT": [], "WORKSPACE": []}
    layouts = {}

    def layout(name: str, region: str, offset: int) -> MapLayout:
        tensor = graph.tensors[name]
        return MapLayout(
            name=name,
            region=region,
            offset=offset,
            channels=tensor.channels,
            height=tensor.height,
            width=tensor.width,
            bits=tensor.bits,
            order=orders[name],
            word_channels=geometry.word_channels,
            slot_bits=geometry.activation_bits,
            space_to_depth=factor if name == graph.input else 1,
            scale=tensor.scale,
            zero_point=tensor.zero_point,
        )

    written = {graph.input: -1} | {layer.output: turn for turn, layer in zip(turns, graph.layers)}
    end = len(graph.layers)
    for name, first in written.items():
        region = "INPUT" if name == graph.input else "OUTPUT" if name in graph.outputs else "WORKSPACE"
        kept = keep_maps or region != "WORKSPACE"
        last = end if kept else last_use.get(name, first)
        regions[region].append(Lifetime(name, layout(name, region, 0).bytes, -1 if kept else first, last))
    sizes = {}
    for region, lifetimes in regions.items():
        offsets, sizes[region] = allocate(lifetimes)
        layouts.update({name: layout(name, region, offset) for name, offset in offsets.items()})
    return layouts, sizes

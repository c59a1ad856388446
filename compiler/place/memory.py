"""The memory plan: where every map lies in DDR.

Maps that are concatenated lie in a chain, one after another; what a concatenation makes is a stretch of it, and costs
nothing. With digits, the chain's first digits all come before its second ones, and so those of each stretch.

A map that some layer reads with a border has one in memory, wide enough for all of them; so have all maps of its chain,
whose planes are alike. Since the border is laid only once, the chain's memory is never another one's.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from ...hdl.geometry import Geometry
from ...quant.graph.concatenation import Chains, leaves_of
from ...quant.graph.graph import Concatenation, IntegerGraph
from ..errors import CompileError
from ..program.input_fold import InputFold
from ..program.map_border import NO_BORDER, MapBorder
from ..program.map_layout import MapLayout
from .parameters import ALIGNMENT, align


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


def memory_chains(graph: IntegerGraph, unstored: Collection[str] = ()) -> list[list[str]]:
    """All tensors that layers or the host write, in the chains in which they lie; most of them alone.

    Parameters
    ----------
    unstored: tensors that lie nowhere.

    Raises
    ------
    CompileError: maps of a concatenation cannot lie side by side.
    """
    chains, concatenations = Chains(), graph.concatenations
    for layer in graph.layers:
        if not isinstance(layer, Concatenation):
            continue
        leaves = leaves_of(layer.output, concatenations)
        remedy = "copy it by a depthwise 1×1 convolution first (`intramix quantize` does so by itself)"
        if graph.input in leaves:
            reason = f"concatenates {graph.input!r}, the network's input, which lies apart from all other maps"
            raise CompileError(f"layer {layer.name!r}", reason, remedy)
        if conflicts := chains.add(leaves):
            names = ", ".join(repr(leaves[place]) for place in conflicts)
            reason = f"puts {names} beside other maps than another concatenation does, but a map lies in one place"
            raise CompileError(f"layer {layer.name!r}", reason, remedy)
    joined = {name for chain in chains.chains for name in chain}.union(unstored)
    alone = [[name] for name in graph.tensors if name not in joined and name not in concatenations]
    return chains.chains + alone


def plan_memory(
    graph: IntegerGraph,
    geometry: Geometry,
    orders: dict[str, np.ndarray],
    fold: InputFold | None,
    *,
    borders: Mapping[str, MapBorder] | None = None,
    images: int = 1,
    keep_maps: bool,
    turns: Mapping[str, int] | None = None,
    unstored: Collection[str] = (),
) -> tuple[dict[str, MapLayout], dict[str, int]]:
    """The layout of every tensor, by name, and the bytes of the regions INPUT, OUTPUT and WORKSPACE.

    Parameters
    ----------
    orders: channel order of every tensor.
    fold: how the network's input is folded.
    borders: by tensor, positions around it that layers read; None, and of tensors not named: none.
    images: that are computed at once.
    keep_maps: give every map memory of its own; otherwise maps share memory where none is still needed.
    turns: when each layer that computes runs, by its name, from 0; those of the same number run side by side. None:
        one after the other.
    unstored: tensors that are never stored; their layer runs in the turn of the one that reads them.

    Raises
    ------
    CompileError: as `memory_chains`.
    """
    layers = graph.computing
    turns = {layer.name: number for number, layer in enumerate(layers)} if turns is None else turns
    concatenations = graph.concatenations
    last_use: dict[str, int] = {}
    for layer in layers:
        for name in layer.inputs:
            last_use |= dict.fromkeys(leaves_of(name, concatenations), turns[layer.name])
    written = {graph.input: -1} | {layer.output: turns[layer.name] for layer in layers}
    outputs = {leaf for name in graph.outputs for leaf in leaves_of(name, concatenations)}
    end = len(layers)

    def layout(name: str, region: str, offset: int, pitch: int, border: MapBorder) -> MapLayout:
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
            fold=fold if name == graph.input else None,
            scale=tensor.scale,
            zero_point=tensor.zero_point,
            pitch=pitch,
            images=images,
            border=border,
        )

    chains = {chain[0]: chain for chain in memory_chains(graph, unstored)}
    words = {name: len(order) // geometry.word_channels for name, order in orders.items()}
    pitches = {first: sum(words[name] for name in chain) for first, chain in chains.items()}
    around = _chain_borders(chains, concatenations, borders or {})
    regions: dict[str, list[Lifetime]] = {"INPUT": [], "OUTPUT": [], "WORKSPACE": []}
    for first, chain in chains.items():
        region = "INPUT" if first == graph.input else "WORKSPACE" if outputs.isdisjoint(chain) else "OUTPUT"
        kept = keep_maps or region != "WORKSPACE" or bool(around[first])
        begin = min(written[name] for name in chain)
        last = end if kept else max(last_use.get(name, written[name]) for name in chain)
        one = layout(first, region, 0, pitches[first], around[first])
        size = one.digits * one.digit_bytes
        regions[region].append(Lifetime(first, size, -1 if kept else begin, last))
    sizes: dict[str, int] = {}
    layouts: dict[str, MapLayout] = {}
    for region, lifetimes in regions.items():
        offsets, sizes[region] = allocate(lifetimes)
        for first, offset in offsets.items():
            for name in chains[first]:
                layouts[name] = layout(name, region, offset, pitches[first], around[first])
                offset += words[name] * layouts[name].plane_bytes
    for name in concatenations:
        begins = layouts[leaves_of(name, concatenations)[0]]
        layouts[name] = layout(name, begins.region, begins.offset, begins.pitch, begins.border)
    return layouts, sizes


def _chain_borders(
    chains: Mapping[str, Collection[str]],
    concatenations: Mapping[str, Sequence[str]],
    borders: Mapping[str, MapBorder],
) -> dict[str, MapBorder]:
    """By the first map of each chain, the border that holds all those that layers read of its maps, or of what
    concatenates them."""
    found = dict.fromkeys(chains, NO_BORDER)
    first_of = {name: first for first, chain in chains.items() for name in chain}
    for name, border in borders.items():
        for leaf in leaves_of(name, concatenations):
            found[first_of[leaf]] = MapBorder.union([found[first_of[leaf]], border])
    return found

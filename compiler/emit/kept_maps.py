"""Maps that stay on the chip: a program's LOAD_MAPs and STOREs of them are told where in the map memory.

What they say of DDR stays: there the map lies too, in programs that keep every map.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

from ...hdl.instructions import Instruction, LoadMap, Store
from ...quant.graph.concatenation import leaves_of
from ...quant.graph.graph import IntegerGraph
from ..lower.layers import MachineLayer
from ..place.map_rings import MapRing
from ..place.memory import memory_chains
from ..program.map_layout import MapLayout
from .instructions import Draft
from .ring_needs import KeptMap, kept_map


def moved_maps(
    graph: IntegerGraph,
    layers: Iterable[MachineLayer],
    layouts: Mapping[str, MapLayout],
    unstored: Collection[str],
) -> dict[tuple[int, str], KeptMap]:
    """The maps that could stay on the chip, by layer and by what its instructions do with them, as `ring_needs` takes
    them: those that neither the host writes, nor it reads, nor have a border, which the host lays."""
    kept: dict[str, KeptMap] = {}
    for chain in memory_chains(graph, unstored):
        layout = layouts[chain[0]]
        if layout.region == "WORKSPACE" and not layout.border:
            kept |= dict.fromkeys(chain, KeptMap(tuple(chain), layout))
    moved = {}
    for layer in layers:
        for use, tensor in (("input", layer.stored), ("residual", layer.residual), ("output", layer.target)):
            if tensor is not None and (found := kept.get(leaves_of(tensor.name, graph.concatenations)[0])) is not None:
                moved[layer.number, use] = found
    return moved


def moved_by_row(graph: IntegerGraph, layouts: Mapping[str, MapLayout], maps: Collection[KeptMap]) -> frozenset[str]:
    """The tensors whose instructions must move row by row: all that lie in some maps, and what concatenates them."""
    leaves = {name for kept in maps for name in kept.tensors}
    return frozenset(name for name in layouts if leaves_of(name, graph.concatenations)[0] in leaves)


def keep_on_chip(
    drafts: Sequence[Draft[Instruction]],
    maps: Mapping[tuple[int, str], KeptMap],
    rings: Mapping[str, MapRing],
    *,
    chip_only: bool,
) -> None:
    """Tells instructions, which move row by row, where their map is kept.

    Parameters
    ----------
    chip_only: STOREs write nothing to DDR.
    """
    for draft in drafts:
        instruction = draft.instruction
        if not isinstance(instruction, LoadMap | Store):
            continue
        kept = kept_map(instruction, maps)
        if kept is None or (ring := rings.get(kept.name)) is None:
            continue
        columns, layout = kept.layout.columns, kept.layout
        plane, row, column = layout.place(instruction.address)
        assert column + instruction.chunk_words <= columns, "a chunk is part of a row"
        changed = dataclasses.replace(
            instruction,
            on_chip=True,
            chip_address=ring.address(row) + plane * columns + column,
            chip_plane_stride=instruction.plane_stride // layout.plane_bytes * columns,
            chip_chunk_stride=instruction.chunk_stride // (columns * layout.word_bytes) * ring.row_words,
            ring_end=ring.end,
            ring_words=ring.words,
        )
        if isinstance(changed, Store):
            changed = dataclasses.replace(changed, chip_only=chip_only)
        draft.instruction = changed

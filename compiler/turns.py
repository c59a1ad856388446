"""Which layers run one after the other, and which side by side, block by block.

A max pool that takes longer to load its input than to compute shares a *turn* with the convolution before it: it runs
on the rows that the convolution has stored, and its loads are hidden behind the convolution's steps.

The CRC register is one: a turn's first STORE resets it and each layer's last one writes its record. So the record of
the pool, which ends second, covers all that both layers have stored, and that of the convolution what the pool has
until then.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..hdl.geometry import Geometry
from ..hdl.isa import MAXIMUM_PASSES
from .blocks import Block, grid
from .emit import PASSES
from .lowered import LoweredLayer, digits_of
from .schedule import LayerSchedule
from .sequences import Sequences
from .visits import INSTRUCTION_CYCLES
from .weights import ParameterBlock

BEHIND = 2
"""Blocks of the convolution that are computed while the rows before them are stored and loaded for the pool."""
LEAST_BLOCKS = 4
"""Blocks of a layer at least: with fewer, little overlaps."""


@dataclasses.dataclass(frozen=True, eq=False)
class Member:
    """A layer of a turn: its parameters (None for a max pool), and output rows of a lane in each block (None: free)."""

    layer: LoweredLayer
    parameters: ParameterBlock | None
    lane_rows: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Turn:
    """One layer, or a convolution and the max pool of its output."""

    members: tuple[Member, ...]

    def schedule(self, sequences: Sequences) -> None:
        """Appends the layers.

        Raises
        ------
        CompileError: no cut of a layer fits the geometry's memories.
        """
        schedules = [LayerSchedule(sequences, item.layer, item.parameters, item.lane_rows) for item in self.members]
        if len(schedules) == 1:
            for _ in schedules[0].run():
                pass
        else:
            _interleave(*schedules)
        schedules[0].stores[0].fields["crc_start"] = 1


def _interleave(convolution: LayerSchedule, pool: LayerSchedule) -> None:
    """Both layers block by block; the convolution ends first."""
    last_rows = [_last_row(visit.block) for visit in pool.visits]
    pooled = pool.run()
    stored = [0] * BEHIND  # rows after every block
    done = 0
    for block in convolution.run():
        stored.append(block.first_row + block.rows)
        # The pool's last block comes after the convolution's in any case.
        while done < len(last_rows) - 1 and last_rows[done] < stored[-1 - BEHIND]:
            next(pooled)
            done += 1
    for _ in pooled:
        pass


def _last_row(block: Block) -> int:
    """The last row of the map that a block reads."""
    return (block.read_row + block.read_rows - 1) * block.row_step


def choose_turns(
    layers: Sequence[LoweredLayer],
    geometry: Geometry,
    orders: dict[str, np.ndarray],
    parameters: Sequence[ParameterBlock | None],
) -> list[Turn]:
    """The turns of a network, in order.

    Parameters
    ----------
    orders: channel order of every tensor.
    parameters: by layer; None for a max pool.
    """
    words = {name: len(order) // geometry.word_channels for name, order in orders.items()}
    members = [Member(*pair) for pair in zip(layers, parameters)]
    turns: list[Turn] = []
    for place, member in enumerate(members):
        if turns and turns[-1].members[-1].layer is member.layer:
            continue
        following = members[place + 1 : place + 2]
        turns.append((following and _side_by_side(member, following[0], geometry, words)) or Turn((member,)))
    return turns


def _side_by_side(convolution: Member, pool: Member, geometry: Geometry, words: dict[str, int]) -> Turn | None:
    """A turn of two layers, or None where they cannot share one, or would gain nothing."""
    layer = pool.layer
    if convolution.parameters is None or convolution.layer.depthwise or pool.parameters is not None:
        return None
    if layer.source.name != convolution.layer.target.name or words[layer.source.name] > MAXIMUM_PASSES:
        return None
    if convolution.parameters.first_word[-1] > geometry.weight_depth:
        return None
    loaded = layer.source.height * layer.source.width * words[layer.source.name]
    steps = layer.target.height * layer.target.width / geometry.pixel_lanes * _group_steps(pool, geometry, words)
    if loaded * geometry.word_bits / geometry.maps_bus_bits <= steps:
        return None
    pair = [
        dataclasses.replace(member, lane_rows=rows)
        for member in (convolution, pool)
        if (rows := _lane_rows(member, geometry, words)) is not None
    ]
    return Turn(tuple(pair)) if len(pair) == 2 else None


def _group_steps(member: Member, geometry: Geometry, words: dict[str, int]) -> int:
    """Steps of a pixel of every lane, of all tiles."""
    layer = member.layer
    if member.parameters is None:
        return layer.kernel[0] * layer.kernel[1] * words[layer.source.name]
    passes = PASSES[digits_of(layer.source, geometry), member.parameters.digits]
    return sum(member.parameters.run_words) * len(passes.activation_digit)


def _lane_rows(member: Member, geometry: Geometry, words: dict[str, int]) -> int | None:
    """Output rows of a lane in each block: the fewest that take longer than their instructions take to be fetched, if
    they fit half of the memory; None where they do not, or where they make too few blocks."""
    layer = member.layer
    planes = words[layer.source.name] * digits_of(layer.source, geometry)
    tiles = 1 if member.parameters is None else len(member.parameters.run_words)
    fetch = INSTRUCTION_CYCLES * (2 + tiles * (1 + geometry.pixel_lanes * digits_of(layer.target, geometry)))
    rows = -(-fetch // (layer.target.width * _group_steps(member, geometry, words)))
    blocks = grid(layer, geometry, rows, layer.target.width)
    if len(blocks) < LEAST_BLOCKS or any(block.words(planes) > geometry.activation_depth // 2 for block in blocks):
        return None
    return rows

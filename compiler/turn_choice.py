"""Which layers share a turn: of all ways to cut a network in turns, the one with the fewest estimated cycles."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..hdl.geometry import Geometry
from ..hdl.isa import CRC_REGISTERS, DEPTHWISE_KERNELS, MAXIMUM_PASSES
from .blocks import Block, grid
from .depthwise import load_cycles
from .emit import PASSES
from .lowered import LoweredLayer, digits_of
from .turns import Member, Turn
from .visits import INSTRUCTION_CYCLES
from .weights import ParameterBlock

LEAST_BLOCKS = 4
"""Blocks of a layer at least: with fewer, little overlaps."""
TALLER_BLOCKS, TALLER_PART = 7, 4
"""Where groups of lanes load side by side, rows that both need are read twice, most of them in flat blocks. So blocks
become taller as long as so many are left and one takes at most that part of the activation memory, by experience."""
EXPOSED = 0.5
"""Share of its input's load for which a layer in a turn of its own waits, by experience."""


def choose_turns(
    layers: Sequence[LoweredLayer],
    geometry: Geometry,
    orders: dict[str, np.ndarray],
    parameters: Sequence[ParameterBlock | None],
    concatenations: Mapping[str, Sequence[str]],
) -> list[Turn]:
    """The turns of a network, in order.

    Parameters
    ----------
    orders: channel order of every tensor.
    parameters: by layer; None for a max pool.
    concatenations: operands by concatenated tensor.
    """
    words = {name: len(order) // geometry.word_channels for name, order in orders.items()}
    loads = [_Load(*pair, geometry, words) for pair in zip(layers, parameters)]
    cost = [0.0]
    begins = [0]
    for end in range(1, len(loads) + 1):
        best, begin = cost[end - 1] + loads[end - 1].alone, end - 1
        for first in range(end - 2, -1, -1):
            group = loads[first:end]
            if not _fit(group, geometry, concatenations):
                break
            if (cycles := cost[first] + _together(group)) < best:
                best, begin = cycles, first
        cost.append(best)
        begins.append(begin)
    turns: list[Turn] = []
    end = len(loads)
    while end:
        group = loads[begins[end] : end]
        turns.append(Turn(tuple(load.member(beside=len(group) > 1) for load in group)))
        end = begins[end]
    return turns[::-1]


class _Load:
    """What a layer asks of each engine when it is computed in blocks of rows beside others.

    Members
    -------
    lane_rows: output rows of a lane in each block; None: no such blocks.
    slot: words of the activation memory that its largest block takes.
    ring: weight words that stay in the ring.
    kernels: channel words of kernels that stay in the depthwise unit.
    compute, maps, stores, fetch: cycles.
    alone: estimated cycles in a turn of its own.
    """

    def __init__(
        self, layer: LoweredLayer, parameters: ParameterBlock | None, geometry: Geometry, words: dict[str, int]
    ) -> None:
        self.layer = layer
        self.parameters = parameters
        planes = words[layer.source.name] * digits_of(layer.source, geometry)
        output_planes = words[layer.target.name] * digits_of(layer.target, geometry)
        self.kernels = 0 if layer.on_load is None else planes
        self.ring = 0 if parameters is None else parameters.first_word[-1]
        if parameters is None:
            tiles, group_steps = -(-planes // MAXIMUM_PASSES), layer.kernel[0] * layer.kernel[1] * planes
        else:
            passes = len(PASSES[digits_of(layer.source, geometry), parameters.digits].activation_digit)
            tiles = len(parameters.run_words)
            group_steps = sum(max(geometry.drain_cycles, run * passes) for run in parameters.run_words)
        tile_planes = -(-planes // tiles) if layer.by_channel else planes
        ports = geometry.maps_ports
        instructions = tiles * (1 + layer.by_channel * ports + geometry.pixel_lanes * digits_of(layer.target, geometry))
        fetch = INSTRUCTION_CYCLES * (1 + ports + instructions)
        rows = -(-fetch // (layer.target.width * group_steps))
        width, held = layer.target.width, min(2, tiles) if layer.by_channel else 1

        def largest(blocks: list[Block]) -> int:
            return held * max(block.words(tile_planes) for block in blocks)

        blocks = grid(layer, geometry, rows, width)
        while ports > 1 and len(taller := grid(layer, geometry, rows + 1, width)) >= TALLER_BLOCKS:
            if largest(taller) > geometry.activation_depth // TALLER_PART:
                break
            blocks, rows = taller, rows + 1
        self.slot = largest(blocks)
        stays = self.ring <= geometry.weight_depth and (parameters is None or not parameters.streams(geometry))
        fits = len(blocks) >= LEAST_BLOCKS and self.slot <= geometry.activation_depth // 2
        self.lane_rows = rows if stays and fits else None

        per_word = geometry.cycles_per_word
        pixels = sum(block.busiest(geometry)[1] for block in blocks) * layer.target.width  # of the group with most
        self.compute = sum(block.lane_rows_out for block in blocks) * layer.target.width * group_steps
        sizes = [(block.busiest(geometry)[0], block.columns_in) for block in blocks]
        self.maps = sum(load_cycles(layer, geometry, planes, *size) for size in sizes)
        if layer.residual is not None:
            self.maps += output_planes * digits_of(layer.residual, geometry) * pixels * per_word
        self.stores = output_planes * pixels * per_word
        self.fetch = len(blocks) * fetch
        whole = load_cycles(layer, geometry, planes, -(-layer.source.height // ports), layer.source.width)
        self.alone = max(self.compute, self.maps, self.stores) + EXPOSED * whole

    def member(self, *, beside: bool) -> Member:
        return Member(self.layer, self.parameters, self.lane_rows if beside else None)


def _together(group: Sequence[_Load]) -> float:
    """Estimated cycles of layers side by side: those of the engine that has most to do."""
    return max(sum(getattr(load, engine) for load in group) for engine in ("compute", "maps", "stores", "fetch"))


def _fit(group: Sequence[_Load], geometry: Geometry, concatenations: Mapping[str, Sequence[str]]) -> bool:
    """Whether layers can share a turn: each has a CRC register, their weights fit the ring and a block of each the
    activation memory, and none reads a concatenation that another one writes."""
    written = {load.layer.target.name for load in group}
    return (
        len(group) <= CRC_REGISTERS
        and all(load.lane_rows is not None for load in group)
        and sum(load.ring for load in group) <= geometry.weight_depth
        and sum(load.slot for load in group) <= geometry.activation_depth
        and sum(load.kernels for load in group) <= DEPTHWISE_KERNELS
        and not any(written & set(concatenations.get(load.layer.stored.name, ())) for load in group)
    )

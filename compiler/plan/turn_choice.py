"""Which layers share a turn: of all ways to cut a network in turns, the one with the fewest estimated cycles."""

from collections.abc import Mapping, Sequence

import numpy as np

from ...hdl.geometry import Geometry
from ...hdl.isa import CRC_REGISTERS, DEPTHWISE_KERNELS, MAXIMUM_PASSES
from ..lower.layers import MachineLayer, digits_of
from ..place.parameters import ParameterBlock
from .block_choice import INSTRUCTION_CYCLES
from .blocks import Cut, grid, ways
from .digit_passes import PASSES
from .load_cycles import block_cycles, load_cycles
from .turn import Member, Turn

LEAST_BLOCKS = 4
"""Blocks of a layer at least: with fewer, little overlaps."""
CARRIED = 0.1
"""Share of the time that words of maps take through DDR that counts, where others stay on the chip."""
EXPOSED = 0.5
"""Share of its input's load for which a layer in a turn of its own waits, by experience."""

LANE_ROWS = (1, 2, 3)
"""Output rows of a lane in a block at least, of which a turn takes the best: with more, fewer rows of neighbouring
lanes and blocks are read twice. Of equally good ones the fewest: layers follow each other more closely."""


def choose_turns(
    layers: Sequence[MachineLayer],
    geometry: Geometry,
    orders: dict[str, np.ndarray],
    parameters: Sequence[ParameterBlock | None],
    concatenations: Mapping[str, Sequence[str]],
    lane_rows: Sequence[int] = LANE_ROWS,
) -> list[Turn]:
    """The turns of a network, in order.

    Parameters
    ----------
    orders: channel order of every tensor.
    parameters: by layer; None for a max pool.
    concatenations: operands by concatenated tensor.
    lane_rows: output rows of a lane in a block at least, of which each turn takes the best.
    """
    words = {name: len(order) // geometry.word_channels for name, order in orders.items()}
    # By output rows of a lane in a block at least, and whether lanes have their own images: what the layers ask for.
    sizes = [
        [_Load(*pair, geometry, words, Cut(rows, by_image)) for pair in zip(layers, parameters)]
        for by_image in ways(layers[0])
        for rows in lane_rows
    ]
    readers = _readers(layers)

    def carried(group: Sequence[_Load]) -> float:
        """Cycles for words of maps that do not stay on the chip: of turns that are equal else, the fewest."""
        per_word = CARRIED * geometry.cycles_per_word / geometry.maps_ports if geometry.map_words else 0.0
        return per_word * _carried_words(group, readers)

    cost = [0.0]
    chosen: list[list[_Load]] = [[]]
    for end in range(1, len(layers) + 1):
        turn = sizes[0][end - 1 : end]
        best = cost[end - 1] + turn[0].alone + carried(turn)
        for loads in sizes:
            for first in range(end - 2, -1, -1):
                group = loads[first:end]
                if not _fit(group, geometry, concatenations):
                    break
                if (cycles := cost[first] + _together(group) + carried(group)) < best:
                    best, turn = cycles, group
        cost.append(best)
        chosen.append(turn)
    turns: list[Turn] = []
    end = len(layers)
    while end:
        group = chosen[end]
        turns.append(Turn(tuple(load.member(beside=len(group) > 1) for load in group)))
        end -= len(group)
    return turns[::-1]


class _Load:
    """What a layer asks of each engine when it is computed in blocks of rows beside others.

    Parameters
    ----------
    words: channel words of every tensor.
    least: how it is cut, with as many output rows of a lane at least.

    Members
    -------
    cut: how it is cut; None: not in such blocks.
    held: words of the activation memory that its largest block takes.
    ring: weight words that stay in the ring.
    kernels: channel words of kernels that stay in the depthwise unit.
    compute, maps, stores, fetch: cycles.
    read_words, residual_words, stored_words: of maps, that it moves.
    alone: estimated cycles in a turn of its own.
    """

    def __init__(
        self, layer: MachineLayer, parameters: ParameterBlock | None, geometry: Geometry, words: dict[str, int],
        least: Cut,
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
        cut = Cut(max(least.lane_rows, -(-fetch // (layer.target.width * group_steps))), least.by_image)
        blocks = grid(layer, geometry, cut, layer.target.width)
        self.held = max(block.words(tile_planes) for block in blocks) * (min(2, tiles) if layer.by_channel else 1)
        stays = self.ring <= geometry.weight_depth and (parameters is None or not parameters.streams(geometry))
        fits = len(blocks) >= LEAST_BLOCKS and self.held <= geometry.activation_depth // 2
        self.cut = cut if stays and fits else None

        per_word = geometry.cycles_per_word
        pixels = sum(block.busiest_rows(geometry) for block in blocks) * layer.target.width
        self.compute = sum(block.band.output_rows for block in blocks) * layer.target.width * group_steps
        self.maps = sum(block_cycles(layer, geometry, planes, block) for block in blocks)
        if layer.residual is not None:
            self.maps += output_planes * digits_of(layer.residual, geometry) * pixels * per_word
        self.stores = output_planes * pixels * per_word
        self.fetch = len(blocks) * fetch
        self.stored_words = output_planes * layer.images * layer.target.height * layer.target.width
        residual_digits = 0 if layer.residual is None else digits_of(layer.residual, geometry)
        self.residual_words = self.stored_words // digits_of(layer.target, geometry) * residual_digits
        skipped = 1 if layer.on_load is None else layer.on_load.stride[0] ** 2
        self.read_words = planes * skipped * sum(block.read_positions for block in blocks)
        whole = load_cycles(layer, geometry, planes, -(-layer.source.height // ports), layer.source.width)
        self.alone = max(self.compute, self.maps, self.stores) + EXPOSED * whole

    def member(self, *, beside: bool) -> Member:
        return Member(self.layer, self.parameters, self.cut if beside else None)


def _readers(layers: Sequence[MachineLayer]) -> dict[str, set[str]]:
    """By tensor, the layers that read it as it is stored."""
    readers: dict[str, set[str]] = {}
    for layer in layers:
        for tensor in (layer.stored, layer.residual):
            if tensor is not None:
                readers.setdefault(tensor.name, set()).add(layer.name)
    return readers


def _carried_words(group: Sequence[_Load], readers: Mapping[str, set[str]]) -> int:
    """Words of maps that DDR carries if those between the layers of a turn stay on the chip."""
    names = {load.layer.name for load in group}
    written = {load.layer.target.name for load in group}
    words = 0
    for load in group:
        layer = load.layer
        words += 0 if layer.stored.name in written else load.read_words
        words += 0 if layer.residual is None or layer.residual.name in written else load.residual_words
        inside = layer.target.name in readers and readers[layer.target.name] <= names
        words += 0 if inside else load.stored_words
    return words


def _together(group: Sequence[_Load]) -> float:
    """Estimated cycles of layers side by side: those of the engine that has most to do."""
    return max(sum(getattr(load, engine) for load in group) for engine in ("compute", "maps", "stores", "fetch"))


def _fit(group: Sequence[_Load], geometry: Geometry, concatenations: Mapping[str, Sequence[str]]) -> bool:
    """Whether layers can share a turn: each has a CRC register, their weights fit the ring and a block of each the
    activation memory, and none reads a concatenation that another one writes."""
    written = {load.layer.target.name for load in group}
    return (
        len(group) <= CRC_REGISTERS
        and all(load.cut is not None for load in group)
        and sum(load.ring for load in group) <= geometry.weight_depth
        and sum(load.held for load in group) <= geometry.activation_depth
        and sum(load.kernels for load in group) <= DEPTHWISE_KERNELS
        and not any(written & set(concatenations.get(load.layer.stored.name, ())) for load in group)
    )

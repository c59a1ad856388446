"""The tile passes of a layer: its tiles over the blocks of its input, in order.

A *tile pass* is one tile (for a max pool: up to four channel words) over one block. Layers side by side have blocks
outside and all tiles over each; a layer alone what `block_choice` chooses. Depthwise layers and max pools alone have
tiles outside, each reading only its own channel words. What passes do with the rings of weights and constants is
`ring_use`'s.
"""

import dataclasses
import itertools
from collections.abc import Sequence

from ...hdl.geometry import CONSTANT_BITS, Geometry
from ..errors import CompileError
from ..lower.layers import MachineLayer, digits_of
from ..place.parameters import ALIGNMENT, ParameterBlock
from ..span import Span
from .block_choice import Order, block_cuts, choose_blocks
from .blocks import Block, Cut, grid, ways
from .ring_use import Residence, RingUse, Streams, residences, ring_uses


@dataclasses.dataclass(frozen=True, kw_only=True)
class TilePass:
    """A tile over a block.

    Members
    -------
    tile, block: which.
    words: range of input channel words that the block holds.
    loads: the block is loaded for this pass; otherwise it is there since the pass before.
    weights, constants: what it does with the rings; None for a max pool.
    """

    tile: int
    block: Block
    words: Span
    loads: bool
    weights: RingUse | None
    constants: RingUse | None

    @property
    def streams(self) -> bool:
        """Whether the tile's weights pass through the ring once for every group."""
        return isinstance(self.weights, Streams)


@dataclasses.dataclass(frozen=True)
class _Loops:
    """Tile and block of each pass, and whether all tiles pass over a block before the next one comes."""

    pairs: list[tuple[int, Block]]
    blocks_outside: bool


def tile_passes(
    layer: MachineLayer,
    geometry: Geometry,
    inputs: Sequence[Span],
    parameters: ParameterBlock | None,
    cut: Cut | None = None,
) -> list[TilePass]:
    """The tile passes of a layer, in order.

    Parameters
    ----------
    inputs: per tile the range of input channel words that it reads.
    parameters: None for a max pool.
    cut: None, or how the layer is cut in blocks of rows; then all weights must fit the ring, and they stay.

    Raises
    ------
    CompileError: a window or a filter does not fit.
    """
    if parameters is not None:
        _check_ring(layer, geometry, parameters)
    loops = _loops(layer, geometry, inputs, parameters, cut)
    tiles = [tile for tile, _ in loops.pairs]
    weights: Sequence[RingUse | None] = [None] * len(tiles)
    constants = weights
    if parameters is not None:
        first = parameters.first_word
        residence = residences(first, geometry.weight_depth, blocks_outside=loops.blocks_outside)
        weights = ring_uses(tiles, first, _weight_transfers(parameters, geometry), residence)
        # Constants are few: with blocks outside they are loaded again for each.
        count = len(inputs)
        residence = [Residence.PASS if loops.blocks_outside else Residence.LAYER] * count
        constants = ring_uses(tiles, range(count + 1), _constant_transfers(count, geometry), residence)
    found: list[TilePass] = []
    for (tile, block), of_weights, of_constants in zip(loops.pairs, weights, constants):
        loads = layer.by_channel or not found or block is not found[-1].block
        found.append(
            TilePass(
                tile=tile, block=block, words=inputs[tile], loads=loads, weights=of_weights, constants=of_constants
            )
        )
    return found


def _loops(
    layer: MachineLayer,
    geometry: Geometry,
    inputs: Sequence[Span],
    parameters: ParameterBlock | None,
    cut: Cut | None,
) -> _Loops:
    count = len(inputs)
    if cut is not None:
        blocks, order = grid(layer, geometry, cut, layer.target.width), Order.BLOCKS
    elif layer.by_channel:
        pairs = []
        for tile, words in enumerate(inputs):
            found = [block_cuts(layer, geometry, words.size, by_image)[0] for by_image in ways(layer)]
            blocks = min(found, key=lambda blocks: sum(block.lane_pixels for block in blocks))
            pairs += [(tile, block) for block in blocks]
        return _Loops(pairs, blocks_outside=False)
    else:
        assert parameters is not None
        blocks, order = choose_blocks(layer, geometry, inputs[0].end, parameters)
    if order is Order.TILES:
        return _Loops(list(itertools.product(range(count), blocks)), blocks_outside=False)
    return _Loops([(tile, block) for block in blocks for tile in range(count)], blocks_outside=True)


def _weight_transfers(parameters: ParameterBlock, geometry: Geometry) -> list[int]:
    """By tile the end of those whose weights are loaded with its own: as many as make one good transfer, or all where
    they share them."""
    first, tiles = parameters.first_word, len(parameters.run_words)
    if parameters.shared:
        return [tiles] * tiles
    ends = []
    for tile in range(tiles):
        end = tile + 1
        while end < tiles and first[end + 1] - first[tile] <= geometry.weight_depth // 4:
            end += 1
        ends.append(end)
    return ends


def _constant_transfers(tiles: int, geometry: Geometry) -> list[int]:
    """By tile the end of those whose constants are loaded with its own; a transfer begins at a multiple of 64 bytes."""
    unit = 1 if geometry.tile_filters * CONSTANT_BITS // 8 % ALIGNMENT == 0 else 2
    count = max(unit, geometry.constant_tiles // 2 // unit * unit)
    return [min(tile + count, tiles) for tile in range(tiles)]


def _check_ring(layer: MachineLayer, geometry: Geometry, parameters: ParameterBlock) -> None:
    if parameters.streams(geometry) and digits_of(layer.source, geometry) > 1:
        longest = max(parameters.run_words) * parameters.digits
        positions = layer.kernel[0] * layer.kernel[1]
        raise CompileError(
            layer.where,
            f"its input has two digits, which read all weights twice, a filter takes {longest} weight words "
            f"({layer.kernel[0]}×{layer.kernel[1]} positions × "
            f"{max(parameters.run_words) // positions} channel words × {parameters.digits} weight digits), and the "
            f"ring holds weight_depth = {geometry.weight_depth}",
            f"raise the geometry's weight_depth to {1 << (longest - 1).bit_length()}, or quantize tensor "
            f"{layer.source.name!r} to {geometry.activation_bits} bits",
        )


def output_pixels(layer: MachineLayer, geometry: Geometry, pool_words: int) -> int:
    """Pixels per lane of one COMPUTE: as many as half of the output (and residual) memory holds, so that two overlap.

    Parameters
    ----------
    pool_words: channel words of one COMPUTE of a max pool.

    Raises
    ------
    CompileError: not even one pixel fits a memory.
    """
    if layer.weight is None:
        needs = [("output_depth", pool_words)]
    else:
        needs = [("output_depth", geometry.tile_words * digits_of(layer.target, geometry))]
        if layer.residual is not None:
            needs.append(("residual_depth", geometry.tile_words * digits_of(layer.residual, geometry)))
    pixels = []
    for field, planes in needs:
        depth = getattr(geometry, field)
        if planes > depth:
            raise CompileError(
                layer.where, f"one pixel takes {planes} words; {field} = {depth}", f"raise the geometry's {field}"
            )
        pixels.append(max(1, depth // 2 // planes))
    return min(pixels)

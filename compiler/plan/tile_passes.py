"""The visits of a layer: its tiles over the blocks of its input, in order.

A *visit* is one tile (for a max pool: up to four channel words) over one block. Layers side by side have blocks outside
and all tiles over each; a layer alone what `block_choice` chooses. A tile whose weights do not fit the ring at all
streams them through it once for every group. Depthwise layers and max pools alone have tiles outside, each reading only
its own channel words.
"""

import dataclasses
from collections.abc import Iterator

from ...hdl.geometry import Geometry
from ..errors import CompileError
from ..lower.layers import LoweredLayer, digits_of
from ..place.parameters import ParameterBlock
from .block_choice import Order, block_cuts, choose_blocks
from .blocks import Block, Cut, grid, ways


@dataclasses.dataclass(frozen=True)
class Visit:
    """A tile over a block.

    Members
    -------
    tile, block: which.
    words: range of input channel words that the block holds.
    loads: the block is loaded for this visit; otherwise it is there since the visit before.
    first_word: weight words from the ring's oldest to the tile's first.
    frees_weights, frees_constants: the tile's weights, constants are not used again, or are loaded again.
    restarts_weights, restarts_constants: their stream begins again with this visit.
    """

    tile: int
    block: Block
    words: tuple[int, int]
    loads: bool
    first_word: int
    frees_weights: bool
    frees_constants: bool
    restarts_weights: bool
    restarts_constants: bool


def visits(
    layer: LoweredLayer,
    geometry: Geometry,
    inputs: list[tuple[int, int]],
    parameters: ParameterBlock | None,
    cut: Cut | None = None,
) -> Iterator[Visit]:
    """The visits of a layer, in order.

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
    if cut is not None:
        yield from _by_blocks(layer, grid(layer, geometry, cut, layer.target.width), inputs, parameters)
        return
    if layer.by_channel:
        for tile, words in enumerate(inputs):
            found = [block_cuts(layer, geometry, words[1] - words[0], by_image)[0] for by_image in ways(layer)]
            blocks = min(found, key=lambda blocks: sum(block.lane_rows_out * block.columns for block in blocks))
            for number, block in enumerate(blocks):
                last = number == len(blocks) - 1
                # Words that all tiles share stay for the last of them.
                shared = parameters is not None and parameters.shared and tile < len(inputs) - 1
                yield Visit(tile, block, words, True, 0, last and not shared, last, False, False)
        return
    assert parameters is not None
    words = inputs[0]
    blocks, order = choose_blocks(layer, geometry, words[1], parameters)
    if order is Order.TILES:
        for tile in range(len(inputs)):
            for number, block in enumerate(blocks):
                last = number == len(blocks) - 1
                yield Visit(tile, block, words, len(blocks) > 1 or tile == 0, 0, last, last, False, False)
        return
    for number, block in enumerate(blocks):
        frees = order is Order.STREAM or number == len(blocks) - 1
        for tile in range(len(inputs)):
            first_word = 0 if frees else parameters.first_word[tile]
            again = tile == 0 and number > 0
            yield Visit(tile, block, words, tile == 0, first_word, frees, True, again and order is Order.STREAM, again)


def _by_blocks(
    layer: LoweredLayer, blocks: list[Block], inputs: list[tuple[int, int]], parameters: ParameterBlock | None
) -> Iterator[Visit]:
    """Blocks outside, all tiles over each; weights stay in the ring until the last block."""
    for number, block in enumerate(blocks):
        last = number == len(blocks) - 1
        for tile, words in enumerate(inputs):
            shared = parameters is not None and parameters.shared and tile < len(inputs) - 1
            first_word = 0 if last or parameters is None else parameters.first_word[tile]
            loads, again = layer.by_channel or tile == 0, tile == 0 and number > 0
            yield Visit(tile, block, words, loads, first_word, last and not shared, True, False, again)


def _check_ring(layer: LoweredLayer, geometry: Geometry, parameters: ParameterBlock) -> None:
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


def output_pixels(layer: LoweredLayer, geometry: Geometry, pool_words: int) -> int:
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

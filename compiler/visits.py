"""In which order a layer's tiles meet the blocks of its input, and whether its parts fit the memories.

A *visit* is one tile (for a max pool: up to four channel words) over one block. Where the whole input fits, its
single block stays while the tiles follow each other, so that weights stream once. Where it does not, the cheapest of
three orders is taken: all weights stay in the ring for the layer; tiles outside, each reading all blocks; or blocks
outside, each streaming all weights. A tile whose weights do not fit the ring at all streams them through it once for
every group. Where all weights can stay, the input is cut into as many blocks of rows as make the layer shortest: one is
loaded while the one before is computed, and stored rows reach the next layer early. Depthwise layers and max pools have
tiles outside, each reading only its own channel words.
"""

import dataclasses
from collections.abc import Iterator

from ..hdl.geometry import Geometry
from .blocks import Block, Cut, grid, split, ways
from .depthwise import block_cycles
from .emit import PASSES
from .errors import CompileError
from .lowered import LoweredLayer, digits_of
from .weights import ParameterBlock

INSTRUCTION_CYCLES = 8
"""Cycles in which an instruction is fetched: 64 bytes, 64 bits wide."""
LATENCY_CYCLES = 64
"""Cycles assumed from the start of a LOAD_MAP to its first word."""


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
            both = [_blocks(layer, geometry, words[1] - words[0], by_image) for by_image in ways(layer)]
            blocks = min(both, key=lambda blocks: sum(block.lane_rows_out * block.columns for block in blocks))
            for number, block in enumerate(blocks):
                last = number == len(blocks) - 1
                # Words that all tiles share stay for the last of them.
                shared = parameters is not None and parameters.shared and tile < len(inputs) - 1
                yield Visit(tile, block, words, True, 0, last and not shared, last, False, False)
        return
    assert parameters is not None
    words = inputs[0]
    blocks, order = _blocks_and_order(layer, geometry, words[1], parameters)
    if order == "tiles":
        for tile in range(len(inputs)):
            for number, block in enumerate(blocks):
                last = number == len(blocks) - 1
                yield Visit(tile, block, words, len(blocks) > 1 or tile == 0, 0, last, last, False, False)
        return
    for number, block in enumerate(blocks):
        frees = order == "stream" or number == len(blocks) - 1
        for tile in range(len(inputs)):
            first_word = 0 if frees else parameters.first_word[tile]
            again = tile == 0 and number > 0
            yield Visit(tile, block, words, tile == 0, first_word, frees, True, again and order == "stream", again)


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


def _blocks_and_order(
    layer: LoweredLayer, geometry: Geometry, words: int, parameters: ParameterBlock
) -> tuple[list[Block], str]:
    """The blocks of a convolution over all channels, and the order of tiles and blocks."""
    found = []
    for by_image in ways(layer):
        blocks = _blocks(layer, geometry, words, by_image)
        if parameters.first_word[-1] <= geometry.weight_depth:
            blocks = _overlapping(layer, geometry, parameters, words, blocks, by_image)
        order = _cheapest(geometry, parameters, blocks, words * digits_of(layer.source, geometry))
        found.append((blocks, order))
    return min(found, key=lambda pair: _batch_cycles(layer, geometry, parameters, words, *pair))


def _batch_cycles(
    layer: LoweredLayer, geometry: Geometry, parameters: ParameterBlock, words: int, blocks: list[Block], order: str
) -> float:
    """Cycles at least: of the array, of the loads, of the weights' stream, whichever are most."""
    planes = words * digits_of(layer.source, geometry)
    passes = len(PASSES[digits_of(layer.source, geometry), parameters.digits].activation_digit)
    steps = sum(max(geometry.drain_cycles, run * passes) for run in parameters.run_words)
    computed = steps * sum(block.lane_rows_out * block.columns for block in blocks)
    again = len(parameters.run_words) if order == "tiles" and len(blocks) > 1 else 1
    loaded = again * sum(block_cycles(layer, geometry, planes, block) for block in blocks)
    word_cycles = geometry.weight_word_bits / (geometry.weight_ports * geometry.weights_bus_bits)
    streamed = word_cycles * parameters.first_word[-1] * (len(blocks) if order == "stream" else 1)
    return max(computed, loaded, streamed)


def _blocks(layer: LoweredLayer, geometry: Geometry, words: int, by_image: bool) -> list[Block]:
    """Blocks for `words` channel words: one if all fits; else of half the memory where possible: two overlap."""
    depth = geometry.activation_depth
    planes = words * digits_of(layer.source, geometry)
    whole = split(layer, geometry, planes, depth, by_image=by_image)
    if whole is None:
        height, width = layer.kernel
        raise CompileError(
            layer.where,
            f"one window needs {planes * height * min(width, layer.source.width)} activation words ({words} channel "
            f"words × {digits_of(layer.source, geometry)} digits × {height}×{width}) besides its padding, and the "
            f"memory of a pixel lane holds activation_depth = {depth}",
            "raise the geometry's activation_depth or word_channels",
        )
    if len(whole) == 1:
        return whole
    return split(layer, geometry, planes, depth // 2, by_image=by_image) or whole


def _overlapping(
    layer: LoweredLayer, geometry: Geometry, parameters: ParameterBlock, words: int, coarse: list[Block], by_image: bool
) -> list[Block]:
    """Of the cuts into rows, and of the given one, the one that is estimated to take the fewest cycles: the first
    block's load, then of each block its steps or the next one's load, whichever is longer."""
    planes = words * digits_of(layer.source, geometry)
    passes = len(PASSES[digits_of(layer.source, geometry), parameters.digits].activation_digit)
    group_steps = sum(parameters.run_words) * passes

    # A block's instructions: a LOAD_MAP for each group of lanes, and for each tile a COMPUTE and a STORE for each lane
    # and digit.
    tile_instructions = 1 + geometry.pixel_lanes * digits_of(layer.target, geometry)
    fetch = INSTRUCTION_CYCLES * (geometry.maps_ports + len(parameters.run_words) * tile_instructions)

    def cycles(blocks: list[Block]) -> float:
        loads = [LATENCY_CYCLES + block_cycles(layer, geometry, planes, block) for block in blocks]
        steps = [max(fetch, block.lane_rows_out * block.columns * group_steps) for block in blocks]
        return loads[0] + sum(max(step, load) for step, load in zip(steps, [*loads[1:], 0]))

    def fits(blocks: list[Block]) -> bool:
        return all(block.words(planes) <= geometry.activation_depth // 2 for block in blocks)

    whole = -(-layer.target.height // (1 if by_image else geometry.pixel_lanes))
    rows = sorted({-(-whole // parts) for parts in range(2, whole + 1)}, reverse=True)
    finer = [grid(layer, geometry, Cut(count, by_image), layer.target.width) for count in rows]
    return min([coarse, *filter(fits, finer)], key=cycles)


def _cheapest(geometry: Geometry, parameters: ParameterBlock, blocks: list[Block], planes: int) -> str:
    """The order that reads the fewest bytes: "tiles" or blocks ("stream") outside, or all weights "stay"."""
    words, tiles = parameters.first_word[-1], len(parameters.run_words)
    if len(blocks) == 1:
        return "tiles"
    if words <= geometry.weight_depth:
        return "stay"
    weights = words * geometry.weight_word_bits // 8
    inputs = sum(block.read_rows * block.columns_in * block.images for block in blocks) * planes * geometry.word_bytes
    return "tiles" if weights + tiles * inputs < len(blocks) * weights + inputs else "stream"


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

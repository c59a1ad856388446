"""How a layer in a turn of its own is cut in blocks, and in which order its tiles meet them.

Where the whole input fits, its single block stays while the tiles follow each other, so that weights stream once. Where
it does not, there are *tiles* outside, each of which reads all blocks; or *blocks* outside, for each of which all
weights are loaded, unless they all stay in the ring for the layer. Where they can stay, the input is cut into as many
blocks of rows as make the layer shortest: one is loaded while the one before is computed, and stored rows reach the
next layer early.
"""

import dataclasses
import enum

from ...hdl.geometry import Geometry
from ..errors import CompileError
from ..lower.layers import MachineLayer, digits_of
from ..place.parameters import ParameterBlock
from .blocks import Block, Cut, grid, split, ways
from .digit_passes import PASSES
from .load_cycles import block_cycles

INSTRUCTION_CYCLES = 8
"""Cycles in which an instruction is fetched: 64 bytes, 64 bits wide."""
LATENCY_CYCLES = 64
"""Cycles assumed from the start of a LOAD_MAP to its first word."""


class Order(enum.Enum):
    """Of the tiles and blocks of a layer: which of them are the outer loop."""

    TILES = enum.auto()
    BLOCKS = enum.auto()


@dataclasses.dataclass(frozen=True, eq=False)
class _Convolution:
    """A convolution over all channels, and what its cuts cost."""

    layer: MachineLayer
    geometry: Geometry
    words: int
    parameters: ParameterBlock

    @property
    def planes(self) -> int:
        """Of its input."""
        return self.words * digits_of(self.layer.source, self.geometry)

    @property
    def stays(self) -> bool:
        """Whether all weights fit the ring."""
        return self.parameters.first_word[-1] <= self.geometry.weight_depth

    @property
    def group_steps(self) -> int:
        """Steps of a pixel, of all tiles."""
        passes = PASSES[digits_of(self.layer.source, self.geometry), self.parameters.digits].activation_digit
        return sum(self.parameters.run_words) * len(passes)

    def orders(self, blocks: list[Block]) -> tuple[Order, ...]:
        """Those that are possible, the first of which are preferred."""
        if len(blocks) == 1:
            return (Order.TILES,)
        if self.stays or self.parameters.streams(self.geometry):
            return (Order.BLOCKS,)
        return (Order.BLOCKS, Order.TILES)

    def overlap(self, blocks: list[Block]) -> bool:
        """Whether a block can be loaded while the one before is computed."""
        return all(block.words(self.planes) <= self.geometry.activation_depth // 2 for block in blocks)

    def cycles(self, blocks: list[Block], order: Order) -> float:
        """Cycles at least: of the array and of the loads, or of what both and the weights move through as many bytes a
        cycle as the weight ports have."""
        geometry = self.geometry
        computed = self.group_steps * sum(block.lane_pixels for block in blocks)
        again = len(self.parameters.run_words) if order is Order.TILES and len(blocks) > 1 else 1
        loaded = again * sum(block_cycles(self.layer, geometry, self.planes, block) for block in blocks)
        moved = self.bytes(blocks, order) / (geometry.weight_ports * geometry.weights_bus_bits // 8)
        return max(moved, max(computed, loaded) if self.overlap(blocks) else computed + loaded)

    def bytes(self, blocks: list[Block], order: Order) -> int:
        """Of the input and the weights, as often as they are read."""
        geometry = self.geometry
        weights = self.parameters.first_word[-1] * geometry.weight_word_bits // 8
        inputs = sum(block.read_positions for block in blocks) * self.planes * geometry.word_bytes
        if self.parameters.streams(geometry):  # once for every pixel of a lane
            return weights * sum(block.lane_pixels for block in blocks) + inputs
        if len(blocks) == 1 or self.stays:
            return weights + inputs
        if order is Order.TILES:
            return weights + len(self.parameters.run_words) * inputs
        return len(blocks) * weights + inputs


def choose_blocks(
    layer: MachineLayer, geometry: Geometry, words: int, parameters: ParameterBlock
) -> tuple[list[Block], Order]:
    """The blocks of a convolution over all channels, and the order of tiles and blocks.

    Raises
    ------
    CompileError: a window does not fit the activation memory.
    """
    convolution = _Convolution(layer, geometry, words, parameters)
    found = []
    for by_image in ways(layer):
        for blocks in block_cuts(layer, geometry, words, by_image):
            if convolution.stays:
                blocks = _overlapping(convolution, blocks, by_image)
            found += [(blocks, order) for order in convolution.orders(blocks)]
    return min(found, key=lambda choice: (convolution.cycles(*choice), convolution.bytes(*choice)))


def block_cuts(layer: MachineLayer, geometry: Geometry, words: int, by_image: bool) -> list[list[Block]]:
    """Blocks for `words` channel words: one if all fits; else of half the memory where possible, so that two overlap;
    of a batch in blocks of all of it, too, since then the weights may be read less often.

    Raises
    ------
    CompileError: a window does not fit the activation memory.
    """
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
    half = None if len(whole) == 1 else split(layer, geometry, planes, depth // 2, by_image=by_image)
    if half is None:
        return [whole]
    return [half] if layer.images == 1 else [half, whole]


def _overlapping(convolution: _Convolution, coarse: list[Block], by_image: bool) -> list[Block]:
    """Of the cuts into rows, and of the given one, the one that is estimated to take the fewest cycles: the first
    block's load, then of each block its steps or the next one's load, whichever is longer."""
    layer, geometry, parameters = convolution.layer, convolution.geometry, convolution.parameters

    # A block's instructions: a LOAD_MAP for each group of lanes, and for each tile a COMPUTE and a STORE for each lane
    # and digit.
    tile_instructions = 1 + geometry.pixel_lanes * digits_of(layer.target, geometry)
    fetch = INSTRUCTION_CYCLES * (geometry.maps_ports + len(parameters.run_words) * tile_instructions)

    def cycles(blocks: list[Block]) -> float:
        loads = [LATENCY_CYCLES + block_cycles(layer, geometry, convolution.planes, block) for block in blocks]
        steps = [max(fetch, block.lane_pixels * convolution.group_steps) for block in blocks]
        return loads[0] + sum(max(step, load) for step, load in zip(steps, [*loads[1:], 0]))

    whole = -(-layer.target.height // (1 if by_image else geometry.pixel_lanes))
    rows = sorted({-(-whole // parts) for parts in range(2, whole + 1)}, reverse=True)
    finer = [grid(layer, geometry, Cut(count, by_image), layer.target.width) for count in rows]
    return min([coarse, *filter(convolution.overlap, finer)], key=cycles)

"""Cycles in which the inputs of layers are loaded."""

from ...hdl.geometry import Geometry
from ...hdl.isa import KERNEL_SIZE
from ..lower.layers import MachineLayer
from .blocks import Block

OVERHEAD = 50
"""Cycles of a LOAD_MAP until the first kernels are taken and after the last window."""


def load_cycles(layer: MachineLayer, geometry: Geometry, planes: int, rows: int, columns: int) -> float:
    """Cycles in which rows × columns of `planes` planes of a layer's input are loaded through one port."""
    per_word = geometry.cycles_per_word
    if (before := layer.on_load) is None:
        return planes * rows * columns * per_word
    stride = before.stride[0]
    height, width = (rows - 1) * stride + KERNEL_SIZE, (columns - 1) * stride + KERNEL_SIZE
    words = min(height, before.source.height) * min(width, before.source.width)
    return OVERHEAD + planes * max(words * per_word, unit_cycles(geometry, height * width, rows * columns))


def block_cycles(layer: MachineLayer, geometry: Geometry, planes: int, block: Block) -> float:
    """Cycles in which `planes` planes of a block are loaded, by the group of lanes that loads longest."""
    return max(
        sum(load_cycles(layer, geometry, planes, part.rows.span.size, block.inputs.columns.size) for part in group)
        for group in block.groups(geometry)
    )


def unit_cycles(geometry: Geometry, positions: int, outputs: int) -> int:
    """Cycles in which the unit passes positions of a plane, zeros around it included, that give so many outputs."""
    return max(positions, outputs * (geometry.word_channels // geometry.depthwise_channels))

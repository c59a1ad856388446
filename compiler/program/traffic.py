"""Bytes that instructions move."""

from ...hdl.geometry import CONSTANT_BITS, Geometry
from ...hdl.instructions import Instruction, LoadConstants, LoadMap, LoadWeights, Store
from ...hdl.isa import LOG_RECORD_BYTES


def read_bytes(geometry: Geometry, instruction: Instruction) -> int:
    """Bytes of DDR that an instruction asks for (a bus reads whole beats, and so a little more)."""
    if isinstance(instruction, LoadWeights):
        return instruction.words * geometry.weight_word_bits // 8
    if isinstance(instruction, LoadConstants):
        return instruction.tiles * geometry.tile_filters * CONSTANT_BITS // 8
    if isinstance(instruction, LoadMap):
        if instruction.on_chip:
            return 0
        return instruction.planes * instruction.chunks * instruction.chunk_words * geometry.word_bytes
    return 0


def write_bytes(geometry: Geometry, instruction: Instruction) -> int:
    """Bytes of DDR that an instruction writes, its log record included."""
    if not isinstance(instruction, Store):
        return 0
    words = 0 if instruction.chip_only else instruction.planes * instruction.chunks * instruction.chunk_words
    return words * geometry.word_bytes + LOG_RECORD_BYTES * instruction.crc_emit

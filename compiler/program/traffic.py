"""Bytes that instructions move."""

from ...hdl.geometry import Geometry
from ...hdl.isa import Opcode

LOG_RECORD_BYTES = 16
"""Bytes of one record of the log: CRC-32, layer, words, cycle."""


def read_bytes(geometry: Geometry, opcode: Opcode, fields: dict[str, int]) -> int:
    """Bytes of DDR that an instruction asks for (a bus reads whole beats, and so a little more)."""
    if opcode is Opcode.LOAD_WEIGHTS:
        return fields["words"] * geometry.weight_word_bits // 8
    if opcode is Opcode.LOAD_CONSTANTS:
        return fields["tiles"] * geometry.tile_filters * 8
    if opcode is Opcode.LOAD_MAP:
        return fields["planes"] * fields["chunks"] * fields["chunk_words"] * geometry.word_bytes
    return 0


def write_bytes(geometry: Geometry, opcode: Opcode, fields: dict[str, int]) -> int:
    """Bytes of DDR that an instruction writes, its log record included."""
    if opcode is not Opcode.STORE:
        return 0
    words = fields["planes"] * fields["chunks"] * fields["chunk_words"]
    return words * geometry.word_bytes + LOG_RECORD_BYTES * fields.get("crc_emit", 0)

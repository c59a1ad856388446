"""Bytes that instructions move."""

from collections import Counter

from ...hdl.geometry import CONSTANT_BITS, Geometry
from ...hdl.instructions import Instruction, LoadConstants, LoadMap, LoadWeights, Store
from ...hdl.isa import LOG_RECORD_BYTES
from .program import Program


def read_bytes(geometry: Geometry, instruction: Instruction) -> int:
    """Bytes of DDR that an instruction asks for (a bus reads whole beats, and so a little more)."""
    if isinstance(instruction, LoadWeights):
        return instruction.words * geometry.weight_word_bits // 8
    if isinstance(instruction, LoadConstants):
        return instruction.tiles * geometry.tile_filters * CONSTANT_BITS // 8
    if isinstance(instruction, LoadMap):
        return (instruction.moved_words - chip_words(instruction)) * geometry.word_bytes
    return 0


def write_bytes(geometry: Geometry, instruction: Instruction) -> int:
    """Bytes of DDR that an instruction writes, its log record included."""
    if not isinstance(instruction, Store):
        return 0
    words = instruction.moved_words - chip_words(instruction)
    return words * geometry.word_bytes + LOG_RECORD_BYTES * instruction.crc_emit


def chip_words(instruction: Instruction) -> int:
    """Words that an instruction moves through the map memory alone."""
    if not isinstance(instruction, LoadMap | Store):
        return 0
    alone = instruction.on_chip if isinstance(instruction, LoadMap) else instruction.chip_only
    return instruction.moved_words * alone


def bytes_by_region(program: Program) -> dict[str, int]:
    """Bytes of DDR that a run reads and writes: of the parameters (and the program itself), of maps between layers, of
    the input, and of the output (and the log)."""
    found = Counter(parameters=len(program.instructions), maps=0, input=0, output=0)
    names = {"PARAMETERS": "parameters", "WORKSPACE": "maps", "INPUT": "input", "OUTPUT": "output"}
    for instruction in program.decoded():
        if isinstance(instruction, LoadWeights | LoadConstants | LoadMap):
            found[names[instruction.region.name]] += read_bytes(program.geometry, instruction)
        elif isinstance(instruction, Store):
            log = LOG_RECORD_BYTES * instruction.crc_emit
            found["output"] += log
            found[names[instruction.region.name]] += write_bytes(program.geometry, instruction) - log
    return dict(found)

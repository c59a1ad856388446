"""Who really waits in a deadlock: an engine that starves for weights or constants, found in the program.

The hardware names the first of MAPS, COMPUTE and STORE whose instruction waits for tokens. A COMPUTE that has its
tokens and lacks weight words is not among them: then STORE is named, which only waits for that COMPUTE. What the rings
hold in program order tells the two apart.
"""

import dataclasses
from collections.abc import Iterator

from ..compiler.program.program import Program
from ..compiler.program.rings import starvation
from ..hdl.instructions import Finish, Instruction, InstructionError, decode
from ..hdl.isa import INSTRUCTION_BYTES, Engine, Error
from .errors import ErrorReport

_REMEDY = (
    "the program in memory is damaged, or the compiler made it wrong: load it again, and if that does not help compile "
    "it again with this version and report it"
)
_NAMES = {Engine.COMPUTE: "the array", Engine.WEIGHTS: "the weights engine"}


def name_who_starves(report: ErrorReport, program: Program, code: bytes) -> ErrorReport:
    """The report of a deadlock with the engine that starves, if one does; else the report as it is.

    Parameters
    ----------
    program: that ran.
    code: its instructions as the accelerator fetched them: memory may be damaged.
    """
    if report.code is not Error.DEADLOCK:
        return report
    found = starvation(_fetched(code, report.instructions), program.geometry)
    if found is None or isinstance(found.instruction, Finish):  # what is left in a ring holds up nobody
        return report
    layer = found.instruction.layer
    names = {record.number: record.name for record in program.layers}
    return dataclasses.replace(
        report,
        engine=found.instruction.engine,
        layer=layer,
        layer_name=names.get(layer),
        cause=f"{_NAMES[found.instruction.engine]} waits for ever at instruction {found.index}: {found.lacks}",
        remedy=_REMEDY,
    )


def _fetched(code: bytes, count: int) -> Iterator[Instruction]:
    """The first `count` instructions, as far as they can be decoded."""
    for start in range(0, min(count * INSTRUCTION_BYTES, len(code)), INSTRUCTION_BYTES):
        try:
            yield decode(code[start : start + INSTRUCTION_BYTES])
        except InstructionError:
            return

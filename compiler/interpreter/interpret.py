"""The golden model of the machine at the level of instructions, written from docs/architecture.md.

`InterpretedMachine.execute` runs one 64-byte instruction on inspectable memories and says what it did; `interpret` runs
a program in program order. Every rule that a program must keep is checked: fields, addresses, rings, tokens,
accumulators, and that nothing stored depends on words that were never written, and that tokens order all accesses
(`HazardChecker`).
"""

from collections.abc import Callable, Mapping

import numpy as np

from ...hdl.isa import INSTRUCTION_BYTES, Region
from ..program.program import Program
from .hazards import HazardChecker
from .machine import Effect, InterpretedMachine, Write
from .state import InterpreterError

__all__ = ["Effect", "InterpretedMachine", "InterpreterError", "Write", "interpret", "memory_for", "run_codes"]

UNWRITTEN = 0xA5
"""What `memory_for` fills regions with that the program must write before it reads them."""


def interpret(
    program: Program, memory: Mapping[str, bytearray], *, observe: Callable[[Effect], None] | None = None
) -> InterpretedMachine:
    """Executes a program from start to end, in program order, and checks that every schedule would do the same.

    Parameters
    ----------
    memory: bytes of each region by name, and of "LOG", at least `program.sizes` of each, with the program's `fills` in
        place; written in place.
    observe: called with the effect of every instruction.

    Returns
    -------
    The machine after the run, for inspection.

    Raises
    ------
    ValueError: a region is missing or too small, or the instructions are not a multiple of 64 bytes.
    InterpreterError: an instruction breaks a rule of the machine, or the program does not end with FINISH.
    """
    for name, size in program.sizes.items():
        given = len(memory.get(name, b""))
        if given < size:
            raise ValueError(f"memory {name} must have at least {size} bytes for program {program.name!r}, not {given}")
    if len(program.instructions) % INSTRUCTION_BYTES:
        raise ValueError(
            f"the instructions of program {program.name!r} must be a multiple of {INSTRUCTION_BYTES} bytes, not "
            f"{len(program.instructions)}"
        )
    laid = {fill.region: np.zeros(len(memory[fill.region]), bool) for fill in program.fills}
    for fill in program.fills:
        fill.mark(laid[fill.region])
    machine = InterpretedMachine(program.geometry, memory, laid=laid)
    hazards = HazardChecker(program.geometry, {region.name: len(memory.get(region.name, b"")) for region in Region})
    for start in range(0, len(program.instructions), INSTRUCTION_BYTES):
        effect = machine.execute(program.instructions[start : start + INSTRUCTION_BYTES])
        hazards(effect)
        if observe is not None:
            observe(effect)
    if not machine.finished:
        raise InterpreterError(machine.executed, None, "opcode", "the program ends without FINISH")
    return machine


def memory_for(program: Program, codes: np.ndarray) -> dict[str, bytearray]:
    """The regions of a program with its parameters, its borders and an input (codes, channels × height × width) in
    place."""
    memory = {name: bytearray([UNWRITTEN]) * size for name, size in program.sizes.items()}
    for name, offset, data in (
        ("PARAMETERS", 0, program.parameters),
        (program.input.region, program.input.offset, program.input.pack(codes)),
    ):
        memory[name][offset : offset + len(data)] = data
    for fill in program.fills:
        fill.lay(np.frombuffer(memory[fill.region], np.uint8))
    return memory


def run_codes(program: Program, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Interprets a program on an input; returns the codes of its outputs, or of every map if the program keeps them.

    Raises
    ------
    InterpreterError: the program breaks a rule of the machine.
    """
    memory = memory_for(program, codes)
    interpret(program, memory)
    layouts = {layout.name: layout for layout in program.outputs}
    if program.keeps_maps:
        layouts |= program.maps
    return {
        name: layout.unpack(bytes(memory[layout.region][layout.offset : layout.offset + layout.bytes]))
        for name, layout in layouts.items()
    }

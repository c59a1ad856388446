"""A loaded program's memory: what all its runs share, and the regions that two runs take turns in."""

import dataclasses

import numpy as np

from ..compiler.program.program import Program
from ..hdl.isa import INSTRUCTION_BYTES, Opcode
from .device import Buffer, Device
from .errors import DeviceError, ProgramError

SHARED = ("PROGRAM", "PARAMETERS", "WORKSPACE")
PER_FRAME = ("INPUT", "OUTPUT", "LOG")
"""What a run is given and leaves behind. With two of each, one run computes while the host serves the other."""
FRAMES = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """The buffers of one of the runs that take turns, by name: those of `PER_FRAME`."""

    number: int
    buffers: dict[str, Buffer]

    def write_input(self, program: Program, codes: np.ndarray) -> None:
        """Puts a run's codes, of the input's shape, into place and empties the log."""
        image, log = self.buffers["INPUT"], self.buffers["LOG"]
        packed = np.frombuffer(program.input.pack(codes), np.uint8)
        image.view[program.input.offset : program.input.offset + packed.size] = packed
        image.to_device()
        log.view[:] = 0
        log.to_device()


class ProgramMemory:
    """All buffers of a program, with its instructions, its parameters and the borders of its maps in place.

    Members
    -------
    shared: by name, those of `SHARED`.
    frames: `FRAMES` of them.

    Raises
    ------
    ProgramError: the program is cut short.
    DeviceError: the device has too little memory; what was allocated is given back.
    """

    def __init__(self, device: Device, program: Program) -> None:
        check_program(program)
        sizes = {name: program.sizes.get(name, 0) for name in (*SHARED, *PER_FRAME)}
        sizes |= {"PROGRAM": len(program.instructions), "PARAMETERS": len(program.parameters)}
        self.shared: dict[str, Buffer] = {}
        self.frames = tuple(Frame(number, {}) for number in range(FRAMES))
        try:
            for name in SHARED:
                self.shared[name] = _allocate(device, program, name, sizes)
            for frame in self.frames:
                for name in PER_FRAME:
                    frame.buffers[name] = _allocate(device, program, name, sizes)
        except BaseException:
            self.free()
            raise
        for name, contents in (("PROGRAM", program.instructions), ("PARAMETERS", program.parameters)):
            buffer = self.shared[name]
            buffer.view[: len(contents)] = np.frombuffer(contents, np.uint8)
            buffer.to_device()
        fills = program.fills
        for fill in fills:
            for buffer in self.buffers(fill.region):
                buffer.lay(fill)
        for name in {fill.region for fill in fills}:
            for buffer in self.buffers(name):
                buffer.to_device()

    def buffers(self, name: str) -> list[Buffer]:
        """All buffers of a region: one, or one of each frame."""
        return [self.shared[name]] if name in self.shared else [frame.buffers[name] for frame in self.frames]

    def free(self) -> None:
        """Gives everything back."""
        for buffers in (self.shared, *(frame.buffers for frame in self.frames)):
            while buffers:
                buffers.popitem()[1].free()


def check_program(program: Program) -> None:
    """Refuses a program that is not whole.

    Raises
    ------
    ProgramError: its instructions do not end with FINISH, or its parameters are fewer than its layers read.
    """
    length = len(program.instructions)
    if length % INSTRUCTION_BYTES or not length:
        raise ProgramError(
            f"program {program.name} is cut short: its {length:,} bytes of instructions are no whole number of "
            f"{INSTRUCTION_BYTES}; compile the network again"
        )
    if program.instructions[length - INSTRUCTION_BYTES] & 0xF != Opcode.FINISH:
        raise ProgramError(
            f"program {program.name} is cut short: its last instruction is not FINISH; compile the network again"
        )
    needed = program.sizes.get("PARAMETERS", 0)
    if len(program.parameters) < needed:
        raise ProgramError(
            f"program {program.name} is cut short: it has {len(program.parameters):,} bytes of parameters, and its "
            f"layers read {needed:,}; compile the network again"
        )


def _allocate(device: Device, program: Program, name: str, sizes: dict[str, int]) -> Buffer:
    try:
        return device.allocate(max(sizes[name], 1))
    except DeviceError as error:
        total = sum(sizes[shared] for shared in SHARED) + FRAMES * sum(sizes[each] for each in PER_FRAME)
        remedies = ["--reuse-memory for a smaller WORKSPACE"] * program.keeps_maps
        remedies += [f"a --batch of less than {program.batch}"] * (program.batch > 1)
        raise DeviceError(
            f"no memory for {name} of program {program.name} ({sizes[name]:,} of {total:,} bytes in all): {error}"
            + (f"; compile with {', or '.join(remedies)}" if remedies else "")
        ) from error

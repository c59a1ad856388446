"""What COMPUTEs are made from, and instructions while the program is put together."""

import dataclasses
import itertools
from typing import Generic, TypeVar

from ...hdl.instructions import NO_TOKENS, Compute, Instruction, InstructionError, Tokens
from ...hdl.isa import MAXIMUM_PASSES, Mode, Token
from ..errors import CompileError

Kind = TypeVar("Kind", bound=Instruction, covariant=True)
"""Covariant: a draft's instruction is replaced by others of its kind only."""


@dataclasses.dataclass(eq=False)
class Draft(Generic[Kind]):
    """An instruction while the program is put together: what it takes and gives is added at the end.

    Members
    -------
    instruction: without its tokens.
    where: how errors name what it is for.
    wait, signal: its tokens.
    """

    instruction: Kind
    where: str
    wait: Tokens = NO_TOKENS
    signal: Tokens = NO_TOKENS

    def waits_for(self, token: Token) -> None:
        """Takes one token before the instruction starts."""
        assert token.target is self.instruction.engine
        self.wait |= {token}

    def gives(self, token: Token) -> None:
        """Gives one token."""
        assert token.source is self.instruction.engine
        self.signal |= {token}

    def encode(self) -> bytes:
        """The 64 bytes, with the tokens.

        Raises
        ------
        CompileError: a value does not fit its field.
        """
        instruction = self.instruction
        if self.wait or self.signal:
            instruction = dataclasses.replace(instruction, wait=self.wait, signal=self.signal)
        try:
            return instruction.encode()
        except InstructionError as error:
            reason, remedy = f"is beyond the instruction set: {error}", "make its maps smaller, or the batch"
            raise CompileError(self.where, reason, remedy) from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Walk:
    """How a COMPUTE walks the activation memory.

    Members
    -------
    outputs_y, outputs_x: output rows of a lane, output columns.
    kernel_y, kernel_x, channels: the window; channel words of one of its positions.
    stride_y, stride_x: rows and columns between windows.
    row_pitch, plane_pitch: addresses between rows and between channel words.
    digits: plane offset of each pass's activation digit (of its channel word in a MAXIMUM), in addresses.
    """

    outputs_y: int
    outputs_x: int
    kernel_y: int
    kernel_x: int
    channels: int
    stride_y: int
    stride_x: int
    row_pitch: int
    plane_pitch: int
    digits: tuple[int, ...]

    @property
    def steps(self) -> int:
        positions = self.kernel_y * self.kernel_x * self.channels
        return self.outputs_y * self.outputs_x * len(self.digits) * positions

    def compute(self, mode: Mode) -> Compute:
        """A COMPUTE with the loop counts and deltas: the formulas of docs/architecture.md."""
        across = (self.channels - 1) * self.plane_pitch
        window = across + self.kernel_x - 1 + (self.kernel_y - 1) * self.row_pitch
        end = window + self.digits[-1] - self.digits[0]
        passes = [after - before - window for before, after in itertools.pairwise(self.digits)]
        passes += [0] * (MAXIMUM_PASSES - len(self.digits))
        return Compute(
            mode=mode,
            outputs_y=self.outputs_y,
            outputs_x=self.outputs_x,
            passes=len(self.digits),
            kernel_y=self.kernel_y,
            kernel_x=self.kernel_x,
            channels=self.channels,
            stride_x=self.stride_x,
            delta_channel=_wrapped(self.plane_pitch),
            delta_kernel_x=_wrapped(1 - across),
            delta_kernel_y=_wrapped(self.row_pitch - (self.kernel_x - 1) - across),
            delta_pass_1=_wrapped(passes[0]),
            delta_pass_2=_wrapped(passes[1]),
            delta_pass_3=_wrapped(passes[2]),
            delta_x=_wrapped(self.stride_x - end),
            delta_y=_wrapped(self.stride_y * self.row_pitch - (self.outputs_x - 1) * self.stride_x - end),
        )


def _wrapped(delta: int) -> int:
    """An address change as the field holds it: addresses count modulo 2^16."""
    return (delta + (1 << 15)) % (1 << 16) - (1 << 15)

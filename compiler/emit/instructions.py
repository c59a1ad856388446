"""Typed builders of instructions: what an instruction means, turned into its fields."""

import dataclasses

from ...hdl.isa import ENGINE_OF, Mode, Opcode, Token, encode
from ..errors import CompileError
from ..plan.digit_passes import Passes


@dataclasses.dataclass(eq=False)
class Instruction:
    """An instruction before it is encoded; tokens are added while the program is put together."""

    opcode: Opcode
    where: str
    fields: dict[str, int]

    def wait(self, token: Token) -> None:
        """Takes one token before the instruction starts."""
        assert token.target is ENGINE_OF[self.opcode]
        self.fields["wait"] = self.fields.get("wait", 0) | 1 << token

    def signal(self, token: Token) -> None:
        """Gives one token."""
        assert token.source is ENGINE_OF[self.opcode]
        self.fields["signal"] = self.fields.get("signal", 0) | 1 << token

    def encode(self) -> bytes:
        """The 64 bytes.

        Raises
        ------
        CompileError: a value does not fit its field.
        """
        try:
            return encode(self.opcode, **self.fields)
        except ValueError as error:
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

    def fields(self) -> dict[str, int]:
        """Loop counts and deltas: the formulas of docs/architecture.md."""
        across = (self.channels - 1) * self.plane_pitch
        window = across + self.kernel_x - 1 + (self.kernel_y - 1) * self.row_pitch
        end = window + self.digits[-1] - self.digits[0]
        deltas = {
            "delta_channel": self.plane_pitch,
            "delta_kernel_x": 1 - across,
            "delta_kernel_y": self.row_pitch - (self.kernel_x - 1) - across,
            "delta_x": self.stride_x - end,
            "delta_y": self.stride_y * self.row_pitch - (self.outputs_x - 1) * self.stride_x - end,
        }
        for number, (before, after) in enumerate(zip(self.digits, self.digits[1:]), start=1):
            deltas[f"delta_pass_{number}"] = after - before - window
        return {
            "outputs_y": self.outputs_y,
            "outputs_x": self.outputs_x,
            "passes": len(self.digits),
            "kernel_y": self.kernel_y,
            "kernel_x": self.kernel_x,
            "channels": self.channels,
            "stride_x": self.stride_x,
            **{name: (delta + (1 << 15)) % (1 << 16) - (1 << 15) for name, delta in deltas.items()},
        }


def load_weights(where: str, layer: int, *, region: int, address: int, port_stride: int, words: int) -> Instruction:
    """Appends `words` weight words to the ring."""
    fields = {"layer": layer, "region": region, "address": address, "port_stride": port_stride, "words": words}
    return Instruction(Opcode.LOAD_WEIGHTS, where, fields)


def load_constants(where: str, layer: int, *, region: int, address: int, tiles: int) -> Instruction:
    """Appends `tiles` tiles of constants to their ring."""
    fields = {"layer": layer, "region": region, "address": address, "tiles": tiles}
    return Instruction(Opcode.LOAD_CONSTANTS, where, fields)


def load_map(where: str, layer: int, **fields: int) -> Instruction:
    """Reads part of a map into the activation or residual memories; fields as in `isa.LOAD_MAP`."""
    return Instruction(Opcode.LOAD_MAP, where, {"layer": layer, **fields})


def convolve(where: str, layer: int, walk: Walk, passes: Passes, **fields: int) -> Instruction:
    """A COMPUTE that convolves; other fields as in `isa.COMPUTE`."""
    return Instruction(
        Opcode.COMPUTE, where, {"layer": layer, "mode": Mode.CONVOLVE, **walk.fields(), **passes.fields(), **fields}
    )


def maximum(where: str, layer: int, walk: Walk, **fields: int) -> Instruction:
    """A COMPUTE that pools by maximum; `walk.digits` are the planes of its channel words."""
    return Instruction(Opcode.COMPUTE, where, {"layer": layer, "mode": Mode.MAXIMUM, **walk.fields(), **fields})


def store(where: str, layer: int, **fields: int) -> Instruction:
    """Writes part of a lane's output memory to a map; fields as in `isa.STORE`."""
    return Instruction(Opcode.STORE, where, {"layer": layer, **fields})


def finish() -> Instruction:
    """The end of the program."""
    return Instruction(Opcode.FINISH, "program", {})

"""Instructions as frozen dataclasses, one for each opcode, and their 64 bytes.

The classes name the fields of the tables of `isa`, which say what each of them means and how wide it is; that both
agree is checked when this module is imported. Fields that are not given are 0. A field's value is checked against its
width when the instruction is encoded.
"""

import dataclasses
import enum
import typing
from collections.abc import Sequence
from typing import Any, ClassVar

from .isa import ENGINE_OF, INSTRUCTION_BYTES, LAYOUTS, OPCODE_BITS, Engine, Mode, Opcode, Region, Token

Tokens = frozenset[Token]
NO_TOKENS: Tokens = frozenset()


class InstructionError(ValueError):
    """An instruction that has no 64 bytes, or 64 bytes that are no instruction; `field` names what is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instruction:
    """What all instructions have: the fields of `isa.COMMON`."""

    opcode: ClassVar[Opcode]
    layer: int = 0
    wait: Tokens = NO_TOKENS
    signal: Tokens = NO_TOKENS

    @property
    def engine(self) -> Engine:
        """The engine that executes it."""
        return ENGINE_OF[self.opcode]

    def encode(self) -> bytes:
        """The 64 bytes.

        Raises
        ------
        InstructionError: a value does not fit its field.
        """
        return _CODECS[self.opcode].encode(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadWeights(Instruction):
    """Appends weight words to the ring."""

    opcode: ClassVar[Opcode] = Opcode.LOAD_WEIGHTS
    region: Region = Region.PARAMETERS
    address: int = 0
    port_stride: int = 0
    words: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadConstants(Instruction):
    """Appends tiles of constants to their ring."""

    opcode: ClassVar[Opcode] = Opcode.LOAD_CONSTANTS
    region: Region = Region.PARAMETERS
    address: int = 0
    tiles: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadMap(Instruction):
    """Reads part of a map into the activation or residual memories of a group of pixel lanes, or kernels."""

    opcode: ClassVar[Opcode] = Opcode.LOAD_MAP
    region: Region = Region.PARAMETERS
    address: int = 0
    planes: int = 0
    plane_stride: int = 0
    chunks: int = 0
    chunk_stride: int = 0
    chunk_words: int = 0
    row_words: int = 0
    pad_top: int = 0
    pad_bottom: int = 0
    lane_step: int = 0
    lane_rows: int = 0
    lane_mask: int = 0
    residual: bool = False
    base: int = 0
    plane_pitch: int = 0
    depthwise: bool = False
    kernel_base: int = 0
    source_words: int = 0
    source_top: int = 0
    source_bottom: int = 0
    source_left: int = 0
    source_right: int = 0
    source_stride: int = 0
    shift: int = 0
    maximum: int = 0
    kernels: bool = False
    on_chip: bool = False
    chip_address: int = 0
    chip_plane_stride: int = 0
    chip_chunk_stride: int = 0
    ring_end: int = 0
    ring_words: int = 0

    @property
    def moved_words(self) -> int:
        """Activation words that it reads."""
        return self.planes * self.chunks * self.chunk_words


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compute(Instruction):
    """Convolves or pools what the lanes hold, a tile of filters or some channel words at once."""

    opcode: ClassVar[Opcode] = Opcode.COMPUTE
    mode: Mode = Mode.CONVOLVE
    outputs_y: int = 0
    outputs_x: int = 0
    passes: int = 0
    kernel_y: int = 0
    kernel_x: int = 0
    channels: int = 0
    base: int = 0
    delta_channel: int = 0
    delta_kernel_x: int = 0
    delta_kernel_y: int = 0
    delta_pass_1: int = 0
    delta_pass_2: int = 0
    delta_pass_3: int = 0
    delta_x: int = 0
    delta_y: int = 0
    pad_left: int = 0
    stride_x: int = 0
    width: int = 0
    shift_mask: int = 0
    count_mask: int = 0
    weight_digit_mask: int = 0
    final_mask: int = 0
    weight_offset: int = 0
    weight_words: int = 0
    release: bool = False
    constant_offset: int = 0
    release_constants: bool = False
    shift: int = 0
    maximum: int = 0
    output_base: int = 0
    output_pitch: int = 0
    output_digits: int = 0
    residual: bool = False
    residual_base: int = 0
    residual_pitch: int = 0
    residual_digits: int = 0
    residual_scale: int = 0

    @property
    def groups(self) -> int:
        """Groups of outputs, one of each pixel lane, that it computes."""
        return self.outputs_y * self.outputs_x

    @property
    def group_steps(self) -> int:
        """Steps of a group: those of all passes."""
        return self.passes * self.kernel_y * self.kernel_x * self.channels

    @property
    def steps(self) -> int:
        return self.groups * self.group_steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Store(Instruction):
    """Writes part of a pixel lane's output memory to a map."""

    opcode: ClassVar[Opcode] = Opcode.STORE
    region: Region = Region.PARAMETERS
    address: int = 0
    planes: int = 0
    plane_stride: int = 0
    chunks: int = 0
    chunk_stride: int = 0
    chunk_words: int = 0
    lane: int = 0
    base: int = 0
    plane_pitch: int = 0
    crc_register: int = 0
    crc_start: bool = False
    crc_emit: bool = False
    crc_slot: int = 0
    on_chip: bool = False
    chip_only: bool = False
    chip_address: int = 0
    chip_plane_stride: int = 0
    chip_chunk_stride: int = 0
    ring_end: int = 0
    ring_words: int = 0

    @property
    def moved_words(self) -> int:
        """Activation words that it writes."""
        return self.planes * self.chunks * self.chunk_words


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finish(Instruction):
    """Ends the program."""

    opcode: ClassVar[Opcode] = Opcode.FINISH


INSTRUCTIONS: tuple[type[Instruction], ...] = (LoadWeights, LoadConstants, LoadMap, Compute, Store, Finish)


def decode(code: bytes) -> Instruction:
    """The instruction of 64 bytes; bits that no field has are not looked at.

    Raises
    ------
    InstructionError: the length is not 64 bytes, the opcode is unknown, or a mask of tokens has a bit of none.
    """
    if len(code) != INSTRUCTION_BYTES:
        raise InstructionError("opcode", f"an instruction is {INSTRUCTION_BYTES} bytes, not {len(code)}")
    word = int.from_bytes(code, "little")
    codec = _CODECS.get(word & _OPCODE_MASK)
    if codec is None:
        raise InstructionError("opcode", f"unknown opcode {word & _OPCODE_MASK}")
    return codec.decode(word)


class _Codec:
    """Between the instructions of a class and their words.

    Raises
    ------
    TypeError: the class and the table of its opcode do not have the same fields.
    """

    def __init__(self, kind: type[Instruction]) -> None:
        self.kind = kind
        layout = LAYOUTS[kind.opcode]
        names, listed = [field.name for field in dataclasses.fields(kind)], [field.name for field in layout]
        if ["opcode", *names] != listed:
            raise TypeError(f"{kind.__name__} must have the fields of {kind.opcode.name}, {listed[1:]}, not {names}")
        types = typing.get_type_hints(kind)
        position = OPCODE_BITS
        self.fields: list[tuple[str, int, int, int, int]] = []  # name, position, mask, lowest and highest value
        self.signed: list[tuple[str, int]] = []
        self.typed: list[tuple[str, Sequence[Any]]] = []
        for field in layout[1:]:
            self.fields.append((field.name, position, (1 << field.width) - 1, *field.range))
            position += field.width
            if field.signed:
                self.signed.append((field.name, 1 << (field.width - 1)))
            if types[field.name] is not int:
                meanings = _meanings(types[field.name], field.width)
                if meanings is None:
                    what = f"{kind.__name__} field {field.name} is {types[field.name].__name__}"
                    raise TypeError(f"{what}, which does not fill {field.width} bits")
                self.typed.append((field.name, meanings))

    def encode(self, instruction: Instruction) -> bytes:
        values = vars(instruction)
        word = int(self.kind.opcode)
        for name, position, mask, low, high in self.fields:
            if value := values[name]:
                number = _MASK_OF[value] if isinstance(value, frozenset) else int(value)
                if not low <= number <= high:
                    reason = f"{self.kind.opcode.name} field {name} must be {low} … {high}, not {number}"
                    raise InstructionError(name, reason)
                word |= (number & mask) << position
        return word.to_bytes(INSTRUCTION_BYTES, "little")

    def decode(self, word: int) -> Instruction:
        values: dict[str, Any] = {name: word >> position & mask for name, position, mask, _, _ in self.fields}
        for name, sign in self.signed:
            if values[name] >= sign:
                values[name] -= 2 * sign
        for name, meanings in self.typed:
            try:
                values[name] = meanings[values[name]]
            except IndexError:
                reason = f"{self.kind.opcode.name} field {name}: mask {values[name]:#x} names a channel that is none"
                raise InstructionError(name, reason) from None
        instruction = object.__new__(self.kind)
        vars(instruction).update(values)  # what __init__ does, several times faster
        return instruction


def _meanings(kind: Any, width: int) -> Sequence[Any] | None:
    """What a field's numbers mean, from 0 on, if it is of a kind that is not `int`; None: of a kind that does not fit.
    """
    if kind is bool and width == 1:
        return False, True
    if kind == Tokens and len(Token) <= width:
        return _TOKENS_OF
    if isinstance(kind, type) and issubclass(kind, enum.IntEnum) and sorted(kind) == list(range(1 << width)):
        return tuple(kind(number) for number in range(1 << width))
    return None


_OPCODE_MASK = (1 << OPCODE_BITS) - 1
_TOKENS_OF = tuple(frozenset(token for token in Token if mask >> token & 1) for mask in range(1 << len(Token)))
_MASK_OF = {tokens: mask for mask, tokens in enumerate(_TOKENS_OF)}
_CODECS: dict[int, _Codec] = {kind.opcode: _Codec(kind) for kind in INSTRUCTIONS}

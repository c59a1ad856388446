"""What the interpreter's machine holds: instructions with their errors, lane memories, rings and tokens."""

import dataclasses
from typing import Generic, NoReturn, TypeVar

import numpy as np

from ...hdl.geometry import CONSTANT_BITS, Geometry
from ...hdl.instructions import Instruction, InstructionError, LoadConstants, decode
from ...hdl.isa import CONSTANT_LAYOUT, INSTRUCTION_BITS, LAYOUTS, TOKEN_LIMIT, OffsetCode, Token, unpack

Kind = TypeVar("Kind", bound=Instruction, covariant=True)


class InterpreterError(ValueError):
    """A program that breaks a rule of the machine.

    Members
    -------
    index: the instruction's place in the program, from 0.
    opcode: its `isa.Opcode`, or None where it has none.
    layer: its layer, or None where it has none.
    field: the field at fault.
    """

    def __init__(self, index: int, instruction: Instruction | None, field: str, reason: str) -> None:
        what = "unknown" if instruction is None else f"{instruction.opcode.name}, layer {instruction.layer}"
        super().__init__(f"instruction {index} ({what}): {field}: {reason}")
        self.index, self.field = index, field
        self.opcode = None if instruction is None else instruction.opcode
        self.layer = None if instruction is None else instruction.layer


@dataclasses.dataclass(frozen=True)
class Numbered(Generic[Kind]):
    """An instruction with its place in the program, from 0: what it breaks a rule with is said of both."""

    index: int
    instruction: Kind

    @staticmethod
    def decode(index: int, code: bytes) -> "Numbered[Instruction]":
        try:
            instruction = decode(bytes(code))
        except InstructionError as error:
            raise InterpreterError(index, None, error.field, str(error)) from None
        numbered = Numbered(index, instruction)
        used = sum(field.width for field in LAYOUTS[instruction.opcode])
        unused = int.from_bytes(code, "little") >> used
        numbered.need(unused == 0, "unused bits", f"bits {used} … {INSTRUCTION_BITS - 1} must be 0")
        return numbered

    def fail(self, field: str, reason: str) -> NoReturn:
        raise InterpreterError(self.index, self.instruction, field, reason)

    def need(self, condition: bool, field: str, reason: str) -> None:
        if not condition:
            self.fail(field, reason)

    def need_counts(self, *fields: str) -> None:
        for field in fields:
            self.need(getattr(self.instruction, field) >= 1, field, "must be at least 1, not 0")


class LaneMemory:
    """A private memory of every pixel lane.

    Members
    -------
    words: uint8, lanes × depth × Ti slots.
    valid: bool, lanes × depth: the word was written, and made only of words that were.
    maker: int32, lanes × depth: index of the instruction that wrote it last; −1: none.
    """

    def __init__(self, name: str, lanes: int, depth: int, channels: int) -> None:
        self.name, self.depth = name, depth
        self.words = np.zeros((lanes, depth, channels), np.uint8)
        self.valid = np.zeros((lanes, depth), bool)
        self.maker = np.full((lanes, depth), -1, np.int32)

    def write(self, index: int, lane: int, start: int, words: np.ndarray, valid: "np.ndarray | bool" = True) -> None:
        """Writes consecutive words from address `start` on; the caller has checked the range."""
        span = slice(start, start + len(words))
        self.words[lane, span], self.valid[lane, span], self.maker[lane, span] = words, valid, index

    def describe(self, lane: int, address: int) -> str:
        """Why the word at an address is not valid."""
        maker = self.maker[lane, address]
        if maker < 0:
            return f"word {address} of lane {lane}'s {self.name} memory was never written"
        return f"word {address} of lane {lane}'s {self.name} memory: instruction {maker} made it of words never written"


class WeightRing:
    """The ring of weight words.

    Members
    -------
    words: uint8, places × bytes of a stored word; depth places, or more once a longer load has streamed through.
    weights: int16, places × To × Ti, what the lanes multiply codes by (`WeightCode.multiplicands`).
    written, released: unbounded counters; word n lies at n mod places.
    """

    def __init__(self, geometry: Geometry) -> None:
        self.geometry, self.depth = geometry, geometry.weight_depth
        self.written = self.released = 0
        self._resize(self.depth)

    def _resize(self, size: int) -> None:
        self.words = np.zeros((size, self.geometry.weight_word_bits // 8), np.uint8)
        self.weights = np.zeros((size, self.geometry.tile_filters, self.geometry.word_channels), np.int16)

    def append(self, words: np.ndarray) -> None:
        if len(words) > len(self.words):  # only into an empty ring: they stream
            self._resize(len(words))
        places = (self.written + np.arange(len(words))) % len(self.words)
        self.words[places] = words
        self.weights[places] = stored_weights(self.geometry, words)
        self.written += len(words)

    def run(self, start: int, count: int) -> np.ndarray:
        """`weights` of `count` words from the unbounded number `start` on."""
        return self.weights[(start + np.arange(count)) % len(self.words)]


def stored_weights(geometry: Geometry, words: np.ndarray) -> np.ndarray:
    """What lanes multiply codes by, int16 words × To × Ti, of stored weight words (uint8, words × bytes)."""
    bits = np.unpackbits(words, axis=1, bitorder="little")
    channels = geometry.word_channels
    result = np.empty((len(words), geometry.tile_filters, channels), np.int16)
    position = 0
    for lane, kind in enumerate(geometry.lanes):
        width = kind.weight_bits
        field = bits[:, position : position + channels * width].reshape(len(words), channels, width)
        codes = (field.astype(np.int64) << np.arange(width)).sum(axis=2)
        result[:, lane] = np.array(kind.code.multiplicands, np.int16)[codes]
        position += channels * width
    return result


class ConstantRing:
    """The ring of requantization constants.

    Members
    -------
    multiplier, offset, bias: int64, tiles × To in lane order; offset is the multiple of Σq, 0, 8 or 128.
    written, released: unbounded counters of tiles.
    """

    def __init__(self, geometry: Geometry) -> None:
        self.depth = geometry.constant_tiles
        lanes, rows = geometry.tile_filters, geometry.drain_cycles
        self.multiplier, self.offset, self.bias = (np.zeros((self.depth, lanes), np.int64) for _ in range(3))
        self.order = [unit * rows + row for row in range(rows) for unit in range(geometry.post_units)]
        self.tile_bytes = lanes * CONSTANT_BITS // 8
        self.written = self.released = 0

    def append(self, load: Numbered[LoadConstants], data: bytes) -> None:
        """Appends one tile of constants, in drain order."""
        place = self.written % self.depth
        size = CONSTANT_BITS // 8
        for number, lane in enumerate(self.order):
            word = int.from_bytes(data[number * size : (number + 1) * size], "little")
            fields = unpack(CONSTANT_LAYOUT, word)
            if fields["offset"] not in _OFFSETS:
                load.fail("address", f"the constants of filter lane {lane} have offset code {fields['offset']}")
            self.multiplier[place, lane] = fields["multiplier"]
            self.offset[place, lane] = _OFFSETS[fields["offset"]]
            self.bias[place, lane] = fields["bias"]
        self.written += 1


_OFFSETS = {int(OffsetCode.NONE): 0, int(OffsetCode.EIGHT): 8, int(OffsetCode.ONE_HUNDRED_TWENTY_EIGHT): 128}


class Tokens:
    """The counters of pending tokens, by `isa.Token`."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(Token, 0)

    def check(self, numbered: Numbered[Instruction]) -> None:
        """Masks may name only channels of the instruction's engine."""
        instruction, engine = numbered.instruction, numbered.instruction.engine
        for field, named, legal in (
            ("wait", instruction.wait, [token for token in Token if token.target is engine]),
            ("signal", instruction.signal, [token for token in Token if token.source is engine]),
        ):
            names = ", ".join(token.name for token in legal) or "none"
            numbered.need(
                named.issubset(legal), field, f"names a channel that {engine.name} may not ({names} legal)"
            )

    def take(self, numbered: Numbered[Instruction]) -> None:
        for token in sorted(numbered.instruction.wait):
            numbered.need(
                self.counts[token] > 0, "wait", f"no {token.name} token is pending: in program order this never starts"
            )
            self.counts[token] -= 1

    def give(self, numbered: Numbered[Instruction]) -> None:
        for token in sorted(numbered.instruction.signal):
            numbered.need(
                self.counts[token] < TOKEN_LIMIT, "signal", f"more than {TOKEN_LIMIT} {token.name} tokens are pending"
            )
            self.counts[token] += 1


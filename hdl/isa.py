"""The instruction set: the one source of its encoding, for the compiler, the RTL, the interpreter and the docs.

An instruction is 64 bytes, little-endian, fields packed from bit 0 upwards in the order listed here; unused bits are
zero. `docs/architecture.md` explains the machine that executes them. Everything here is plain Python.
"""

import dataclasses
import enum
from collections.abc import Mapping

INSTRUCTION_BYTES = 64
INSTRUCTION_BITS = 8 * INSTRUCTION_BYTES
OPCODE_BITS = 4
LAYER_BITS = 12
"""Bits of a layer's number, in instructions and wherever an error or the log names a layer."""
ENGINE_BITS = 4
ERROR_BITS = 8
TOKEN_MASK_BITS = 8
"""Bits of a mask of tokens, one for each channel and one that is none's."""
FETCH_BITS = 64
"""Bits of an instruction that FETCH hands out in a cycle."""
FETCH_CYCLES = INSTRUCTION_BITS // FETCH_BITS
"""Cycles at least between two instructions."""
QUEUE_INSTRUCTIONS = 16
"""Instructions in the queue of an engine, beside the one that the engine is offered."""
MAXIMUM_PASSES = 4
MAXIMUM_SHIFT = 47
DIGIT_BITS = 4
"""Bits of one digit of what is wider than a slot."""
TOKEN_LIMIT = 255
"""Tokens that a channel can hold."""
CRC_REGISTERS = 8
"""Layers whose STOREs may take turns, each with a CRC-32 of its own in every group of pixel lanes."""
MAP_ADDRESS_BITS = 18
"""Of a word of the map memory, in instructions."""
LOG_RECORD_BYTES = 16
"""A record of the log, four words of 32 bits: CRC-32, layer, words, cycle."""


class Engine(enum.IntEnum):
    """Units that report errors; all but CONTROL and FETCH execute instructions."""

    CONTROL = 0
    FETCH = 1
    WEIGHTS = 2
    MAPS = 3
    COMPUTE = 4
    STORE = 5


class Opcode(enum.IntEnum):
    LOAD_WEIGHTS = 1
    LOAD_CONSTANTS = 2
    LOAD_MAP = 3
    COMPUTE = 4
    STORE = 5
    FINISH = 6


ENGINE_OF = {
    Opcode.LOAD_WEIGHTS: Engine.WEIGHTS,
    Opcode.LOAD_CONSTANTS: Engine.WEIGHTS,
    Opcode.LOAD_MAP: Engine.MAPS,
    Opcode.COMPUTE: Engine.COMPUTE,
    Opcode.STORE: Engine.STORE,
    Opcode.FINISH: Engine.STORE,
}


class Token(enum.IntEnum):
    """Dependency channels: bit n of a `wait` or `signal` mask. The value is a counter of pending tokens."""

    INPUT_READY = 0
    """MAPS → COMPUTE: every word of a LOAD_MAP into the activation memory, and of all before it, is written."""
    INPUT_FREE = 1
    """COMPUTE → MAPS: the last activation of a COMPUTE is read."""
    RESIDUAL_READY = 2
    """MAPS → COMPUTE: every word of a LOAD_MAP into the residual memory is written."""
    RESIDUAL_FREE = 3
    """COMPUTE → MAPS: the last residual of a COMPUTE is read (when its last output is written)."""
    OUTPUT_READY = 4
    """COMPUTE → STORE: the last output word of a COMPUTE is written."""
    OUTPUT_FREE = 5
    """STORE → COMPUTE: the last output word of a STORE, and of all before it, is read."""
    STORED = 6
    """STORE → MAPS: the memory has acknowledged every write of a STORE and of all before it."""

    @property
    def source(self) -> Engine:
        return _TOKEN_ENDS[self][0]

    @property
    def target(self) -> Engine:
        return _TOKEN_ENDS[self][1]


_TOKEN_ENDS = {
    Token.INPUT_READY: (Engine.MAPS, Engine.COMPUTE),
    Token.INPUT_FREE: (Engine.COMPUTE, Engine.MAPS),
    Token.RESIDUAL_READY: (Engine.MAPS, Engine.COMPUTE),
    Token.RESIDUAL_FREE: (Engine.COMPUTE, Engine.MAPS),
    Token.OUTPUT_READY: (Engine.COMPUTE, Engine.STORE),
    Token.OUTPUT_FREE: (Engine.STORE, Engine.COMPUTE),
    Token.STORED: (Engine.STORE, Engine.MAPS),
}


class Region(enum.IntEnum):
    """What a DDR address is relative to: each region has a base register."""

    PARAMETERS = 0
    INPUT = 1
    OUTPUT = 2
    WORKSPACE = 3


class Mode(enum.IntEnum):
    """What COMPUTE does with a window."""

    CONVOLVE = 0
    MAXIMUM = 1


class OffsetCode(enum.IntEnum):
    """The multiple of Σq that the requantizer subtracts: what offset-binary weights owe."""

    NONE = 0
    EIGHT = 1
    ONE_HUNDRED_TWENTY_EIGHT = 2


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of a packed word: its name, its width, and what it means."""

    name: str
    width: int
    doc: str
    signed: bool = False

    @property
    def range(self) -> tuple[int, int]:
        if self.signed:
            return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1
        return 0, (1 << self.width) - 1


Layout = tuple[Field, ...]

COMMON: Layout = (
    Field("opcode", OPCODE_BITS, "an Opcode"),
    Field("layer", LAYER_BITS, "layer number, for error reports and the log"),
    Field("wait", TOKEN_MASK_BITS, "tokens taken, one of each set bit, before the instruction starts"),
    Field(
        "signal", TOKEN_MASK_BITS,
        "tokens given, one of each set bit, when the instruction reaches the point the token names",
    ),
)

_ADDRESS: Layout = (
    Field("region", 2, "a Region"),
    Field("address", 32, "bytes from the region's base"),
)

RING: Layout = (
    Field("chip_address", MAP_ADDRESS_BITS, "word of the map memory of the first chunk"),
    Field("chip_plane_stride", MAP_ADDRESS_BITS, "its words between planes"),
    Field("chip_chunk_stride", MAP_ADDRESS_BITS, "its words between chunks"),
    Field("ring_end", MAP_ADDRESS_BITS, "the word after the ring's last one"),
    Field("ring_words", MAP_ADDRESS_BITS, "words of the ring"),
)
"""Where the chunks of LOAD_MAP or STORE lie in the map memory, in its words: in a ring of rows. A chunk that would
begin at `ring_end` or after it begins `ring_words` before."""

LOAD_WEIGHTS: Layout = (
    *COMMON,
    *_ADDRESS,
    Field("port_stride", 32, "bytes from one weight port's stream to the next one's"),
    Field("words", 16, "weight words to append to the ring; at least 1"),
)

LOAD_CONSTANTS: Layout = (
    *COMMON,
    *_ADDRESS,
    Field("tiles", 8, "tiles of constants to append to the ring of constants; at least 1"),
)

LOAD_MAP: Layout = (
    *COMMON,
    *_ADDRESS,
    Field("planes", 12, "channel words; at least 1"),
    Field("plane_stride", 28, "bytes between planes in DDR"),
    Field("chunks", 12, "contiguous pieces of a plane; at least 1"),
    Field("chunk_stride", 24, "bytes between chunks in DDR"),
    Field("chunk_words", 20, "activation words of a chunk; at least 1; all chunks make whole rows"),
    Field("row_words", 12, "activation words of a row; at least 1"),
    Field("pad_top", 6, "zero rows before the rows read"),
    Field("pad_bottom", 6, "zero rows after them"),
    Field("lane_step", 12, "rows between the first row of a pixel lane and that of the next one; its group's first: 0"),
    Field("lane_rows", 12, "rows a pixel lane takes from the padded plane, from its first row on; at least 1"),
    Field("lane_mask", 16, "pixel lanes that take anything, all of one group; not 0"),
    Field("residual", 1, "1: into the residual memory, 0: into the activation memory"),
    Field("base", 16, "local address of a lane's first word"),
    Field("plane_pitch", 16, "local addresses between planes"),
    # A depthwise 3×3 convolution on the way: what is read are the rows of its input, and its rows are what the lanes
    # take, `row_words` to a row. Codes are requantized like those of COMPUTE.
    Field("depthwise", 1, "1: the planes pass the depthwise unit; the fields below are for it and otherwise 0"),
    Field("kernel_base", 12, "row of the kernel memory of the first plane's kernels; those of the others follow"),
    Field("source_words", 12, "activation words of a row as read"),
    Field("source_top", 1, "zero rows before the rows read"),
    Field("source_bottom", 1, "zero rows after them"),
    Field("source_left", 1, "zero columns before the columns read"),
    Field("source_right", 1, "zero columns after them"),
    Field("source_stride", 2, "rows and columns between windows: 1 or 2"),
    Field("shift", 6, f"S, 0 … {MAXIMUM_SHIFT}"),
    Field("maximum", 8, "2^bits − 1 of the output"),
    Field("kernels", 1, "1: the words read are kernels, written to the group's kernel memory from row `base` on"),
    Field("on_chip", 1, "1: the map memory is read, not DDR; the fields below are for it and otherwise 0"),
    *RING,
)

COMPUTE: Layout = (
    *COMMON,
    Field("mode", 1, "a Mode"),
    # Loop nest, outermost first: y, x, pass, kernel_y, kernel_x, channel. Counts are at least 1.
    Field("outputs_y", 12, "output rows of every pixel lane"),
    Field("outputs_x", 12, "output columns"),
    Field("passes", 3, "1 … 4: digit passes (CONVOLVE), channel words of a pixel (MAXIMUM)"),
    Field("kernel_y", 8, "rows of the window"),
    Field("kernel_x", 8, "columns of the window"),
    Field("channels", 12, "channel words of a window position (1 in MAXIMUM)"),
    # The activation address: `base` at the first step; afterwards the delta of the one loop that advances
    # (those inside it wrap to 0) is added, modulo 2^16.
    Field("base", 16, "local address of the first step"),
    Field("delta_channel", 16, "address change when channel advances", signed=True),
    Field("delta_kernel_x", 16, "… when kernel_x advances and channel wraps", signed=True),
    Field("delta_kernel_y", 16, "… when kernel_y advances and those inside wrap", signed=True),
    Field("delta_pass_1", 16, "… when pass 1 begins", signed=True),
    Field("delta_pass_2", 16, "… when pass 2 begins", signed=True),
    Field("delta_pass_3", 16, "… when pass 3 begins", signed=True),
    Field("delta_x", 16, "… when x advances", signed=True),
    Field("delta_y", 16, "… when y advances", signed=True),
    # Column x · stride_x + kernel_x − pad_left outside 0 … width − 1 reads as zero.
    Field("pad_left", 6, "zero columns before the row held in memory"),
    Field("stride_x", 6, "columns between windows"),
    Field("width", 12, "columns of the row held in memory"),
    # Passes. Bit p of each mask is pass p's.
    Field("shift_mask", 4, "multiply accumulators and Σq by 16 before the pass's first step"),
    Field("count_mask", 4, "add the pass's activations to Σq"),
    Field("weight_digit_mask", 4, "the pass reads the second run of weight_words words, not the first"),
    Field("final_mask", 4, "the pass reads its weight words for the last time in a group"),
    Field("weight_offset", 13, "weight words from the ring's oldest word to the first run; 0 with release"),
    Field("weight_words", 14, "weight words of a run: kernel_y · kernel_x · channels"),
    Field("release", 1, "the last group frees weight words as final passes read them"),
    Field("constant_offset", 6, "tiles from the oldest tile of constants; 0 with release_constants"),
    Field("release_constants", 1, "frees the oldest tile of constants after the last output"),
    # Requantization: y = clip((acc·M + r·R + B) >> shift, 0, maximum).
    Field("shift", 6, f"S, 0 … {MAXIMUM_SHIFT}"),
    Field("maximum", 8, "2^bits − 1 of the output"),
    Field("output_base", 12, "output memory address of the first pixel's first word"),
    Field("output_pitch", 12, "output memory addresses between planes (digit · tile words + word)"),
    Field("output_digits", 1, "0: one word of codes; 1: a word of upper and one of lower 4-bit digits"),
    Field("residual", 1, "1: add r·R"),
    Field("residual_base", 12, "residual memory address of the first pixel's first word"),
    Field("residual_pitch", 12, "residual memory addresses between planes (digit · tile words + word)"),
    Field("residual_digits", 1, "0: r is one code; 1: r is an upper and a lower 4-bit digit"),
    Field("residual_scale", 18, "R", signed=True),
)

STORE: Layout = (
    *COMMON,
    *_ADDRESS,
    Field("planes", 8, "planes of the output memory to store; at least 1"),
    Field("plane_stride", 28, "bytes between planes in DDR"),
    Field("chunks", 12, "contiguous pieces of a plane in DDR; contiguous in the output memory; at least 1"),
    Field("chunk_stride", 24, "bytes between chunks in DDR"),
    Field("chunk_words", 20, "activation words of a chunk; at least 1"),
    Field("lane", 4, "pixel lane whose output memory is read"),
    Field("base", 12, "output memory address of the first word"),
    Field("plane_pitch", 12, "output memory addresses between planes"),
    Field("crc_register", 3, "the CRC register that the words go to, of the CRC_REGISTERS of the lane's group"),
    Field("crc_start", 1, "start a new CRC-32 in it with this STORE"),
    Field("crc_emit", 1, "after this STORE write a log record: CRC-32, layer, words, cycle (4 × 32 bits)"),
    Field("crc_slot", 12, "16-byte slot of the log that the record goes to"),
    Field("on_chip", 1, "1: the map memory is written, too; the fields below are for it and otherwise 0"),
    Field("chip_only", 1, "1: it is written alone, and DDR is not"),
    *RING,
)

FINISH: Layout = COMMON

LAYOUTS: Mapping[Opcode, Layout] = {
    Opcode.LOAD_WEIGHTS: LOAD_WEIGHTS,
    Opcode.LOAD_CONSTANTS: LOAD_CONSTANTS,
    Opcode.LOAD_MAP: LOAD_MAP,
    Opcode.COMPUTE: COMPUTE,
    Opcode.STORE: STORE,
    Opcode.FINISH: FINISH,
}

CONSTANT_LAYOUT: Layout = (
    Field("multiplier", 18, "M", signed=True),
    Field("offset", 2, "an OffsetCode"),
    Field("bias", 44, "B, with the half of rounding already added", signed=True),
)
"""A filter's requantization constants, 64 bits."""

KERNEL_SIZE = 3
"""Rows and columns of the depthwise unit's window."""
KERNEL_TAPS = KERNEL_SIZE**2
KERNEL_LAYOUT: Layout = (
    *(
        Field(f"weight_{n}", 8, f"weight of row {n // KERNEL_SIZE}, column {n % KERNEL_SIZE}", signed=True)
        for n in range(KERNEL_TAPS)
    ),
    *CONSTANT_LAYOUT,
)
"""A channel's kernel and constants (offset NONE) in the depthwise unit. A channel word's kernels are `KERNEL_WORDS`
activation words: slot c of word n is digit n of channel c's kernel, lowest digit first."""
KERNEL_WORDS = sum(field.width for field in KERNEL_LAYOUT) // DIGIT_BITS
DEPTHWISE_KERNELS = 60
"""Channel words whose kernels the depthwise unit holds."""
KERNEL_ROWS = DEPTHWISE_KERNELS * KERNEL_WORDS
"""Rows of its kernel memory."""
DEPTHWISE_COLUMNS = 512
"""Longest row, in words and with its zero columns, of a map that passes the unit."""


class Error(enum.IntEnum):
    """Codes of the error register."""

    NONE = 0
    READ_RESPONSE = 1
    """A read answered SLVERR or DECERR."""
    WRITE_RESPONSE = 2
    """A write answered SLVERR or DECERR."""
    OPCODE = 3
    """An instruction's opcode is unknown."""
    FIELD = 4
    """An instruction's field is out of range, or a token mask names a channel that is not the engine's."""
    STOPPED = 5
    """The host asked for a stop."""
    DEADLOCK = 6
    """No engine made progress for as many cycles as the watchdog register allows."""
    TOKENS = 7
    """A token counter would have passed 255."""
    PROGRAM = 8
    """The program ended without FINISH, or an instruction followed it."""


def pack(layout: Layout, values: Mapping[str, int], *, what: str = "instruction") -> int:
    """Packs named values into an integer, first field least significant.

    Raises
    ------
    ValueError: a value is missing, unknown, or does not fit its field.
    """
    if unknown := set(values) - {field.name for field in layout}:
        raise ValueError(f"{what} has no field {sorted(unknown)[0]!r}")
    word = position = 0
    for field in layout:
        if field.name not in values:
            raise ValueError(f"{what} lacks field {field.name!r}")
        value = int(values[field.name])
        low, high = field.range
        if not low <= value <= high:
            raise ValueError(f"{what} field {field.name} must be {low} … {high}, not {value}")
        word |= (value & ((1 << field.width) - 1)) << position
        position += field.width
    return word


def unpack(layout: Layout, word: int) -> dict[str, int]:
    """The inverse of `pack`."""
    values = {}
    for field in layout:
        value = word & ((1 << field.width) - 1)
        if field.signed and value >> (field.width - 1):
            value -= 1 << field.width
        values[field.name] = value
        word >>= field.width
    return values


assert all(sum(field.width for field in layout) <= INSTRUCTION_BITS for layout in LAYOUTS.values())

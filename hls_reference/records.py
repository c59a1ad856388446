"""The layer table's record, the operators and the status codes: one source for layer_table.h and Python."""

import enum

TABLE_MAGIC = 0x494D4C54
"""First word of a table."""
TABLE_HEADER = 4
"""Words before the first record: magic, the build's signature, layers, 0."""
LAYER_WORDS = 32
"""Words of a record; those after the last field are 0."""

FIELDS: tuple[tuple[str, str], ...] = (
    ("operation", "an Operation"),
    ("input", "byte address of the input map"),
    ("output", "byte address of the output map"),
    ("residual", "byte address of the identity's map"),
    ("weights", "byte address among the weights"),
    ("constants", "byte address among the constants"),
    ("input_beats", "beats of TN channels of the input"),
    ("input_rows", "rows of the input"),
    ("input_columns", "columns of the input"),
    ("input_digits", "1, or 2 where the input is wider than a slot"),
    ("output_beats", "beats of TN channels of the output"),
    ("output_rows", "rows of the output"),
    ("output_columns", "columns of the output"),
    ("output_digits", "1, or 2 where the output is wider than a slot"),
    ("kernel_rows", "rows of the window"),
    ("kernel_columns", "columns of the window"),
    ("stride_rows", "rows from window to window"),
    ("stride_columns", "columns from window to window"),
    ("pad_top", "rows of zeros above the input"),
    ("pad_left", "columns of zeros left of the input"),
    ("tile_rows", "output rows of a tile"),
    ("tile_columns", "output columns of a tile"),
    ("filter_tiles", "tiles of TM filters"),
    ("shift", "S"),
    ("maximum", "largest output code"),
    ("residual_beats", "beats of TN channels of the identity, 0 where there is none"),
    ("residual_digits", "1, or 2 where the identity is wider than a slot"),
    ("residual_multiplier", "R"),
)
ADDRESSES = {"input": "beat", "output": "beat", "residual": "beat", "weights": "beat", "constants": "word"}
"""Fields that are byte addresses, by the unit that the kernels count in."""


class Operation(enum.IntEnum):
    CONVOLUTION = 1
    DEPTHWISE = 2
    LINEAR = 3
    MAXIMUM_POOL = 4


class Status(enum.IntEnum):
    """What `top` returns in its low 8 bits; the layer is above them."""

    OK = 0
    BAD_TABLE = 1
    UNKNOWN_OPERATOR = 2
    MISALIGNED = 3
    BAD_FIELD = 4
    TILE_TOO_LARGE = 5
    OUT_OF_RANGE = 6


REMEDIES = {
    Status.BAD_TABLE: "the table is no table, or one of another build: write both with one `intramix hls`",
    Status.UNKNOWN_OPERATOR: f"its operation is none of {', '.join(f'{op.value} ({op.name})' for op in Operation)}",
    Status.MISALIGNED: "an address is not that of a whole beat (constants: of 16 bytes); align the buffers",
    Status.BAD_FIELD: "its sizes disagree or a field is out of range; write the table again",
    Status.TILE_TOO_LARGE: "its tile does not fit the buffers; choose smaller tile_rows and tile_columns, or a larger "
    "input_depth, taps or vector_words",
    Status.OUT_OF_RANGE: "a map, its weights or its constants end beyond the memory granted; grant more, or correct "
    "the address",
}


def status_message(value: int, names: tuple[str, ...] = ()) -> str:
    """What a value that `top` returned means, in words.

    Parameters
    ----------
    names: of the table's layers.
    """
    code, layer = value & 0xFF, value >> 8
    if code not in Status._value2member_map_:
        return f"top returned {value}, which is no status: the kernels are not those of this Intramix"
    status = Status(code)
    if status is Status.OK:
        return "all layers ran"
    where = "" if status is Status.BAD_TABLE else f"layer {names[layer]!r}" if layer < len(names) else f"layer {layer}"
    return f"top returned {status.name}: {where + ': ' if where else ''}{REMEDIES[status]}"

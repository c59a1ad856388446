"""Instructions as numbers by field: what benches need that write words which no `hdl.instructions` class can hold, such
as masks of channels that do not exist; and another reading of the tables, to compare those classes with."""

from intramix.hdl.isa import INSTRUCTION_BYTES, LAYOUTS, Opcode, pack, unpack


def encode(opcode: Opcode, /, **fields: int) -> bytes:
    """The 64 bytes of an instruction; fields not given are 0."""
    layout = LAYOUTS[opcode]
    values = dict.fromkeys((field.name for field in layout), 0) | {"opcode": int(opcode)} | fields
    return pack(layout, values, what=opcode.name).to_bytes(INSTRUCTION_BYTES, "little")


def decode(code: bytes) -> tuple[Opcode, dict[str, int]]:
    """The opcode and the fields of an instruction."""
    word = int.from_bytes(code, "little")
    opcode = Opcode(word & 0xF)
    return opcode, unpack(LAYOUTS[opcode], word)

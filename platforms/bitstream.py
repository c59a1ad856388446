"""Bitstreams: the .bit that tools write, and the .bin that Linux' FPGA manager takes."""

import dataclasses
import struct

import numpy as np

from .errors import BitstreamError

_FIELDS = {b"a": "design", b"b": "part", b"c": "date", b"d": "time"}


@dataclasses.dataclass(frozen=True)
class Bitstream:
    """A .bit file.

    Members
    -------
    design, part, date, time: from its header, as the tool wrote them.
    data: the configuration words, big-endian, as they are shifted in.
    """

    design: str
    part: str
    date: str
    time: str
    data: bytes

    def to_bin(self) -> bytes:
        """The words as the FPGA manager of a Zynq wants them: bytes of each 32-bit word reversed, no header."""
        return np.frombuffer(self.data, ">u4").astype("<u4").tobytes()


def parse_bit(content: bytes) -> Bitstream:
    """Reads a .bit file.

    Its layout: a 2-byte length and that many bytes, the number 1 in 2 bytes, fields `a` … `d` (key, 2-byte length, text
    that ends with 0), then `e`, a 4-byte length and the configuration.

    Raises
    ------
    BitstreamError: the file is no bitstream, or it is cut short.
    """
    position = 0

    def take(count: int, what: str) -> bytes:
        nonlocal position
        if position + count > len(content):
            raise BitstreamError(f"bitstream is cut short: {what} should end at byte {position + count}, "
                             f"the file has {len(content)}")  # fmt: skip
        position += count
        return content[position - count : position]

    (length,) = struct.unpack(">H", take(2, "the length of the preamble"))
    if length != 9:
        raise BitstreamError("not a bitstream: a .bit file starts with 00 09")
    take(length, "the preamble")
    if take(2, "the header's version") != b"\x00\x01":
        raise BitstreamError("not a bitstream: the preamble is not followed by 00 01")
    fields = dict.fromkeys(_FIELDS.values(), "")
    while (key := take(1, "a field's key")) != b"e":
        if key not in _FIELDS:
            raise BitstreamError(f"not a bitstream: unknown field {key!r} at byte {position - 1}")
        (length,) = struct.unpack(">H", take(2, f"the length of field {key.decode()}"))
        fields[_FIELDS[key]] = take(length, f"field {key.decode()}").rstrip(b"\0").decode("ascii", "replace")
    (length,) = struct.unpack(">I", take(4, "the length of the configuration"))
    data = take(length, "the configuration")
    if position != len(content):
        raise BitstreamError(f"bitstream has {len(content) - position} bytes after its configuration")
    if length % 4:
        raise BitstreamError(f"bitstream's configuration has {length} bytes, which are no whole 32-bit words")
    return Bitstream(**fields, data=data)

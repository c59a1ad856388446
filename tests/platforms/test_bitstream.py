"""The .bit reader on files written by the format's description, and the .bin that the FPGA manager wants."""


import pytest

from intramix.platforms.bitstream import parse_bit
from intramix.platforms.errors import BitstreamError
from tests.support.bitstreams import PREAMBLE, WORDS, bit


def test_header_and_bin():
    bitstream = parse_bit(bit())
    assert bitstream.design.startswith("intramix;")
    assert (bitstream.part, bitstream.date, bitstream.time) == ("7z020clg400", "2024/01/31", "12:34:56")
    assert bitstream.to_bin()[:8] == bytes([4, 3, 2, 1, 8, 7, 6, 5])
    assert len(bitstream.to_bin()) == len(WORDS)


def test_every_truncation_is_told():
    whole = bit()
    for length in range(len(whole)):
        with pytest.raises(BitstreamError, match=rf"cut short: .* the file has {length}$"):
            parse_bit(whole[:length])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\3\4" + bytes(100), "not a bitstream: a .bit file starts with 00 09"),
        (PREAMBLE[:-1] + b"\2" + bytes(50), "the preamble is not followed by 00 01"),
        (PREAMBLE + b"x" + bytes(50), "unknown field b'x' at byte 13"),
        (bit() + b"\0\0", "2 bytes after its configuration"),
        (bit(WORDS[:-1]), "39 bytes, which are no whole 32-bit words"),
    ],
)
def test_other_files(content, message):
    with pytest.raises(BitstreamError, match=message):
        parse_bit(content)

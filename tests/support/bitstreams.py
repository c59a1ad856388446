"""Bitstream files as Vivado writes them."""

import struct

WORDS = bytes(range(1, 41))
PREAMBLE = bytes.fromhex("0009 0ff0 0ff0 0ff0 0ff0 00 0001")


def field(key, text):
    return key.encode() + struct.pack(">H", len(text) + 1) + text.encode() + b"\0"


def bit(data=WORDS):
    header = field("a", "intramix;UserID=0XFFFFFFFF;Version=2023.2") + field("b", "7z020clg400")
    header += field("c", "2024/01/31") + field("d", "12:34:56")
    return PREAMBLE + header + b"e" + struct.pack(">I", len(data)) + data

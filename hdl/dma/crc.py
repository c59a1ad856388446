"""The CRC-32 of what layers store: one register for each layer of those that take turns."""

from amaranth.hdl import Cat, Module, Mux, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..compute.pipeline import delay
from ..isa import CRC_REGISTERS

CRC_BITS = 32
_POLYNOMIAL = 0xEDB88320
"""Of CRC-32/ISO-HDLC (zlib's), bits reflected."""


def update_masks(word_bits: int) -> list[int]:
    """Which bits of the register (bit n) and of a word (bit 32 + n, taken lowest first) each new bit of the register is
    the parity of."""
    bits = [1 << index for index in range(CRC_BITS)]
    for index in range(word_bits):
        feedback = bits[0] ^ (1 << (CRC_BITS + index))
        shifted = [*bits[1:], 0]
        bits = [bit ^ feedback if _POLYNOMIAL >> place & 1 else bit for place, bit in enumerate(shifted)]
    return bits


class CrcRegisters(wiring.Component):
    """CRC-32 and number of words, `CRC_REGISTERS` of both; one word a cycle, added in the cycle after it is given.

    Members
    -------
    register: In, the one that a word is for, or that is read.
    word, valid: In, a word that is added.
    start: In, with `valid`: it is the first one.
    crc, words: Out, of the register of the cycle before, without the word of that cycle; undefined before its first
        start.
    """

    def __init__(self, *, word_bits: int) -> None:
        self._word_bits = word_bits
        super().__init__({
            "register": In(range(CRC_REGISTERS)),
            "word": In(word_bits),
            "valid": In(1),
            "start": In(1),
            "crc": Out(CRC_BITS),
            "words": Out(32),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        entry = data.StructLayout({"remainder": unsigned(CRC_BITS), "words": unsigned(32)})
        m.submodules.memory = memory = Memory(shape=entry, depth=CRC_REGISTERS, init=[])
        read, write = memory.read_port(domain="comb"), memory.write_port()
        register, word, valid, start = (
            delay(m, signal, 1, name=name, reset=name == "valid")
            for name, signal in (
                ("register", self.register), ("word", self.word), ("valid", self.valid), ("start", self.start)
            )
        )
        remainder = Mux(start, (1 << CRC_BITS) - 1, read.data.remainder)
        operand = Cat(remainder, word)
        m.d.comb += [
            read.addr.eq(register),
            write.addr.eq(register),
            write.en.eq(valid),
            write.data.remainder.eq(Cat((operand & mask).xor() for mask in update_masks(self._word_bits))),
            write.data.words.eq(Mux(start, 0, read.data.words) + 1),
            self.crc.eq(~read.data.remainder),
            self.words.eq(read.data.words),
        ]
        return m

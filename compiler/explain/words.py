"""The words that an explanation names, read from memory: codes, weights, constants."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ...hdl.geometry import Geometry, LaneClass
from ...hdl.isa import CONSTANT_LAYOUT, DIGIT_BITS, KERNEL_LAYOUT, KERNEL_TAPS, OffsetCode, unpack
from .places import BitField, Convolved, DdrWord, Loaded, Source, Unwritten, Zero
from .rings import Constants, WeightWord

Memory = Mapping[str, "bytes | bytearray | np.ndarray"]
"""Bytes of each region, by its name."""

_OFFSETS = {OffsetCode.NONE: 0, OffsetCode.EIGHT: 8, OffsetCode.ONE_HUNDRED_TWENTY_EIGHT: 128}


class MissingWord(ValueError):
    """A word that a value is made of comes from nowhere, or lies outside memory: there is nothing to compute with."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConstantValues:
    """A filter's constants: M, the multiple of Σq that is subtracted, B with half."""

    multiplier: int
    owed: int
    bias: int


class WordReader:
    """Reads words from memory.

    Raises
    ------
    MissingWord: from all methods.
    """

    def __init__(self, geometry: Geometry, memory: Memory) -> None:
        self.geometry, self.memory = geometry, memory

    def slots(self, source: Source) -> tuple[int, ...]:
        """The Ti codes of a word in a lane's memory."""
        match source:
            case Loaded():
                return self.codes(self.word(source.word))
            case Convolved():
                return self.convolved(source)
            case Zero():
                return (0,) * self.geometry.word_channels
            case Unwritten():
                raise MissingWord("a word is read that no instruction wrote")

    def codes(self, word: int) -> tuple[int, ...]:
        bits = self.geometry.activation_bits
        return tuple(word >> slot * bits & (1 << bits) - 1 for slot in range(self.geometry.word_channels))

    def convolved(self, source: Convolved) -> tuple[int, ...]:
        """What the depthwise unit makes of nine words."""
        taps = [self.codes(0 if tap is None else self.word(tap)) for tap in source.taps]
        digits = [self.codes(self.word(_loaded(each, "a kernel"))) for each in source.kernel]
        result = []
        for channel in range(self.geometry.word_channels):
            packed = sum((word[channel] & 15) << DIGIT_BITS * place for place, word in enumerate(digits))
            kernel = unpack(KERNEL_LAYOUT, packed)
            total = sum(taps[tap][channel] * kernel[f"weight_{tap}"] for tap in range(KERNEL_TAPS))
            shifted = (total * kernel["multiplier"] + kernel["bias"]) >> source.shift
            result.append(min(max(shifted, 0), source.maximum))
        return tuple(result)

    def weights(self, weights: WeightWord, bits: BitField, lane: LaneClass) -> tuple[int, ...]:
        """What a filter lane multiplies the Ti codes of a step by."""
        if weights.load is None:
            raise MissingWord("a weight word is read that no instruction loaded")
        word = position = 0
        for part in weights.slices:
            word |= self.word(part) << position
            position += 8 * part.size
        field, width = _field(word, bits), lane.weight_bits
        stored = [field >> width * channel & (1 << width) - 1 for channel in range(self.geometry.word_channels)]
        return tuple(lane.code.multiplicands[code] for code in stored)

    def word(self, word: DdrWord) -> int:
        """The bytes of a word as a little-endian number."""
        data = self.memory.get(word.region, b"")
        if word.address + word.size > len(data):
            raise MissingWord(f"{word} lies outside memory: {word.region} has {len(data)} bytes")
        return int.from_bytes(bytes(data[word.address : word.address + word.size]), "little")

    def constants(self, constants: Constants) -> ConstantValues:
        """The constants of a filter."""
        fields = unpack(CONSTANT_LAYOUT, self.word(_loaded(constants.source, "the constants")))
        if fields["offset"] not in list(OffsetCode):
            raise MissingWord(f"the constants have offset code {fields['offset']}, which means nothing")
        owed = _OFFSETS[OffsetCode(fields["offset"])]
        return ConstantValues(multiplier=fields["multiplier"], owed=owed, bias=fields["bias"])

    def field(self, word: DdrWord, bits: BitField) -> int:
        """Some bits of a word."""
        return _field(self.word(word), bits)


def _loaded(source: Loaded | None, what: str) -> DdrWord:
    if source is None:
        raise MissingWord(f"{what} of the value were never loaded")
    return source.word


def _field(word: int, bits: BitField) -> int:
    return word >> bits.first & (1 << bits.width) - 1

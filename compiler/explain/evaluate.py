"""The value that the words named by an explanation make, computed from their bytes alone."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ...hdl.encoding import weight_of
from ...hdl.geometry import Geometry, LaneClass
from ...hdl.isa import (
    CONSTANT_LAYOUT,
    DIGIT_BITS,
    KERNEL_LAYOUT,
    KERNEL_TAPS,
    OffsetCode,
    unpack,
)  # fmt: skip
from .explanation import Explanation, WindowStep
from .places import BitField, Convolved, DdrWord, Loaded, Source, Unwritten, Zero

Memory = Mapping[str, "bytes | bytearray | np.ndarray"]
"""Bytes of each region, by its name."""

_OFFSETS = {OffsetCode.NONE: 0, OffsetCode.EIGHT: 8, OffsetCode.ONE_HUNDRED_TWENTY_EIGHT: 128}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A value and what it is made of.

    Members
    -------
    codes: by step of the explanation, the Ti codes of its word.
    weights: by step, the Ti integers that the filter lane multiplies them by; empty in a max pool.
    accumulator, activation_sum: Σ of stored weights times codes, and Σq; None in a max pool.
    multiplier, owed, bias: M, the multiple of Σq that is subtracted, B with half; None in a max pool.
    residual: r; 0 without.
    code: what these words make.
    stored: the code in memory.
    """

    codes: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[int, ...], ...]
    accumulator: int | None
    activation_sum: int | None
    multiplier: int | None
    owed: int | None
    bias: int | None
    residual: int
    code: int
    stored: int


class MissingWord(ValueError):
    """A word that the value is made of comes from nowhere, or lies outside memory: there is nothing to compute with."""


def evaluate(explanation: Explanation, geometry: Geometry, memory: Memory) -> Evaluation:
    """Computes an explained value from the bytes in memory.

    Parameters
    ----------
    memory: after a run that kept all maps; where memory was used again, what is there now is taken.

    Raises
    ------
    MissingWord: a word has no source, or its bytes are not in memory.
    """
    return _Evaluator(geometry, memory).evaluate(explanation)


class _Evaluator:
    def __init__(self, geometry: Geometry, memory: Memory) -> None:
        self.geometry, self.memory = geometry, memory

    def evaluate(self, e: Explanation) -> Evaluation:
        codes = tuple(self.slots(step.source) for step in e.steps)
        digits = [_field(self.word(digit.word), digit.bits) for digit in e.stored]
        stored = digits[0] if len(digits) == 1 else digits[0] << DIGIT_BITS | digits[1]
        if e.constants is None or e.weight_bits is None or e.lane_class is None:
            code = max(word[e.slot] for word in codes)
            return Evaluation(codes=codes, weights=(), accumulator=None, activation_sum=None, multiplier=None,
                              owed=None, bias=None, residual=0, code=code, stored=stored)  # fmt: skip
        weights = tuple(self.weights(step, e.weight_bits, e.lane_class) for step in e.steps)
        accumulator, count = self.sums(e, codes, weights)
        constants = unpack(CONSTANT_LAYOUT, self.word(_loaded(e.constants.source, "the constants")))
        if constants["offset"] not in list(OffsetCode):
            raise MissingWord(f"the constants have offset code {constants['offset']}, which means nothing")
        owed = _OFFSETS[OffsetCode(constants["offset"])]
        residual = 0
        for digit in e.residual:
            residual = residual << DIGIT_BITS | self.slots(digit.source)[e.slot]
        limit = 1 << (self.geometry.accumulator_bits - 1)
        held = (accumulator - owed * count + limit) % (2 * limit) - limit
        total = held * constants["multiplier"] + residual * e.compute.residual_scale + constants["bias"]
        code = min(max(total >> e.compute.shift, 0), e.compute.maximum)
        return Evaluation(codes=codes, weights=weights, accumulator=accumulator, activation_sum=count,
                          multiplier=constants["multiplier"], owed=owed, bias=constants["bias"], residual=residual,
                          code=code, stored=stored)  # fmt: skip

    def sums(
        self, e: Explanation, codes: tuple[tuple[int, ...], ...], weights: tuple[tuple[int, ...], ...]
    ) -> tuple[int, int]:
        """Accumulator and Σq, pass by pass."""
        accumulator = count = 0
        current = None
        for step, word, weight in zip(e.steps, codes, weights):
            if step.digit_pass != current:
                current = step.digit_pass
                if e.compute.shift_mask >> current & 1:
                    accumulator, count = 16 * accumulator, 16 * count
            accumulator += sum(q * w for q, w in zip(word, weight))
            count += sum(word) if e.compute.count_mask >> current & 1 else 0
        return accumulator, count

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

    def weights(self, step: WindowStep, bits: BitField, lane: LaneClass) -> tuple[int, ...]:
        """What a filter lane multiplies the Ti codes of a step by."""
        if step.weights is None or step.weights.load is None:
            raise MissingWord("a weight word is read that no instruction loaded")
        word = position = 0
        for part in step.weights.slices:
            word |= self.word(part) << position
            position += 8 * part.size
        field, width = _field(word, bits), lane.weight_bits
        stored = [field >> width * channel & (1 << width) - 1 for channel in range(self.geometry.word_channels)]
        if lane is LaneClass.LUT_POT:
            return tuple(weight_of(lane, code) for code in stored)
        if lane is LaneClass.LUT_SP2:
            return tuple(weight_of(lane, code) + 8 for code in stored)
        return tuple(stored)

    def word(self, word: DdrWord) -> int:
        """The bytes of a word as a little-endian number."""
        data = self.memory.get(word.region, b"")
        if word.address + word.size > len(data):
            raise MissingWord(f"{word} lies outside memory: {word.region} has {len(data)} bytes")
        return int.from_bytes(bytes(data[word.address : word.address + word.size]), "little")


def _loaded(source: Loaded | None, what: str) -> DdrWord:
    if source is None:
        raise MissingWord(f"{what} of the value were never loaded")
    return source.word


def _field(word: int, bits: BitField) -> int:
    return word >> bits.first & (1 << bits.width) - 1

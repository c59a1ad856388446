"""The value that the words named by an explanation make, computed from their bytes alone."""

import dataclasses

from ...hdl.geometry import Geometry
from ...hdl.isa import DIGIT_BITS
from .explanation import Explanation
from .words import ConstantValues, Memory, WordReader


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A value and what it is made of.

    Members
    -------
    codes: by step of the explanation, the Ti codes of its word.
    weights: by step, the Ti integers that the filter lane multiplies them by; empty in a max pool.
    accumulator, activation_sum: Σ of stored weights times codes, and Σq; 0 in a max pool.
    constants: None in a max pool.
    residual: r; 0 without.
    code: what these words make.
    stored: the code in memory.
    """

    codes: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[int, ...], ...] = ()
    accumulator: int = 0
    activation_sum: int = 0
    constants: ConstantValues | None = None
    residual: int = 0
    code: int
    stored: int


def evaluate(explanation: Explanation, geometry: Geometry, memory: Memory) -> Evaluation:
    """Computes an explained value from the bytes in memory.

    Parameters
    ----------
    memory: after a run that kept all maps; where memory was used again, what is there now is taken.

    Raises
    ------
    MissingWord: a word has no source, or its bytes are not in memory.
    """
    reader = WordReader(geometry, memory)
    codes = tuple(reader.slots(step.source) for step in explanation.steps)
    stored = 0
    for digit in explanation.stored:
        stored = stored << DIGIT_BITS | reader.field(digit.word, digit.bits)
    if explanation.filter is None:
        return Evaluation(codes=codes, code=max(word[explanation.slot] for word in codes), stored=stored)
    weights = filter_weights(explanation, reader)
    constants = reader.constants(explanation.filter.constants)
    accumulator, count = _sums(explanation, codes, weights)
    residual = 0
    for word in explanation.residual:
        residual = residual << DIGIT_BITS | reader.slots(word.source)[explanation.slot]
    compute, limit = explanation.compute, 1 << (geometry.accumulator_bits - 1)
    held = (accumulator - constants.owed * count + limit) % (2 * limit) - limit
    total = held * constants.multiplier + residual * compute.residual_scale + constants.bias
    return Evaluation(
        codes=codes, weights=weights, accumulator=accumulator, activation_sum=count, constants=constants,
        residual=residual, code=min(max(total >> compute.shift, 0), compute.maximum), stored=stored,
    )  # fmt: skip


def filter_weights(explanation: Explanation, reader: WordReader) -> tuple[tuple[int, ...], ...]:
    """By step, the Ti integers that the filter lane multiplies codes by; of no steps in a max pool.

    Raises
    ------
    MissingWord: a weight word was never loaded.
    """
    place = explanation.filter
    if place is None:
        return ()
    words = (step.weights for step in explanation.steps)
    return tuple(reader.weights(word, place.weight_bits, place.lane_class) for word in words if word is not None)


def _sums(
    explanation: Explanation, codes: tuple[tuple[int, ...], ...], weights: tuple[tuple[int, ...], ...]
) -> tuple[int, int]:
    """Accumulator and Σq, pass by pass."""
    accumulator = count = 0
    current = None
    for step, word, weight in zip(explanation.steps, codes, weights):
        if step.digit_pass != current:
            current = step.digit_pass
            if explanation.compute.shift_mask >> current & 1:
                accumulator, count = 16 * accumulator, 16 * count
        accumulator += sum(q * w for q, w in zip(word, weight))
        count += sum(word) if explanation.compute.count_mask >> current & 1 else 0
    return accumulator, count

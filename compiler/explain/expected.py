"""Memory as it should be, and which of the words that a value is made of are not so."""

from collections.abc import Iterator, Mapping

import numpy as np

from ..program.program import Program
from .explanation import Explanation
from .places import Convolved, DdrWord, Loaded, Source
from .words import Memory


def expected_memory(program: Program, tensors: Mapping[str, np.ndarray]) -> dict[str, bytearray]:
    """Every region as a run that keeps all maps must leave it; what nobody writes is 0.

    Parameters
    ----------
    tensors: codes by name, of their layouts' shapes: the input, and what every layer stores.
    """
    memory = {name: bytearray(size) for name, size in program.sizes.items()}
    memory["PARAMETERS"] = bytearray(program.parameters)
    for layout in (program.input, *(program.maps[record.output] for record in program.layers)):
        packed, size = layout.pack(tensors[layout.name]), layout.channel_words * layout.plane_bytes
        for digit in range(layout.digits):  # other maps' digits may lie between
            begin = digit * layout.digit_bytes
            place = slice(layout.offset + begin, layout.offset + begin + size)
            memory[layout.region][place] = packed[begin : begin + size]
    return memory


def words_of(explanation: Explanation) -> Iterator[DdrWord]:
    """Every word in DDR that a value is made of; a word that is used twice comes twice."""
    for source in (*(step.source for step in explanation.steps), *(digit.source for digit in explanation.residual)):
        yield from _words(source)
    for step in explanation.steps:
        if step.weights is not None:
            yield from step.weights.slices
    if explanation.filter is not None and explanation.filter.constants.source is not None:
        yield explanation.filter.constants.source.word


def wrong_words(explanation: Explanation, found: Memory, expected: Memory) -> tuple[DdrWord, ...]:
    """The words that a value is made of and that are not in memory as they should be, each once."""
    return tuple(word for word in dict.fromkeys(words_of(explanation)) if _bytes(word, found) != _bytes(word, expected))


def _words(source: Source) -> Iterator[DdrWord]:
    if isinstance(source, Loaded):
        yield source.word
    elif isinstance(source, Convolved):
        yield from (tap for tap in source.taps if tap is not None)
        yield from (row.word for row in source.kernel if row is not None)


def _bytes(word: DdrWord, memory: Memory) -> bytes:
    return bytes(memory.get(word.region, b"")[word.address : word.address + word.size])

"""A value on a device: what the words in its memory make of it, and which of them are wrong."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ..compiler.explain.evaluate import Evaluation, evaluate
from ..compiler.explain.expected import expected_memory, wrong_words
from ..compiler.explain.explanation import Explanation, Position
from ..compiler.explain.places import DdrWord
from ..compiler.explain.words import Memory, MissingWord
from ..compiler.program.program import LayerRecord
from .driver import Driver

Tensors = Mapping[str, np.ndarray]
"""Codes by tensor, of their layouts' shapes: the input, and what every layer must store."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspection:
    """What became of a value.

    Members
    -------
    evaluation: the value as the words in memory make it; None where one is missing.
    missing: why there is none.
    expected: the code that it should be; None where nobody knows.
    wrong: words that it is made of and that are not in memory as they should be.
    """

    evaluation: Evaluation | None
    missing: str | None
    expected: int | None
    wrong: tuple[DdrWord, ...]

    @property
    def passed(self) -> bool:
        """Whether the stored code is the one that its words make, and the one that it should be."""
        found = self.evaluation
        return found is not None and found.stored == found.code and self.expected in (None, found.stored)


def inspect(
    driver: Driver, explanation: Explanation, tensors: Tensors | None = None, parameters: bytes | None = None
) -> Inspection:
    """Looks at a value in the memory of a device, after a run of a program that keeps its maps.

    Parameters
    ----------
    tensors: what every map should be; None: unknown.
    parameters: what weights and constants should be; None: the program's.
    """
    program, memory = driver.program, driver.loaded.read_regions()
    if parameters is not None:
        program = dataclasses.replace(program, parameters=parameters)
    evaluation, missing = None, None
    try:
        evaluation = evaluate(explanation, program.geometry, memory)
    except MissingWord as error:
        missing = str(error)
    if tensors is None:
        known: Memory = {**memory, "PARAMETERS": program.parameters}
        wrong = wrong_words(explanation, memory, known)
        return Inspection(evaluation=evaluation, missing=missing, expected=None, wrong=wrong)
    at = explanation.position
    codes = tensors[explanation.tensor].reshape(-1, *tensors[explanation.tensor].shape[-3:])
    return Inspection(
        evaluation=evaluation,
        missing=missing,
        expected=int(codes[at.image, at.channel, at.row, at.column]),
        wrong=wrong_words(explanation, memory, expected_memory(program, tensors)),
    )


def first_wrong(driver: Driver, tensors: Tensors, layers: Sequence[LayerRecord]) -> tuple[LayerRecord, Position] | None:
    """The first value, of the first of these layers with any, that is not as it should be in the device's memory."""
    for record in layers:
        found, expected = driver.read_map(record.output), tensors[record.output]
        different = np.argwhere((found != expected).reshape(-1, *found.shape[-3:]))
        if len(different):
            image, channel, row, column = different[0].tolist()
            return record, Position(image=image, channel=channel, row=row, column=column)
    return None

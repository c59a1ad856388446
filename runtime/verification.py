"""Every code of every map against the integer graph's executor, and every CRC of the log against theirs."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ..compiler.program.log_records import expected_crcs
from ..quant.graph.executor import execute
from ..quant.graph.graph import IntegerGraph
from .driver import Driver
from .images import fill, to_codes
from .results import ProgramRun

RunNote = Callable[[str], None]
"""Called with a line of text, which image is next, before every run."""


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """Where a map first differs: the image, the tensor's channel, row and column, and both codes."""

    image: int
    channel: int
    row: int
    column: int
    expected: int
    found: int

    def __str__(self) -> str:
        return (
            f"image {self.image}, channel {self.channel}, row {self.row}, column {self.column}: "
            f"{self.found}, not {self.expected}"
        )


@dataclasses.dataclass(frozen=True)
class LayerCheck:
    """What the check of one layer found, over all images.

    Members
    -------
    layer, tensor: names.
    compared, mismatched: codes; 0 compared where the map's memory was used again (then the CRC is the check).
    first: the first mismatch, in image, channel, row, column order.
    crc_compared, crc_mismatched: records of the log.
    on_load: the depthwise layer that is computed while this one's input is loaded, or "": it is checked by this one's
        codes, all of which are made of its.
    """

    layer: str
    tensor: str
    compared: int
    mismatched: int
    first: Mismatch | None
    crc_compared: int
    crc_mismatched: int
    on_load: str = ""

    @property
    def passed(self) -> bool:
        return not self.mismatched and not self.crc_mismatched and self.crc_compared > 0


@dataclasses.dataclass(frozen=True, eq=False)
class VerificationReport:
    """What `verify` found.

    Members
    -------
    layers: in order of execution.
    images: that were given.
    runs: of the program.
    """

    layers: tuple[LayerCheck, ...]
    images: int
    runs: tuple[ProgramRun, ...]

    @property
    def passed(self) -> bool:
        return bool(self.layers) and all(layer.passed for layer in self.layers)

    @property
    def compared(self) -> int:
        return sum(layer.compared for layer in self.layers)

    @property
    def mismatched(self) -> int:
        return sum(layer.mismatched for layer in self.layers)

    @property
    def first_failure(self) -> LayerCheck | None:
        """The first layer in order of execution that is wrong: the place to look."""
        return next((layer for layer in self.layers if not layer.passed), None)

    def __str__(self) -> str:
        crcs = sum(layer.crc_compared for layer in self.layers)
        wrong = sum(layer.crc_mismatched for layer in self.layers)
        text = (
            f"{self.images} images, {len(self.layers)} layers: {self.compared:,} codes compared, "
            f"{self.mismatched:,} differ; {crcs} CRCs compared, {wrong} differ"
        )
        failure = self.first_failure
        if failure:
            where = f" at {failure.first}" if failure.first else ""
            text += f"; first in layer {failure.layer} (tensor {failure.tensor}){where}"
        return text


def verify(
    driver: Driver,
    graph: IntegerGraph,
    images: np.ndarray,
    *,
    timeout: float | None = None,
    progress: RunNote | None = None,
) -> VerificationReport:
    """Runs images on the loaded program and compares everything with the integer executor.

    Of images that only fill up the last run no codes are compared; the CRCs are of all that a run stored.

    Parameters
    ----------
    graph: what the program was compiled from.
    images: see `Driver.run`.
    progress: called with a line of text per run.

    Raises
    ------
    ValueError: the program stores a tensor that the graph does not have.
    ImageError, AcceleratorError, RunTimeout: as `Driver.run`.
    """
    program = driver.program
    for layer in program.layers:
        if layer.output not in graph.tensors:
            raise ValueError(
                f"program {program.name} stores tensor {layer.output!r}, which graph {graph.name} does not have: "
                "verify with the graph that it was compiled from"
            )
    outputs = {layout.name for layout in program.outputs}
    tallies = [_Tally() for _ in program.layers]
    runs: list[ProgramRun] = []
    codes = to_codes(images, program.input)
    for first in range(0, len(codes), program.batch):
        part = codes[first : first + program.batch]
        if progress:
            progress(f"image {first + 1} of {len(codes)}")
        runs += driver.run(part, timeout=timeout).runs
        expected = execute(graph, fill(part, program.input))
        crcs = expected_crcs(program, expected)
        log = {entry.number: entry for entry in runs[-1].log}
        for layer, tally in zip(program.layers, tallies):
            if program.keeps_maps or layer.output in outputs:
                tally.compare(range(first, first + len(part)), expected[layer.output], driver.read_map(layer.output))
            entry = log.get(layer.number)
            tally.crc_compared += 1
            tally.crc_mismatched += entry is None or (entry.crc, entry.words) != crcs.get(layer.number)
    return VerificationReport(
        tuple(
            LayerCheck(layer.name, layer.output, tally.compared, tally.mismatched, tally.first, tally.crc_compared,
                       tally.crc_mismatched, layer.on_load)
            for layer, tally in zip(program.layers, tallies)
        ),
        len(codes),
        tuple(runs),
    )


@dataclasses.dataclass
class _Tally:
    compared: int = 0
    mismatched: int = 0
    first: Mismatch | None = None
    crc_compared: int = 0
    crc_mismatched: int = 0

    def compare(self, images: range, expected: np.ndarray, found: np.ndarray) -> None:
        """Compares a tensor's codes of a run, C × H × W or N × C × H × W, whose first images are these."""
        expected, found = (codes.reshape(-1, *codes.shape[-3:])[: len(images)] for codes in (expected, found))
        different = expected != found
        self.compared += expected.size
        self.mismatched += int(different.sum())
        if self.first is None and different.any():
            place = tuple(np.argwhere(different)[0].tolist())
            image, channel, row, column = place
            self.first = Mismatch(images[image], channel, row, column, int(expected[place]), int(found[place]))

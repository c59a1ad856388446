"""What a run leaves behind."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ..compiler.program.lane_groups import log_slots
from ..compiler.program.program import Program
from ..hdl.isa import LOG_RECORD_BYTES
from .errors import DeviceError


@dataclasses.dataclass(frozen=True)
class LayerLog:
    """A layer's record in the log.

    Members
    -------
    number, name: of the layer.
    crc: exclusive or of the CRC-32s of what the groups of pixel lanes stored of the layer, each in the order in which
        it was stored.
    words: activation words stored, by all groups.
    finished: cycles from the start of the run until the layer's last word was written.
    cycles: between the layer before (or the start) and this one.
    """

    number: int
    name: str
    crc: int
    words: int
    finished: int
    cycles: int


def decode_log(records: np.ndarray, program: Program) -> tuple[LayerLog, ...]:
    """An entry per layer that finished, in order of execution.

    The accelerator leaves a record for each group of pixel lanes that stored any of a layer; one of no words is none.
    While a run goes on, the entry of its last layer may lack a group.

    Parameters
    ----------
    records: uint8, as the accelerator wrote them into a log that was zero.

    Raises
    ------
    DeviceError: a layer's record holds another layer's number.
    """
    entries: list[LayerLog] = []
    for layer in program.layers:
        crc = words = finished = 0
        for slot in log_slots(layer.number, program.geometry):
            place = slot * LOG_RECORD_BYTES
            part, number, count, end = records[place : place + LOG_RECORD_BYTES].view("<u4").tolist()
            if count == 0:
                continue
            if number != layer.number:
                raise DeviceError(
                    f"log record {slot} is that of layer {number}, not {layer.number}: the log was overwritten"
                )
            crc, words, finished = crc ^ part, words + count, max(finished, end)
        if words:
            before = entries[-1].finished if entries else 0
            entries.append(LayerLog(layer.number, layer.name, crc, words, finished, finished - before))
    return tuple(entries)


@dataclasses.dataclass(frozen=True, eq=False)
class ProgramRun:
    """A run of a program, of as many images as it computes at once.

    Members
    -------
    codes: by output's name, uint8, of its layout's shape: C × H × W, or N × C × H × W of several images, those that
        fill up the run among them.
    counters: by name.
    log: an entry per layer, of all images.
    """

    codes: dict[str, np.ndarray]
    counters: Mapping[str, int]
    log: tuple[LayerLog, ...]

    @property
    def cycles(self) -> int:
        return self.counters["CYCLES"]

    def images(self, name: str) -> np.ndarray:
        """Codes of an output, N × C × H × W whatever the number of images."""
        codes = self.codes[name]
        return codes.reshape(-1, *codes.shape[-3:])


@dataclasses.dataclass(frozen=True, eq=False)
class RunResult:
    """What became of a number of images.

    Members
    -------
    outputs: real values by output's name, float32, N × C × H × W.
    codes: the same as codes, uint8.
    runs: of the program; each has as many of the images as it computes at once, the last one the rest.
    clock_hz: of the accelerator.
    seconds: the host took, from the first image to the last output read; of a simulation, the host's too.
    """

    outputs: dict[str, np.ndarray]
    codes: dict[str, np.ndarray]
    runs: tuple[ProgramRun, ...]
    clock_hz: float
    seconds: float

    @property
    def predictions(self) -> np.ndarray | None:
        """The class with the largest score, of each image; None where there is not exactly one vector of scores."""
        if len(self.codes) != 1:
            return None
        (scores,) = self.codes.values()
        return scores.reshape(len(scores), -1).argmax(axis=1) if scores.shape[2:] == (1, 1) else None

    @property
    def images(self) -> int:
        """How many were given."""
        return len(next(iter(self.codes.values())))

    @property
    def cycles(self) -> int:
        """Of all runs."""
        return sum(run.cycles for run in self.runs)

    @property
    def images_per_second(self) -> float:
        """Of the accelerator alone, transfers of images by the host not counted. Images that only fill up the last run
        do not count either.

        Raises
        ------
        ValueError: the device measures no cycles.
        """
        if not self.cycles:
            raise ValueError("the device measured no cycles: take a SimulatedDevice or a board for images a second")
        return self.images * self.clock_hz / self.cycles

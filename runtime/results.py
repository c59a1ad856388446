"""What a run leaves behind."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ..compiler.program import LayerRecord
from .errors import DeviceError

LOG_RECORD_BYTES = 16


@dataclasses.dataclass(frozen=True)
class LayerLog:
    """A layer's record in the log.

    Members
    -------
    number, name: of the layer.
    crc: CRC-32 of all that the layer stored, in the order in which it was stored.
    words: activation words stored.
    finished: cycles from the start of the run until the layer's last word was written.
    cycles: between the layer before (or the start) and this one.
    """

    number: int
    name: str
    crc: int
    words: int
    finished: int
    cycles: int


def decode_log(records: np.ndarray, layers: Sequence[LayerRecord]) -> tuple[LayerLog, ...]:
    """A record per layer that finished, in order of execution.

    Parameters
    ----------
    records: uint8, as the accelerator wrote them into a log that was zero.

    Raises
    ------
    DeviceError: a layer's record holds another layer's number.
    """
    entries: list[LayerLog] = []
    for layer in layers:
        place = layer.number * LOG_RECORD_BYTES
        crc, number, words, finished = records[place : place + LOG_RECORD_BYTES].view("<u4").tolist()
        if words == 0:
            continue
        if number != layer.number:
            raise DeviceError(f"log record {layer.number} is that of layer {number}: the log was overwritten")
        before = entries[-1].finished if entries else 0
        entries.append(LayerLog(number, layer.name, crc, words, finished, finished - before))
    return tuple(entries)


@dataclasses.dataclass(frozen=True, eq=False)
class ImageRun:
    """One image's run: codes by output's name (uint8, C × H × W), counters by name, a log entry per layer."""

    codes: dict[str, np.ndarray]
    counters: Mapping[str, int]
    log: tuple[LayerLog, ...]

    @property
    def cycles(self) -> int:
        return self.counters["CYCLES"]


@dataclasses.dataclass(frozen=True, eq=False)
class RunResult:
    """A batch's run.

    Members
    -------
    outputs: real values by output's name, float32, N × C × H × W.
    codes: the same as codes, uint8.
    runs: an `ImageRun` per image.
    clock_hz: of the accelerator.
    seconds: the host took for the batch, from its first image to the last output read; of a simulation, the host's too.
    """

    outputs: dict[str, np.ndarray]
    codes: dict[str, np.ndarray]
    runs: tuple[ImageRun, ...]
    clock_hz: float
    seconds: float

    @property
    def cycles(self) -> int:
        """Of all images."""
        return sum(run.cycles for run in self.runs)

    @property
    def images_per_second(self) -> float:
        """Of the accelerator alone, transfers of images by the host not counted."""
        return len(self.runs) * self.clock_hz / self.cycles

"""What a run leaves behind."""

import dataclasses
from collections.abc import Mapping

import numpy as np

LOG_RECORD_BYTES = 16


@dataclasses.dataclass(frozen=True)
class LayerLog:
    """A layer's record in the log.

    Members
    -------
    number, name: of the layer.
    crc: CRC-32 of all that was stored since the layer's turn began, in the order in which it was stored: by the layer,
        and by the one that the compiler runs side by side with it, if any (`compiler.turns`).
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
    """

    outputs: dict[str, np.ndarray]
    codes: dict[str, np.ndarray]
    runs: tuple[ImageRun, ...]
    clock_hz: float

    @property
    def cycles(self) -> int:
        """Of all images."""
        return sum(run.cycles for run in self.runs)

    @property
    def images_per_second(self) -> float:
        """Of the accelerator alone, transfers of images by the host not counted."""
        return len(self.runs) * self.clock_hz / self.cycles

"""The runs of many images: while one goes on, the host reads the one before and prepares the next."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .errors import AcceleratorError, DeviceError, RunTimeout
from .images import fill, quantize
from .results import ProgramRun
from .waiting import Waiting

if TYPE_CHECKING:
    from .driver import Driver

Progress = Callable[[int, int], None]
"""Called with the number of layers finished and of layers in all, while a run goes on."""


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How images are run.

    Members
    -------
    timeout: seconds of the accelerator's clock that a run of the program may take. None: an ample estimate.
    counters: read every hardware counter after each run. False: only CYCLES, a shorter pause between two runs.
    """

    timeout: float | None = None
    progress: Progress | None = None
    counters: bool = True


def run_batch(driver: "Driver", images: np.ndarray, options: RunOptions) -> Waiting[list[ProgramRun]]:
    """Runs images that were checked (`images.check`), N × C × H × W, as many at once as the program computes, and
    returns the runs. Where images run out, those of code 0 fill up the last one.

    Between two runs the accelerator rests only while the driver reads its counters and writes three base registers:
    the regions INPUT, OUTPUT and LOG exist twice. After an error the accelerator is at rest, or was asked to be.
    """
    program, frames = driver.program, driver.memory.frames
    starts = range(0, len(images), program.batch)
    runs: list[ProgramRun] = []
    counters: dict[str, int] = {}

    def codes(start: int) -> np.ndarray:
        return fill(quantize(images[start : start + program.batch], program.input), program.input)

    try:
        for index, start in enumerate(starts):
            frame, other = frames[index % 2], frames[(index + 1) % 2]
            if index == 0:
                frame.write_input(program, codes(start))
            driver.begin(frame)
            if index > 0:
                runs.append(driver.collect(other, counters))
            if index + 1 < len(starts):
                other.write_input(program, codes(starts[index + 1]))
            yield from driver.finish(options)
            counters = driver.control.counters(*(() if options.counters else ("CYCLES",)))
        if len(starts):
            runs.append(driver.collect(frame, counters))
    except (AcceleratorError, RunTimeout):
        raise
    except BaseException:
        with contextlib.suppress(DeviceError):
            driver.stop()
        raise
    return runs

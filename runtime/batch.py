"""The frames of a batch: while one is computed, the host reads the one before and prepares the next."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .errors import AcceleratorError, DeviceError, RunTimeout
from .images import quantize
from .results import ImageRun
from .waiting import Waiting

if TYPE_CHECKING:
    from .driver import Driver

Progress = Callable[[int, int], None]
"""Called with the number of layers finished and of layers in all, while a run goes on."""


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How frames are run.

    Members
    -------
    timeout: seconds of the accelerator's clock that a frame may take. None: an ample estimate.
    counters: read every hardware counter after each frame. False: only CYCLES, a shorter pause between two frames.
    """

    timeout: float | None = None
    progress: Progress | None = None
    counters: bool = True


def run_batch(driver: "Driver", images: np.ndarray, options: RunOptions) -> Waiting[list[ImageRun]]:
    """Runs images that were checked (`images.check`), N × C × H × W, and returns their runs.

    Between two frames the accelerator rests only while the driver reads its counters and writes three base registers:
    the regions INPUT, OUTPUT and LOG exist twice. After an error the accelerator is at rest, or was asked to be.
    """
    program, frames = driver.program, driver.memory.frames
    runs: list[ImageRun] = []
    counters: dict[str, int] = {}
    try:
        for index, image in enumerate(images):
            frame, other = frames[index % 2], frames[(index + 1) % 2]
            if index == 0:
                frame.write_input(program, quantize(image, program.input))
            driver.begin(frame)
            if index > 0:
                runs.append(driver.collect(other, counters))
            if index + 1 < len(images):
                other.write_input(program, quantize(images[index + 1], program.input))
            yield from driver.finish(options)
            counters = driver.control.counters(*(() if options.counters else ("CYCLES",)))
        if len(images):
            runs.append(driver.collect(frame, counters))
    except (AcceleratorError, RunTimeout):
        raise
    except BaseException:
        with contextlib.suppress(DeviceError):
            driver.stop()
        raise
    return runs

"""The runs of many images: while one goes on, the host reads the one before and prepares the next."""

import contextlib

import numpy as np

from .errors import AcceleratorError, DeviceError, RunTimeout
from .images import fill, quantize
from .loaded import LoadedProgram, RunOptions
from .results import ProgramRun
from .waiting import Waiting


def run_batch(loaded: LoadedProgram, images: np.ndarray, options: RunOptions) -> Waiting[list[ProgramRun]]:
    """Runs images that were checked (`images.check`), N × C × H × W, as many at once as the program computes, and
    returns the runs. Where images run out, those of code 0 fill up the last one.

    Between two runs the accelerator rests only while the host reads its counters and writes three base registers:
    the regions INPUT, OUTPUT and LOG exist twice. After an error the accelerator is at rest, or was asked to be.
    """
    program, frames = loaded.program, loaded.memory.frames
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
            loaded.begin(frame)
            if index > 0:
                runs.append(loaded.collect(other, counters))
            if index + 1 < len(starts):
                other.write_input(program, codes(starts[index + 1]))
            yield from loaded.finish(options)
            counters = loaded.control.counters(*(() if options.counters else ("CYCLES",)))
        if len(starts):
            runs.append(loaded.collect(frame, counters))
    except (AcceleratorError, RunTimeout):
        raise
    except BaseException:
        with contextlib.suppress(DeviceError):
            loaded.control.stop()
        raise
    return runs

"""A program in a device's memory: its runs, one by one, and what the last of them left there."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from ..compiler.program.program import Program
from ..hdl.isa import Region
from ..hdl.registers import WATCHDOG_DEFAULT
from .control import ControlPort, text
from .device import Buffer, Device
from .errors import AcceleratorError, DeviceError, RunTimeout
from .memory import Frame, ProgramMemory
from .results import LayerLog, ProgramRun, decode_log
from .starvation import name_who_starves
from .waiting import Waiting

LayerProgress = Callable[[int, int], None]
"""Called with the number of layers finished and of layers in all, while a run goes on."""

_SLICE_CYCLES = 50_000
"""Cycles between two looks at a run's progress."""
_SLACK_CYCLES = 2 * WATCHDOG_DEFAULT
"""Every run may take so much longer than estimated: the watchdog is to speak first."""


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How images are run.

    Members
    -------
    timeout: seconds of the accelerator's clock that a run of the program may take. None: an ample estimate.
    progress: told of every run's layers.
    counters: read every hardware counter after each run. False: only CYCLES, a shorter pause between two runs.
    """

    timeout: float | None = None
    progress: LayerProgress | None = None
    counters: bool = True


class LoadedProgram:
    """A program whose instructions and parameters are in place.

    Members
    -------
    program: what was loaded.
    memory: its buffers; freeing them is up to the caller.
    control: of the device that it is loaded on.
    """

    def __init__(self, device: Device, control: ControlPort, program: Program, memory: ProgramMemory) -> None:
        self.device, self.control, self.program, self.memory = device, control, program, memory
        self._last = 0  # number of the frame of the last run

    def estimate(self) -> float:
        """Seconds of the accelerator's clock that any run of the program ends in: a step a cycle, 1/8 byte a cycle."""
        layers = self.program.layers
        cycles = sum(layer.steps + 8 * (layer.read_bytes + layer.write_bytes) for layer in layers)
        return (cycles + _SLACK_CYCLES) / self.device.clock_hz

    # The parts of a run -------------------------------------------------------------------------------------------

    def begin(self, frame: Frame) -> None:
        """Starts a run on a frame whose input is in place, with the accelerator at rest.

        Raises
        ------
        RejectedError: it is not.
        """
        self._last = frame.number
        self.control.start(frame.buffers)

    def finish(self, options: RunOptions) -> Waiting[None]:
        """Waits for the end of the run that goes on.

        Raises
        ------
        AcceleratorError: the accelerator stopped with an error; its report says where and what to do.
        RunTimeout: it did not end in time; it was asked to stop.
        """
        layers, progress = self.program.layers, options.progress
        seconds = self.estimate() if options.timeout is None else options.timeout
        step = _SLICE_CYCLES / self.device.clock_hz if progress else seconds
        left = seconds
        while not (yield min(step, left)):
            left -= step
            if progress:
                progress(len(self.log()), len(layers))
            if left <= 0:
                status, finished = self.control.status(), len(self.log())
                self.control.stop()
                raise RunTimeout(
                    f"the run did not end within {seconds:g} s: status {text(status)}, {finished} of {len(layers)} "
                    "layers finished; it was stopped. Raise the timeout of a large network"
                )
        if progress:
            progress(len(self.log()), len(layers))
        if report := self.control.error(layers):
            raise AcceleratorError(name_who_starves(report, self.program, self._code()))

    def collect(self, frame: Frame, counters: Mapping[str, int]) -> ProgramRun:
        """What a run left in its frame's memory."""
        output, log = frame.buffers["OUTPUT"], frame.buffers["LOG"]
        output.from_device()
        log.from_device()
        codes = {
            layout.name: layout.unpack(output.view[layout.offset : layout.offset + layout.bytes])
            for layout in self.program.outputs
        }
        return ProgramRun(codes, counters, decode_log(log.view, self.program))

    # What the last run left ---------------------------------------------------------------------------------------

    def read_map(self, name: str) -> np.ndarray:
        """Codes of a tensor that the last run stored: uint8, of its layout's shape: C × H × W, or N × C × H × W.

        Raises
        ------
        KeyError: the program stores no such tensor.
        DeviceError: its memory was used again for another one.
        """
        program = self.program
        layout = program.input if name == program.input.name else program.maps.get(name)
        if layout is None:
            raise KeyError(f"program {program.name} stores no tensor {name!r}; it stores {', '.join(program.maps)}")
        outputs = {output.name for output in program.outputs}
        if not program.keeps_maps and name in program.maps and name not in outputs:
            raise DeviceError(
                f"the memory of tensor {name!r} was used again: compile with keep_maps to read every tensor"
            )
        buffer = self._buffer(layout.region)
        buffer.from_device()
        return layout.unpack(buffer.view[layout.offset : layout.offset + layout.bytes])

    def log(self) -> tuple[LayerLog, ...]:
        """The log of the last run, a record per layer that finished, in order of execution."""
        buffer = self._buffer("LOG")
        buffer.from_device()
        return decode_log(buffer.view, self.program)

    def read_regions(self) -> dict[str, np.ndarray]:
        """Bytes of every region as they are in memory after the last run, by name: uint8, at least its size."""
        views = {}
        for region in Region:
            buffer = self._buffer(region.name)
            buffer.from_device()
            views[region.name] = buffer.view
        return views

    def _code(self) -> bytes:
        """The instructions that the last run fetched, read back from the device's memory."""
        buffer = self._buffer("PROGRAM")
        buffer.from_device()
        return buffer.view[: len(self.program.instructions)].tobytes()

    def _buffer(self, name: str) -> Buffer:
        """The buffer of a region, as the last run saw it."""
        return (self.memory.shared | self.memory.frames[self._last].buffers)[name]

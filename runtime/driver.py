"""The host driver: one for simulated accelerators and for boards."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..compiler.program.program import Program
from ..hdl.isa import INSTRUCTION_BYTES
from ..hdl.registers import WATCHDOG_DEFAULT, Status
from .batch import Progress, RunOptions, run_batch
from .control import ControlPort, text
from .device import Buffer, Device
from .errors import AcceleratorError, DeviceError, NotLoadedError, RejectedError, RunTimeout, SignatureMismatch
from .images import check, to_values
from .memory import Frame, ProgramMemory
from .results import LayerLog, ProgramRun, RunResult, decode_log
from .waiting import Waiting, run_awaiting, run_blocking

__all__ = ["Driver", "Progress"]

_SLICE_CYCLES = 50_000
"""Cycles between two looks at a run's progress."""
_SLACK_CYCLES = 2 * WATCHDOG_DEFAULT
"""Every run may take so much longer than estimated: the watchdog is to speak first."""


class Driver:
    """Runs programs on a device.

    Parameters
    ----------
    device: stays the caller's; closing it is up to them.

    Raises
    ------
    NoAcceleratorError: no Intramix accelerator answers.
    SignatureMismatch: its instruction set is another version's.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.control = ControlPort(device)
        self._program: Program | None = None
        self._memory: ProgramMemory | None = None
        self._last = 0  # number of the frame of the last run
        self._running = False
        self._queue: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    # Programs -----------------------------------------------------------------------------------------------------

    @property
    def program(self) -> Program:
        """The program loaded.

        Raises
        ------
        NotLoadedError: there is none.
        """
        if self._program is None:
            raise NotLoadedError("no program is loaded: call load(program) first")
        return self._program

    @property
    def memory(self) -> ProgramMemory:
        """The memory of the program loaded.

        Raises
        ------
        NotLoadedError: there is none.
        """
        if self._memory is None:
            raise NotLoadedError("no program is loaded: call load(program) first")
        return self._memory

    def load(self, program: Program, *, watchdog: int = WATCHDOG_DEFAULT) -> None:
        """Puts a program into the device's memory and sets the registers up for it. A program loaded before is dropped.

        Parameters
        ----------
        watchdog: cycles without any progress after which a run is stopped; 0: never.

        Raises
        ------
        SignatureMismatch: the program was compiled for another geometry.
        ProgramError: the program is cut short.
        DeviceError: the device has too little memory. No program is loaded then.
        """
        signature, expected = self.control.signature, program.geometry.signature
        if signature != expected:
            raise SignatureMismatch(
                f"program {program.name} was compiled for the geometry {expected:#010x}, the accelerator is "
                f"{signature:#010x}: compile it for this accelerator, or load the bitstream of that geometry"
            )
        self.unload()
        memory = ProgramMemory(self.device, program)
        try:
            self.control.configure(
                memory.shared | memory.frames[0].buffers,
                INSTRUCTIONS=len(program.instructions) // INSTRUCTION_BYTES,
                WATCHDOG=watchdog,
            )
        except BaseException:
            memory.free()
            raise
        self._program, self._memory, self._last = program, memory, 0

    def unload(self) -> None:
        """Gives the loaded program's memory back; a run under way is stopped first.

        Raises
        ------
        DeviceError: the accelerator does not come to rest, and may still write to that memory.
        """
        if self._memory is not None:
            self.stop()
            self._memory.free()
        self._memory = self._program = None

    # Runs ---------------------------------------------------------------------------------------------------------

    def run(
        self, images: Any, *, timeout: float | None = None, progress: Progress | None = None, counters: bool = True
    ) -> RunResult:
        """Runs images, as many at once as the program computes (`Program.batch`); while they are computed, the host
        prepares the next and reads the outputs of those before.

        Parameters
        ----------
        images: N × C × H × W or C × H × W: integers are codes, floating-point numbers are quantized (see `images`). Any
            number: images of code 0 fill up the last run, and their outputs are dropped.
        timeout: seconds of the accelerator's clock that a run of the program may take. None: an ample estimate.
        progress: told of every run's layers.
        counters: read every hardware counter after each run; False: only CYCLES, a shorter pause between runs.

        Raises
        ------
        ImageError, ImageTypeError: the images do not fit.
        AcceleratorError: the accelerator stopped with an error; its report says where and what to do.
        RunTimeout: it did not end in time; it is asked to stop, and a later run works when it could.
        RejectedError: another run is under way.
        """
        return run_blocking(self._run(images, RunOptions(timeout, progress, counters)), self.device.wait_interrupt)

    async def run_async(
        self, images: Any, *, timeout: float | None = None, progress: Progress | None = None, counters: bool = True
    ) -> RunResult:
        """`run` for an event loop, whose other tasks go on while the accelerator computes.

        Runs that are awaited at the same time queue up. A run that is cancelled is stopped.
        """
        loop = asyncio.get_running_loop()
        if self._queue is None or self._queue[0] is not loop:
            self._queue = loop, asyncio.Lock()
        async with self._queue[1]:
            return await run_awaiting(
                self._run(images, RunOptions(timeout, progress, counters)), self.device.interrupted
            )

    def start(self, codes: np.ndarray) -> None:
        """Starts a run and returns at once; `wait` waits for it.

        Parameters
        ----------
        codes: of `program.input.shape`: C × H × W, or N × C × H × W where the program computes several images.

        Raises
        ------
        ValueError: their shape or range is another.
        RejectedError: the accelerator is busy.
        """
        self.control.require_rest()
        frame = self.memory.frames[0]
        frame.write_input(self.program, codes)
        self.begin(frame)

    def wait(self, *, timeout: float | None = None, progress: Progress | None = None) -> None:
        """Waits for the end of a run that was started (see `run`)."""
        run_blocking(self.finish(RunOptions(timeout, progress)), self.device.wait_interrupt)

    def stop(self) -> None:
        """Stops a run (see `ControlPort.stop`)."""
        self.control.stop()

    def status(self) -> Status:
        """The STATUS register."""
        return self.control.status()

    def estimate(self) -> float:
        """Seconds of the accelerator's clock that any run of the program ends in: a step a cycle, 1/8 byte a cycle."""
        layers = self.program.layers
        cycles = sum(layer.steps + 8 * (layer.read_bytes + layer.write_bytes) for layer in layers)
        return (cycles + _SLACK_CYCLES) / self.device.clock_hz

    def _run(self, images: Any, options: RunOptions) -> Waiting[RunResult]:
        program = self.program
        batch = check(images, program.input)
        with self._alone():
            began = time.perf_counter()
            runs = yield from run_batch(self, batch, options)
            seconds = time.perf_counter() - began
        stacked = {
            layout.name: np.concatenate([run.images(layout.name) for run in runs])[: len(batch)]
            if runs else np.zeros((0, layout.channels, layout.height, layout.width), np.uint8)
            for layout in program.outputs
        }
        values = {layout.name: to_values(stacked[layout.name], layout) for layout in program.outputs}
        return RunResult(values, stacked, tuple(runs), self.device.clock_hz, seconds)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if self._running:
            raise RejectedError("the accelerator is busy with a run that is awaited: await this one too, and it waits")
        self.control.require_rest()
        self._running = True
        try:
            yield
        finally:
            self._running = False

    # The parts of a run (batch.py) --------------------------------------------------------------------------------

    def begin(self, frame: Frame) -> None:
        """Starts a run on a frame whose input is in place, with the accelerator at rest.

        Raises
        ------
        RejectedError: it is not.
        """
        self._last = frame.number
        self.control.start(frame.buffers)

    def finish(self, options: RunOptions) -> Waiting[None]:
        """Waits for the end of the run that goes on (see `run`)."""
        layers, progress = self.program.layers, options.progress
        seconds = self.estimate() if options.timeout is None else options.timeout
        step = _SLICE_CYCLES / self.device.clock_hz if progress else seconds
        left = seconds
        while not (yield min(step, left)):
            left -= step
            if progress:
                progress(len(self.log()), len(layers))
            if left <= 0:
                status, finished = self.status(), len(self.log())
                self.stop()
                raise RunTimeout(
                    f"the run did not end within {seconds:g} s: status {text(status)}, {finished} of {len(layers)} "
                    "layers finished; it was stopped. Raise the timeout of a large network"
                )
        if progress:
            progress(len(self.log()), len(layers))
        if report := self.control.error(layers):
            raise AcceleratorError(report)

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

    def _buffer(self, name: str) -> Buffer:
        """The buffer of a region, as the last run saw it."""
        return (self.memory.shared | self.memory.frames[self._last].buffers)[name]

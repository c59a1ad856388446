"""The host driver: one for simulated accelerators and for boards."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..compiler.program.program import Program
from ..hdl.isa import INSTRUCTION_BYTES
from ..hdl.registers import WATCHDOG_DEFAULT, Status
from .batch import run_batch
from .control import ControlPort
from .device import Device
from .errors import NotLoadedError, RejectedError, SignatureMismatch
from .images import check, to_values
from .loaded import LayerProgress, LoadedProgram, RunOptions
from .memory import ProgramMemory
from .results import LayerLog, RunResult
from .waiting import Waiting, run_awaiting, run_blocking


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
        self._loaded: LoadedProgram | None = None
        self._running = False
        self._queue: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    # Programs -----------------------------------------------------------------------------------------------------

    @property
    def loaded(self) -> LoadedProgram:
        """The program loaded, in the device's memory.

        Raises
        ------
        NotLoadedError: there is none.
        """
        if self._loaded is None:
            raise NotLoadedError("no program is loaded: call load(program) first")
        return self._loaded

    @property
    def program(self) -> Program:
        """The program loaded (see `loaded`)."""
        return self.loaded.program

    @property
    def memory(self) -> ProgramMemory:
        """The memory of the program loaded (see `loaded`)."""
        return self.loaded.memory

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
        self._loaded = LoadedProgram(self.device, self.control, program, memory)

    def unload(self) -> None:
        """Gives the loaded program's memory back; a run under way is stopped first.

        Raises
        ------
        DeviceError: the accelerator does not come to rest, and may still write to that memory.
        """
        if self._loaded is not None:
            self.stop()
            self._loaded.memory.free()
        self._loaded = None

    # Runs ---------------------------------------------------------------------------------------------------------

    def run(
        self, images: Any, *, timeout: float | None = None, progress: LayerProgress | None = None, counters: bool = True
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
        self, images: Any, *, timeout: float | None = None, progress: LayerProgress | None = None, counters: bool = True
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
        self.loaded.begin(frame)

    def wait(self, *, timeout: float | None = None, progress: LayerProgress | None = None) -> None:
        """Waits for the end of a run that was started (see `run`)."""
        run_blocking(self.loaded.finish(RunOptions(timeout, progress)), self.device.wait_interrupt)

    def stop(self) -> None:
        """Stops a run (see `ControlPort.stop`)."""
        self.control.stop()

    def status(self) -> Status:
        """The STATUS register."""
        return self.control.status()

    def estimate(self) -> float:
        """Seconds that any run of the program ends in (see `LoadedProgram.estimate`)."""
        return self.loaded.estimate()

    def read_map(self, name: str) -> np.ndarray:
        """Codes of a tensor that the last run stored (see `LoadedProgram.read_map`)."""
        return self.loaded.read_map(name)

    def log(self) -> tuple[LayerLog, ...]:
        """The log of the last run (see `LoadedProgram.log`)."""
        return self.loaded.log()

    def _run(self, images: Any, options: RunOptions) -> Waiting[RunResult]:
        loaded, program = self.loaded, self.program
        batch = check(images, program.input)
        with self._alone():
            began = time.perf_counter()
            runs = yield from run_batch(loaded, batch, options)
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

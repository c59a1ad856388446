"""The host driver: one for simulated accelerators and for boards."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..compiler.program import Program
from ..hdl.geometry import ISA_VERSION
from ..hdl.isa import INSTRUCTION_BYTES, Region
from ..hdl.registers import COUNTERS, MAGIC, WATCHDOG_DEFAULT, Control, Status
from .device import Buffer, Device
from .errors import (
    AcceleratorError,
    DeviceError,
    NoAcceleratorError,
    NotLoadedError,
    RejectedError,
    RunTimeout,
    SignatureMismatch,
    decode_error,
)
from .images import to_codes, to_values
from .results import LOG_RECORD_BYTES, ImageRun, LayerLog, RunResult

Progress = Callable[[int, int], None]
"""Called with the number of layers finished and of layers in all, while a run goes on."""

_SLICE_CYCLES = 50_000
"""Cycles between two looks at a run's progress."""
_SLACK_CYCLES = 2 * WATCHDOG_DEFAULT
"""Every run may take so much longer than estimated: the watchdog is to speak first."""
_MASK = (1 << 32) - 1


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
        self._program: Program | None = None
        self._buffers: dict[str, Buffer] = {}
        identity = device.read_register("ID")
        if identity != MAGIC:
            raise NoAcceleratorError(
                f"no Intramix accelerator answers: register ID reads {identity:#010x}, not {MAGIC:#010x}; "
                "check that the bitstream is loaded and the base address is that of its control port"
            )
        version = device.read_register("VERSION")
        if version != ISA_VERSION:
            raise SignatureMismatch(
                f"the accelerator has version {version} of the instruction set, this driver version {ISA_VERSION}: "
                "build the bitstream again, or use the Intramix that built it"
            )

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

    def load(self, program: Program, *, watchdog: int = WATCHDOG_DEFAULT) -> None:
        """Puts a program into the device's memory and sets the registers up for it. A program loaded before is dropped.

        Parameters
        ----------
        watchdog: cycles without any progress after which a run is stopped; 0: never.

        Raises
        ------
        SignatureMismatch: the program was compiled for another geometry.
        DeviceError: the device has too little memory.
        """
        signature, expected = self.device.read_register("SIGNATURE"), program.geometry.signature
        if signature != expected:
            raise SignatureMismatch(
                f"program {program.name} was compiled for the geometry {expected:#010x}, the accelerator is "
                f"{signature:#010x}: compile it for this accelerator, or load the bitstream of that geometry"
            )
        self.unload()
        sizes = {name: program.sizes.get(name, 0) for name in (*Region.__members__, "LOG")}
        sizes |= {"PROGRAM": len(program.instructions)}
        sizes["PARAMETERS"] = max(sizes["PARAMETERS"], len(program.parameters))
        for name, size in sizes.items():
            self._buffers[name] = self.device.allocate(max(size, 1))
        for name, contents in (("PROGRAM", program.instructions), ("PARAMETERS", program.parameters)):
            buffer = self._buffers[name]
            buffer.view[: len(contents)] = np.frombuffer(contents, np.uint8)
            buffer.to_device()
        self._clear()
        for name in (*Region.__members__, "LOG", "PROGRAM"):
            address = self._buffers[name].address
            self._configure(f"{name}_LOW", address & _MASK)
            self._configure(f"{name}_HIGH", address >> 32)
        self._configure("INSTRUCTIONS", len(program.instructions) // INSTRUCTION_BYTES)
        self._configure("WATCHDOG", watchdog)
        self._program = program

    def unload(self) -> None:
        """Gives the loaded program's memory back; a run under way is stopped first.

        Raises
        ------
        DeviceError: the accelerator does not come to rest, and may still write to that memory.
        """
        if self._buffers:
            self.stop()
        for buffer in self._buffers.values():
            buffer.free()
        self._buffers.clear()
        self._program = None

    # Runs ---------------------------------------------------------------------------------------------------------

    def run(self, images: Any, *, timeout: float | None = None, progress: Progress | None = None) -> RunResult:
        """Runs images, one after the other.

        Parameters
        ----------
        images: N × C × H × W or C × H × W: integers are codes, floating-point numbers are quantized (see `to_codes`).
        timeout: seconds of the accelerator's clock that an image may take. None: an ample estimate.

        Raises
        ------
        ImageError, ImageTypeError: the images do not fit.
        AcceleratorError: the accelerator stopped with an error; its report says where and what to do.
        RunTimeout: it did not end in time; it is asked to stop, and a later run works when it could.
        """
        program = self.program
        codes = to_codes(images, program.input)
        runs = []
        for image in codes:
            self.start(image)
            try:
                self.wait(timeout=timeout, progress=progress)
            except KeyboardInterrupt:
                self.stop()
                raise
            runs.append(self._collect())
        stacked = {
            layout.name: np.stack([run.codes[layout.name] for run in runs])
            if runs else np.zeros((0, layout.channels, layout.height, layout.width), np.uint8)
            for layout in program.outputs
        }
        values = {layout.name: to_values(stacked[layout.name], layout) for layout in program.outputs}
        return RunResult(values, stacked, tuple(runs), self.device.clock_hz)

    def start(self, codes: np.ndarray) -> None:
        """Starts the run of one image (codes, C × H × W) and returns at once.

        Raises
        ------
        RejectedError: the accelerator is busy.
        """
        program, image = self.program, self._buffers["INPUT"]
        status = self.status()
        if status & (Status.BUSY | Status.DRAINING):
            raise RejectedError(f"the accelerator is busy (status {_text(status)}): wait() for it, or stop() it")
        packed = np.frombuffer(program.input.pack(codes), np.uint8)
        image.view[program.input.offset : program.input.offset + packed.size] = packed
        image.to_device()
        log = self._buffers["LOG"]
        log.view[:] = 0
        log.to_device()
        self._clear()
        self.device.write_register("CONTROL", Control.START | Control.INTERRUPT_ENABLE)
        if self.status() & Status.REJECTED:
            raise RejectedError(f"the accelerator rejected the start (status {_text(self.status())})")

    def wait(self, *, timeout: float | None = None, progress: Progress | None = None) -> None:
        """Waits for the end of a run (see `run`)."""
        seconds = self.estimate() if timeout is None else timeout
        step = _SLICE_CYCLES / self.device.clock_hz
        left = seconds
        while not self.device.wait_interrupt(min(step, left)):
            left -= step
            if progress:
                progress(self.layers_finished(), len(self.program.layers))
            if left <= 0:
                status = self.status()
                finished = self.layers_finished()
                self.stop()
                raise RunTimeout(
                    f"the run did not end within {seconds:g} s: status {_text(status)}, {finished} of "
                    f"{len(self.program.layers)} layers finished; it was stopped. Raise the timeout of a large network"
                )
        if progress:
            progress(self.layers_finished(), len(self.program.layers))
        if self.status() & Status.ERROR:
            raise AcceleratorError(
                decode_error(
                    self.device.read_register("ERROR"),
                    self.device.read_register("ERROR_INSTRUCTION"),
                    self.program.layers,
                )
            )

    def stop(self) -> None:
        """Asks a run to stop and waits until nothing is in flight. Does nothing when idle.

        Raises
        ------
        DeviceError: transactions under way were not answered, so the accelerator cannot come to rest.
        """
        if not self.status() & (Status.BUSY | Status.DRAINING):
            return
        self.device.write_register("CONTROL", Control.STOP | Control.INTERRUPT_ENABLE)
        for _ in range(100):
            if not self.status() & (Status.BUSY | Status.DRAINING):
                return
            self.device.wait_interrupt(_SLICE_CYCLES / 10 / self.device.clock_hz)
        raise DeviceError(
            f"the accelerator does not come to rest (status {_text(self.status())}): memory does not answer; load the "
            "bitstream again"
        )

    def status(self) -> Status:
        """The STATUS register."""
        return Status(self.device.read_register("STATUS"))

    def counters(self) -> dict[str, int]:
        """Counters of the last run (hdl/registers.py)."""
        return {name: self.device.read_register(name) for name, _ in COUNTERS}

    def estimate(self) -> float:
        """Seconds of the accelerator's clock that any run of the program ends in: a step a cycle, 1/8 byte a cycle."""
        layers = self.program.layers
        cycles = sum(layer.steps + 8 * (layer.read_bytes + layer.write_bytes) for layer in layers)
        return (cycles + _SLACK_CYCLES) / self.device.clock_hz

    # Results ------------------------------------------------------------------------------------------------------

    def read_map(self, name: str) -> np.ndarray:
        """Codes of a tensor that the last run stored: uint8, C × H × W.

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
        buffer = self._buffers[layout.region]
        buffer.from_device()
        return layout.unpack(buffer.view[layout.offset : layout.offset + layout.bytes])

    def log(self) -> tuple[LayerLog, ...]:
        """The log of the last run, a record per layer that finished, in order of execution."""
        self._buffers["LOG"].from_device()
        records = self._buffers["LOG"].view
        entries: list[LayerLog] = []
        for layer in self.program.layers:
            place = layer.number * LOG_RECORD_BYTES
            crc, number, words, finished = records[place : place + LOG_RECORD_BYTES].view("<u4").tolist()
            if words == 0:
                continue
            if number != layer.number:
                raise DeviceError(f"log record {layer.number} is that of layer {number}: the log was overwritten")
            before = entries[-1].finished if entries else 0
            entries.append(LayerLog(number, layer.name, crc, words, finished, finished - before))
        return tuple(entries)

    def layers_finished(self) -> int:
        """Layers of the current run whose log record is written."""
        return len(self.log())

    def _collect(self) -> ImageRun:
        codes = {layout.name: self.read_map(layout.name) for layout in self.program.outputs}
        return ImageRun(codes, self.counters(), self.log())

    def _configure(self, name: str, value: int) -> None:
        self.device.write_register(name, value)
        if self.status() & Status.REJECTED:
            raise RejectedError(
                f"the accelerator rejected a write to {name} (status {_text(self.status())}): wait until it is idle"
            )

    def _clear(self) -> None:
        self.device.write_register("CONTROL", Control.CLEAR | Control.INTERRUPT_ENABLE)


def _text(status: Status) -> str:
    return " | ".join(flag.name for flag in Status if flag in status and flag.name) or "IDLE"

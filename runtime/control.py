"""The accelerator's control port: start, stop, status, counters and errors, over a device's registers."""

from collections.abc import Mapping, Sequence

from ..compiler.program.program import LayerRecord
from ..hdl.geometry import ISA_VERSION
from ..hdl.registers import COUNTERS, MAGIC, OFFSET, Control, Status
from .device import Buffer, Device
from .errors import DeviceError, ErrorReport, NoAcceleratorError, RejectedError, SignatureMismatch, decode_error

_REST_CYCLES = 5_000
"""Cycles between two looks whether a stopped run has come to rest."""
_REST_LOOKS = 100
_MASK = (1 << 32) - 1
# Plain numbers, for what is done between two frames: enumerations and names cost Python more than the access itself.
_STATUS, _CONTROL = OFFSET["STATUS"], OFFSET["CONTROL"]
_ERROR, _REJECTED = int(Status.ERROR), int(Status.REJECTED)
_CLEAR, _START = int(Control.CLEAR | Control.INTERRUPT_ENABLE), int(Control.START | Control.INTERRUPT_ENABLE)
_COUNTER_OFFSETS = {name: OFFSET[name] for name, _ in COUNTERS}


class ControlPort:
    """The registers of an accelerator.

    Raises
    ------
    NoAcceleratorError: no Intramix accelerator answers.
    SignatureMismatch: its instruction set is another version's.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._bases: dict[int, int] = {}  # what the base registers hold, by offset
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

    @property
    def signature(self) -> int:
        """Of the geometry that was built."""
        return self._device.read_register("SIGNATURE")

    def status(self) -> Status:
        """The STATUS register."""
        return Status(self._device.read_register("STATUS"))

    def counters(self, *names: str) -> dict[str, int]:
        """Counters of the last run (hdl/registers.py): those named, or all."""
        read = self._device.read_offset
        return {name: read(_COUNTER_OFFSETS[name]) for name in names or _COUNTER_OFFSETS}

    def error(self, layers: Sequence[LayerRecord]) -> ErrorReport | None:
        """The error that the last run ended with, if it did; `layers` are those of the program that ran."""
        if not self._device.read_offset(_STATUS) & _ERROR:
            return None
        error, instructions = (self._device.read_register(name) for name in ("ERROR", "ERROR_INSTRUCTION"))
        return decode_error(error, instructions, layers)

    def configure(self, buffers: Mapping[str, Buffer], **registers: int) -> None:
        """Sets the base registers of buffers, by name, and further registers, with the accelerator at rest.

        Raises
        ------
        RejectedError: it is not.
        """
        self._bases.clear()
        self._device.write_offset(_CONTROL, _CLEAR)
        self._set_bases(buffers)
        for name, value in registers.items():
            self._device.write_register(name, value)
        self._require_accepted("its configuration")

    def start(self, buffers: Mapping[str, Buffer]) -> None:
        """Starts a run with these buffers instead of those before, with the accelerator at rest.

        Raises
        ------
        RejectedError: it is not.
        """
        self._device.write_offset(_CONTROL, _CLEAR)
        self._set_bases(buffers)
        self._device.write_offset(_CONTROL, _START)
        self._require_accepted("the start")

    def require_rest(self) -> None:
        """Raises
        ------
        RejectedError: a run goes on, or its transactions are not all answered.
        """
        status = self.status()
        if status & (Status.BUSY | Status.DRAINING):
            raise RejectedError(f"the accelerator is busy (status {text(status)}): wait() for it, or stop() it")

    def stop(self) -> None:
        """Asks a run to stop and waits until nothing is in flight. Does nothing when idle.

        Raises
        ------
        DeviceError: transactions under way were not answered, so the accelerator cannot come to rest.
        """
        if not self.status() & (Status.BUSY | Status.DRAINING):
            return
        self._device.write_register("CONTROL", Control.STOP | Control.INTERRUPT_ENABLE)
        for _ in range(_REST_LOOKS):
            if not self.status() & (Status.BUSY | Status.DRAINING):
                return
            self._device.wait_interrupt(_REST_CYCLES / self._device.clock_hz)
        raise DeviceError(
            f"the accelerator does not come to rest (status {text(self.status())}): memory does not answer; load the "
            "bitstream again"
        )

    def _set_bases(self, buffers: Mapping[str, Buffer]) -> None:
        for name, buffer in buffers.items():
            for half, value in (("LOW", buffer.address & _MASK), ("HIGH", buffer.address >> 32)):
                offset = OFFSET[f"{name}_{half}"]
                if self._bases.get(offset) != value:
                    self._device.write_offset(offset, value)
                    self._bases[offset] = value

    def _require_accepted(self, what: str) -> None:
        status = self._device.read_offset(_STATUS)
        if status & _REJECTED:
            self._bases.clear()
            names = text(Status(status))
            raise RejectedError(f"the accelerator rejected {what} (status {names}): wait until it is idle")


def text(status: Status) -> str:
    """Names of the bits that are set."""
    return " | ".join(flag.name for flag in Status if flag in status and flag.name) or "IDLE"

"""What the driver needs of a device: registers, memory that both sides see, and an interrupt."""

import abc
import asyncio
import enum
from types import TracebackType
from typing import TypeVar

import numpy as np

from ..compiler.program.border_fill import BorderFill
from ..hdl.registers import OFFSET, SPACE_BYTES
from .errors import DeviceError

ALIGNMENT = 64
"""Bytes to which every base address is aligned."""


AnyDevice = TypeVar("AnyDevice", bound="Device")


class Buffer(abc.ABC):
    """Memory that the host and the accelerator both see.

    Members
    -------
    address: as the accelerator sees it, in bytes.
    view: uint8, the host's view of it.
    """

    address: int
    view: np.ndarray

    def lay(self, fill: BorderFill) -> None:
        """Writes a border that stays for all runs; `to_device` makes it visible."""
        fill.lay(self.view)

    @abc.abstractmethod
    def to_device(self) -> None:
        """Makes what the host wrote visible to the accelerator."""

    @abc.abstractmethod
    def from_device(self) -> None:
        """Makes what the accelerator wrote visible to the host."""

    @abc.abstractmethod
    def free(self) -> None:
        """Gives the memory back; the view must not be used any more."""


class DeviceKind(enum.Enum):
    """What an accelerator is made of; the value is the name that commands take and write."""

    BOARD = "pynq"
    """Hardware, reached through PYNQ."""
    SIMULATED = "sim"
    """The RTL in simulation: every cycle, and a model of the memory's time."""
    INTERPRETED = "interpreted"
    """The program's instructions in software: every value, and no time."""

    @property
    def is_software(self) -> bool:
        """Whether this computer does the accelerator's work, so that the host's own time says nothing of a board's."""
        return self is not DeviceKind.BOARD

    @property
    def measures_cycles(self) -> bool:
        """Whether counters of cycles, and the log's, mean anything."""
        return self is not DeviceKind.INTERPRETED


class Device(abc.ABC):
    """An accelerator that can be reached: a board, a simulation, or an interpreter.

    Members
    -------
    clock_hz: of the accelerator. All times are those of this clock, also where a cycle is simulated in microseconds.
    kind: what it is made of.
    """

    clock_hz: float
    kind: DeviceKind = DeviceKind.BOARD

    @abc.abstractmethod
    def read_offset(self, offset: int) -> int:
        """Reads the 32-bit register at a byte offset."""

    @abc.abstractmethod
    def write_offset(self, offset: int, value: int) -> None:
        """Writes the 32-bit register at a byte offset."""

    @abc.abstractmethod
    def allocate(self, size: int) -> Buffer:
        """Memory of at least `size` bytes, aligned to `ALIGNMENT`, contents undefined.

        Raises
        ------
        DeviceError: there is not so much; the message says how much there is.
        """

    @abc.abstractmethod
    def wait_interrupt(self, seconds: float) -> bool:
        """Waits until the interrupt is high, at most so many seconds of the accelerator's clock: whether it is."""

    async def interrupted(self, seconds: float) -> bool:
        """`wait_interrupt` for an event loop, whose other tasks go on meanwhile.

        Here it waits in a thread; a device that can signal to an event loop overrides it.
        """
        thread = asyncio.ensure_future(asyncio.to_thread(self.wait_interrupt, seconds))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            await asyncio.wait([thread])  # nobody else may use the device before
            raise

    @abc.abstractmethod
    def close(self) -> None:
        """Gives everything back. May be called twice."""

    def read_register(self, register: str | int) -> int:
        """Reads a register by name (hdl/registers.py) or byte offset."""
        return self.read_offset(_offset(register))

    def write_register(self, register: str | int, value: int) -> None:
        """Writes a register by name or byte offset."""
        if not 0 <= value < 1 << 32:
            raise ValueError(f"register {register} takes 0 … 2^32 − 1, not {value}")
        self.write_offset(_offset(register), value)

    def __enter__(self: AnyDevice) -> AnyDevice:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _offset(register: str | int) -> int:
    if isinstance(register, str):
        if register not in OFFSET:
            raise DeviceError(f"there is no register {register!r}; the registers are {', '.join(OFFSET)}")
        return OFFSET[register]
    if register % 4 or not 0 <= register < SPACE_BYTES:
        raise DeviceError(f"a register's offset must be a multiple of 4 below {SPACE_BYTES:#x}, not {register:#x}")
    return register

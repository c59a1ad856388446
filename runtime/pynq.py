"""A board through PYNQ: registers by MMIO, buffers by `allocate`, the interrupt by asyncio, or by polling.

Registers are read and written one at a time, by numbers: the accelerator's AXI4-Lite port takes no bursts.
"""

import asyncio
import contextlib
import os
import pathlib
import time
from typing import Any

import numpy as np

from ..hdl.registers import OFFSET, SPACE_BYTES, Status
from .device import ALIGNMENT, Buffer, Device
from .errors import DeviceError

IP_NAME = "intramix"
"""What the accelerator's type or name in the hardware hand-off contains."""
_FIRST_SLEEP, _LONGEST_SLEEP = 50e-6, 1e-3
"""Seconds between two looks at STATUS while polling; each is longer than the one before."""
_LONGEST_WAIT = 50e-3
"""Seconds between two looks at STATUS while the interrupt is awaited: one that is lost costs no more."""


class PynqBuffer(Buffer):
    """Contiguous memory of a board, cached by the processor: `to_device` flushes it, `from_device` invalidates it."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.address = int(array.device_address)
        self.view = array.view(np.ndarray)

    def to_device(self) -> None:
        self._array.flush()

    def from_device(self) -> None:
        self._array.invalidate()

    def free(self) -> None:
        if self._array is not None:
            self.view = np.empty(0, np.uint8)
            self._array.freebuffer()
            self._array = None


class PynqDevice(Device):
    """The accelerator of a bitstream.

    Parameters
    ----------
    overlay: path of the `.bit` file, with its `.hwh` beside it, which is loaded; or a `pynq.Overlay` that is.
    ip: name of the accelerator in the overlay; None: the only one there.
    clock_hz: of the accelerator. None: that of the board's first clock for programmable logic.

    Members
    -------
    polls: why the interrupt cannot be used, so that STATUS is polled; None: it can, or was not asked for yet.

    Raises
    ------
    DeviceError: PYNQ, the bitstream or the accelerator in it cannot be used; the message says why and what would work.
    """

    def __init__(
        self, overlay: "str | os.PathLike[str] | Any", *, ip: str | None = None, clock_hz: float | None = None
    ) -> None:
        self._pynq = _import_pynq()
        if isinstance(overlay, str | os.PathLike):
            overlay = self._load(pathlib.Path(overlay))
        self.overlay = overlay
        entry = _find(overlay.ip_dict, ip)
        self._mmio = self._pynq.MMIO(entry["phys_addr"], SPACE_BYTES, device=overlay.device)
        self._pins = [pin["fullpath"] for pin in entry.get("interrupts", {}).values()]
        self._interrupt: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None  # that the interrupt is tied to
        # A simulated board's second of the accelerator's clock takes many of wall-clock time.
        self._wall_seconds = float(getattr(overlay.device, "wall_seconds", 1.0))
        self.polls: str | None = None
        self.clock_hz = self._clock() if clock_hz is None else clock_hz
        self._buffers: list[PynqBuffer] = []

    def read_offset(self, offset: int) -> int:
        return int(self._mmio.read(offset))

    def write_offset(self, offset: int, value: int) -> None:
        self._mmio.write(offset, int(value))  # PYNQ refuses what is not exactly an int: enumerations, NumPy integers

    def allocate(self, size: int) -> PynqBuffer:
        if size < 0:
            raise ValueError(f"a buffer's size must be at least 0, not {size}")
        rounded = max(ALIGNMENT, -(-size // ALIGNMENT) * ALIGNMENT)
        try:
            array = self._pynq.allocate((rounded,), "u1", target=self.overlay.device, cacheable=True)
        except (MemoryError, RuntimeError, OSError) as error:
            raise DeviceError(
                f"PYNQ cannot allocate {rounded:,} bytes of contiguous memory ({error}): free other buffers, or raise "
                "the kernel's cma= setting"
            ) from error
        buffer = PynqBuffer(array)
        if buffer.address % ALIGNMENT:
            raise DeviceError(f"PYNQ allocated memory at {buffer.address:#x}, which is not a multiple of {ALIGNMENT}")
        self._buffers.append(buffer)
        return buffer

    def wait_interrupt(self, seconds: float) -> bool:
        """Polls STATUS: a blocked event loop could not hear of an interrupt."""
        end, pause = time.monotonic() + seconds * self._wall_seconds, _FIRST_SLEEP
        while not self._done():
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(1.5 * pause, _LONGEST_SLEEP)
        return True

    async def interrupted(self, seconds: float) -> bool:
        """Awaits the interrupt; where there is none, looks at STATUS every millisecond or more often."""
        end, pause = time.monotonic() + seconds * self._wall_seconds, _FIRST_SLEEP
        while not self._done():
            left = end - time.monotonic()
            if left <= 0:
                return False
            interrupt = self._listen()
            if interrupt is None:
                await asyncio.sleep(min(pause, left))
                pause = min(1.5 * pause, _LONGEST_SLEEP)
            else:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(interrupt.wait(), min(left, _LONGEST_WAIT))
        return True

    def close(self) -> None:
        """Frees every buffer; the bitstream stays loaded."""
        while self._buffers:
            self._buffers.pop().free()

    def _done(self) -> bool:
        return bool(self.read_offset(OFFSET["STATUS"]) & Status.DONE)

    def _listen(self) -> Any:
        """The interrupt, tied to the event loop that runs when it is first asked for; None: it must be polled."""
        loop = asyncio.get_running_loop()
        if self._interrupt is not None and self._loop is not loop:
            self._interrupt, self.polls = None, "the interrupt is tied to another event loop, the first that awaited it"
        if self._interrupt is None and self.polls is None:
            if not self._pins:
                self.polls = "the overlay connects no interrupt of the accelerator"
            else:
                try:
                    self._interrupt, self._loop = self._pynq.Interrupt(self._pins[0]), loop
                except (ValueError, OSError) as error:
                    self.polls = f"the interrupt cannot be used ({error})"
        return self._interrupt

    def _load(self, path: pathlib.Path) -> Any:
        for needed in (path, path.with_suffix(".hwh")):
            if not needed.exists():
                raise DeviceError(
                    f"{needed} does not exist: copy the .bit file and the .hwh file of the same name to the board"
                )
        try:
            return self._pynq.Overlay(str(path))
        except PermissionError as error:
            raise DeviceError(f"loading {path} needs root's rights ({error}): run it with sudo") from error
        except (OSError, RuntimeError, ValueError) as error:
            # PYNQ looks for no device at all without this variable (Xilinx/PYNQ issue 1651).
            hint = "" if "XILINX_XRT" in os.environ else "; XILINX_XRT is not set: . /etc/profile.d/xrt_setup.sh"
            raise DeviceError(f"PYNQ cannot load {path}: {error}{hint}") from error

    def _clock(self) -> float:
        try:
            return float(self._pynq.Clocks.fclk0_mhz) * 1e6
        except (RuntimeError, AttributeError, OSError) as error:
            raise DeviceError(f"the clock of the programmable logic cannot be read ({error}): pass clock_hz") from error


def _import_pynq() -> Any:
    try:
        import pynq
    except ImportError as error:
        raise DeviceError(
            f"the package pynq cannot be imported ({error}): on a board with a PYNQ image use the image's own Python "
            "(docs/running.md); elsewhere use the simulated device"
        ) from error
    return pynq


def _find(ip_dict: dict[str, dict[str, Any]], name: str | None) -> dict[str, Any]:
    """The entry of the accelerator in an overlay."""
    addressable = {key: entry for key, entry in ip_dict.items() if "phys_addr" in entry}
    present = f"the overlay has {', '.join(sorted(addressable)) or 'no addressable block'}"
    if name is not None:
        if name not in addressable:
            raise DeviceError(f"there is no block {name!r}: {present}")
        return addressable[name]
    found = [key for key, entry in addressable.items() if IP_NAME in f"{key} {entry.get('type')}".lower()]
    if len(found) != 1:
        count = "no" if not found else "more than one"
        raise DeviceError(f"{count} block of the overlay is an Intramix accelerator: {present}; name it with ip")
    return addressable[found[0]]

"""A device of PYNQ's own kind whose programmable logic is the simulated accelerator: what runs on a board runs here.

Needs the `pynq` package in its own environment (`make pynq-test`). `install()` makes it PYNQ's active device; then
`pynq.Overlay`, `pynq.MMIO`, `pynq.allocate`, `pynq.Interrupt` and `pynq.Clocks` work as on a board, and so does
`runtime.pynq.PynqDevice`.
"""

import asyncio
import pathlib
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pynq
import pynq.interrupt
from pynq.buffer import PynqBuffer

from ..hdl.geometry import Geometry
from ..hdl.registers import SPACE_BYTES
from ..sim.conditions import DdrConditions
from .errors import DeviceError
from .simulated import SimulatedDevice

ACCESS_CYCLES = 1_000
"""Cycles that pass at each register access: about 10 µs of Python on a board, at 100 MHz."""
INTERRUPT_CYCLES = 2_000
"""Cycles between two turns of the event loop while it waits for the interrupt."""
SIMULATED_HZ = 2_000.0
"""Cycles a second of wall-clock time that even a slow simulation reaches, for time-outs."""
_RAW_IRQ = 61
"""The first interrupt from programmable logic on Zynq-7000 (UG585, table 7-4)."""


class SimulatedPynqDevice(pynq.pl_server.device.Device):
    """The Zynq around a simulated accelerator.

    Parameters
    ----------
    accelerator: behind the registers, the memory and the interrupt.
    base_address: of its control port, unless the overlay's hand-off has another.
    metadata: gives what PYNQ's parsers make of a `.hwh` file; None: PYNQ's own parser.

    Members
    -------
    wall_seconds: of wall-clock time that a second of the accelerator's clock may take; `PynqDevice` waits so long.
    """

    def __init__(
        self,
        accelerator: SimulatedDevice,
        *,
        base_address: int = 0x4000_0000,
        metadata: Callable[[str], Any] | None = None,
    ) -> None:
        super().__init__("intramix-simulated")
        self.name = "intramix-simulated"
        self.accelerator = accelerator
        self.wall_seconds = accelerator.clock_hz / SIMULATED_HZ
        self.base_address = base_address
        self.capabilities = {"MEMORY_MAPPED": True, "REGISTER_RW": False, "CALLABLE": False}
        self.controller = SimulatedInterruptController(accelerator)
        self.controller_address: int | None = None
        self.interrupt = SimulatedUio(self)
        self.metadata = metadata or _parse
        self.bitfile_name: str | None = None
        self.timestamp = ""

    def mmap(self, base_addr: int, length: int) -> "MappedRegisters | SimulatedInterruptController":
        """Registers as the array that `pynq.MMIO` reads and writes."""
        if base_addr == self.controller_address:
            return self.controller
        if base_addr != self.base_address:
            raise OSError(f"nothing answers at {base_addr:#x} in the simulated programmable logic")
        return MappedRegisters(self.accelerator, min(length, SPACE_BYTES))

    def allocate(self, shape: Any, dtype: Any, cacheable: bool = False, **_: Any) -> PynqBuffer:
        """Memory as XRT's: where it is cacheable, what is neither flushed nor invalidated is not seen."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            memory = self.accelerator.allocate(size)
        except DeviceError as error:
            raise RuntimeError(f"Allocate failed: {error}") from error
        host = bytearray(size) if cacheable else memory.view[:size]
        return PynqBuffer(
            shape, dtype, bo=(memory.view, host), device=self, buffer=host, device_address=memory.address,
            coherent=not cacheable,
        )

    def flush(self, bo: Any, offset: int, virtual_address: int, nbytes: int) -> None:
        """Writes the processor's cache back."""
        memory, host = bo
        memory[offset : offset + nbytes] = np.frombuffer(host, np.uint8, nbytes, offset)

    def invalidate(self, bo: Any, offset: int, virtual_address: int, nbytes: int) -> None:
        """Drops the processor's cache."""
        memory, host = bo
        np.frombuffer(host, np.uint8, nbytes, offset)[:] = memory[offset : offset + nbytes]

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        """What the hand-off beside a bitstream says."""
        return self.metadata(bitfile_name)

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """"Loads" a bitstream: resets the accelerator, and takes addresses from the hand-off."""
        self.accelerator.simulation.reset()
        self.controller_address = None
        for entry in parser.ip_dict.values():
            if "axi_intc" in str(entry.get("type")) and "phys_addr" in entry:
                self.controller_address = entry["phys_addr"]
            if "intramix" in f"{entry.get('fullpath')} {entry.get('type')}".lower() and "phys_addr" in entry:
                self.base_address = entry["phys_addr"]
        self.post_download(bitstream, parser, self.name)


class MappedRegisters:
    """32-bit words of the control port, by index."""

    def __init__(self, accelerator: SimulatedDevice, length: int) -> None:
        self._accelerator = accelerator
        self._words = length // 4

    def __len__(self) -> int:
        return self._words

    def __getitem__(self, index: int) -> np.uint32:
        self._elapse(index)
        return np.uint32(self._accelerator.read_offset(4 * index))

    def __setitem__(self, index: int, value: int) -> None:
        self._elapse(index)
        self._accelerator.write_offset(4 * index, int(value))

    def _elapse(self, index: int) -> None:
        if not 0 <= index < self._words:
            raise IndexError(f"register {index} of {self._words}")
        self._accelerator.simulation.run(ACCESS_CYCLES, until_interrupt=False)


class SimulatedInterruptController:
    """The AXI Interrupt Controller (PG099) with the accelerator's interrupt as its only input, level-sensitive."""

    _ISR, _IPR, _IER, _IAR, _SIE, _CIE, _, _MER = range(8)

    def __init__(self, accelerator: SimulatedDevice) -> None:
        self._accelerator = accelerator
        self._seen = self._enabled = False
        self._master = 0

    def __len__(self) -> int:
        return 8

    @property
    def irq(self) -> bool:
        """Its output to the processor."""
        return bool(self._master & 1 and self[self._IPR])

    def __getitem__(self, index: int) -> np.uint32:
        if self._master & 2 and self._accelerator.wait_interrupt(0):
            self._seen = True
        values = {self._ISR: self._seen, self._IPR: self._seen and self._enabled, self._IER: self._enabled,
                  self._MER: self._master}  # fmt: skip
        return np.uint32(values[index])

    def __setitem__(self, index: int, value: int) -> None:
        bit = bool(int(value) & 1)
        if index == self._IER:
            self._enabled = bit
        elif index == self._MER:
            self._master = int(value) & 1 | (int(value) | self._master) & 2
        elif bit:
            if index in (self._SIE, self._CIE):
                self._enabled = index == self._SIE
            elif index == self._IAR:
                self._seen = False


class SimulatedUio:
    """The Linux UIO device of the interrupt, as `pynq.interrupt` uses it: an event is set once the level is high."""

    def __init__(self, device: SimulatedPynqDevice) -> None:
        self._device = device
        self._events: list[Any] = []
        self.count = 0

    def add_event(self, event: Any, number: int) -> None:
        """Enables the interrupt once, for this event."""
        if not self._events:
            asyncio.get_running_loop().call_soon(self._turn)
        self._events.append(event)

    def _turn(self) -> None:
        accelerator, device = self._device.accelerator, self._device
        high = accelerator.wait_interrupt(INTERRUPT_CYCLES / accelerator.clock_hz)
        if high and (device.controller_address is None or device.controller.irq):
            self.count += 1
            events, self._events = self._events, []
            for event in events:
                event.set()
        else:
            asyncio.get_running_loop().call_later(0, self._turn)


class SimulatedClocks:
    """The clocks of the processing system: told the dividers, which change nothing.

    Parameters
    ----------
    clock_hz: of the simulated accelerator, which every clock is said to have.
    """

    def __init__(self, clock_hz: float) -> None:
        self._megahertz = clock_hz / 1e6
        self.told: list[tuple[Any, ...]] = []

    def get_pl_clk(self, clk_idx: int) -> float:
        return self._megahertz

    def set_pl_clk(self, *arguments: Any, **_: Any) -> None:
        self.told.append(arguments)


def install(
    geometry: Geometry, conditions: DdrConditions | None = None, *, metadata: Callable[[str], Any] | None = None
) -> SimulatedPynqDevice:
    """Makes a simulated accelerator PYNQ's active device.

    Parameters
    ----------
    geometry, conditions: of the accelerator and of its memory.
    metadata: see `SimulatedPynqDevice`.
    """
    device = SimulatedPynqDevice(SimulatedDevice(geometry, conditions), metadata=metadata)
    pynq.Device.active_device = device
    pynq.Clocks._real_instance = SimulatedClocks(device.accelerator.clock_hz)
    controllers = pynq.interrupt._InterruptController
    controllers._uio_devices.clear()
    for number in range(_RAW_IRQ, _RAW_IRQ + 8):
        controllers._uio_devices[number] = device.interrupt
    return device


ENTRY = {
    "type": "intramix:intramix:accelerator:1.0", "fullpath": "intramix_0",
    "phys_addr": 0x4000_0000, "addr_range": 0x1000,
    "interrupts": {
        "interrupt": {"controller": "", "index": 0, "raw_irq": _RAW_IRQ, "fullpath": "intramix_0/interrupt"},
    },
}  # fmt: skip
"""An accelerator on a Zynq-7000 in PYNQ's `ip_dict`."""


def hand_off(entry: dict[str, Any]) -> Callable[[str], Any]:
    """Metadata of an overlay with one block, like `ENTRY`, as PYNQ's parsers give them."""
    name, pins = entry["fullpath"], entry["interrupts"].values()
    return lambda bitfile_name: types.SimpleNamespace(
        ip_dict={name: {"state": None, "parameters": {}, "gpio": {}, **entry}},
        interrupt_pins={pin["fullpath"]: pin for pin in pins},
        interrupt_controllers={}, gpio_dict={}, hierarchy_dict={}, mem_dict={}, systemgraph=None,
        clock_dict={0: {"enable": 1, "divisor0": 10, "divisor1": 1}},
    )  # fmt: skip


def _parse(bitfile_name: str) -> Any:
    """What PYNQ's own parser makes of the .hwh file beside a bitstream."""
    from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
    from pynqmetadata.frontends import Metadata

    parser = RuntimeMetadataParser(Metadata(input=pathlib.Path(bitfile_name).with_suffix(".hwh")))
    parser.refresh_hierarchy_dict()
    return parser

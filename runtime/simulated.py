"""The accelerator as a simulated device: Verilated RTL in a DDR model."""

import pathlib
import threading

import numpy as np

from ..hdl.geometry import Geometry
from ..hdl.registers import OFFSET, Control
from ..sim.accelerator import accelerator_library
from ..sim.conditions import DdrConditions
from ..sim.errors import SimulationError
from ..sim.ports import master_ports
from ..sim.simulation import PortTraffic, Simulation
from ..sim.verilator import BuildNote, BuildOptions
from .device import ALIGNMENT, Buffer, Device, DeviceKind
from .errors import DeviceError
from .waves import Watch

_BASE = 1 << 20
"""Address of the first allocation: what begins below it was computed wrongly."""
_CONTROL = OFFSET["CONTROL"]
_GUARD_BYTES = 4096
"""Between allocations: nothing may be read or written there."""


_SLICE_CYCLES = 50_000
"""Cycles simulated at once: a second or less, after which Ctrl-C is heard."""


class BusViolation(DeviceError):
    """The simulated accelerator broke a rule of AXI4, or touched memory that nobody allocated."""


class SimulatedBuffer(Buffer):
    """Memory of a simulated device: both sides see the same bytes."""

    def __init__(self, address: int, view: np.ndarray, freed: dict[int, list[int]]) -> None:
        self.address = address
        self.view = view
        self._freed: dict[int, list[int]] | None = freed

    def to_device(self) -> None:
        pass

    def from_device(self) -> None:
        pass

    def free(self) -> None:
        """The next allocation of the same size gets it."""
        if self._freed is not None:
            self._freed.setdefault(self.view.size, []).append(self.address)
            self._freed = None


class SimulatedDevice(Device):
    """An accelerator in simulation.

    Parameters
    ----------
    geometry: of the accelerator.
    conditions: of its memory.
    memory_bytes: of the DDR; the host pays only for what is touched.
    watch: waves of a part of the first run; the simulator is then built for it, if it writes a file.
    options, progress: of the build.
    library: a simulator with the accelerator's ports that `build_library` has built, of a netlist of gates for
        instance, instead of the RTL's.

    Raises
    ------
    SimulationToolError: the simulator cannot be built.
    BusViolation: from all methods that run cycles.
    """

    kind = DeviceKind.SIMULATED

    def __init__(
        self,
        geometry: Geometry,
        conditions: DdrConditions | None = None,
        *,
        memory_bytes: int = 1 << 29,
        watch: Watch | None = None,
        options: BuildOptions | None = None,
        progress: BuildNote | None = None,
        library: pathlib.Path | None = None,
    ) -> None:
        self.geometry = geometry
        self.conditions = conditions or DdrConditions()
        self.clock_hz = self.conditions.clock_hz
        options = options or BuildOptions(trace=watch is not None and watch.path is not None)
        library = library or accelerator_library(geometry, options=options, progress=progress)
        self.simulation = Simulation(
            library, master_ports(geometry), memory_bytes=memory_bytes, conditions=self.conditions
        )
        self._watch = watch
        self._next = _BASE
        self._freed: dict[int, list[int]] = {}  # addresses by size
        self._lock = threading.Lock()
        self.simulation.allow(0, 0)

    @property
    def cycles(self) -> int:
        """Cycles simulated since the device was made, register accesses included."""
        return self.simulation.cycles

    @property
    def traffic(self) -> dict[str, PortTraffic]:
        """What each AXI4 master moved, by its name."""
        return self.simulation.traffic

    @property
    def limited_cycles(self) -> int:
        """Cycles in which some beat waited for the memory's byte rate alone."""
        return self.simulation.limited_cycles

    def read_offset(self, offset: int) -> int:
        try:
            with self._lock:
                return self.simulation.read(offset)
        except SimulationError as error:
            raise BusViolation(str(error)) from error

    def write_offset(self, offset: int, value: int) -> None:
        try:
            with self._lock:
                if self._watch and offset == _CONTROL and value & Control.START:
                    self._watch.run_started(self.simulation)
                self.simulation.write(offset, value)
        except SimulationError as error:
            raise BusViolation(str(error)) from error

    def allocate(self, size: int) -> SimulatedBuffer:
        if size < 0:
            raise ValueError(f"a buffer's size must be at least 0, not {size}")
        rounded = max(ALIGNMENT, -(-size // ALIGNMENT) * ALIGNMENT)
        if self._freed.get(rounded):
            address = self._freed[rounded].pop()
            return SimulatedBuffer(address, self.simulation.memory[address : address + rounded], self._freed)
        address, total = self._next, self.simulation.memory.size
        if address + rounded > total:
            raise DeviceError(
                f"{size:,} bytes do not fit into the simulated memory: {max(0, total - address):,} of {total:,} are "
                "left; make the device with more memory_bytes"
            )
        # 4 KiB beyond the next boundary, plus one unit: buffers begin at ever different offsets within a page.
        self._next = address + rounded + _GUARD_BYTES + ALIGNMENT
        self.simulation.allow(address, address + rounded)
        return SimulatedBuffer(address, self.simulation.memory[address : address + rounded], self._freed)

    def wait_interrupt(self, seconds: float) -> bool:
        left = max(1, round(seconds * self.clock_hz))
        while left > 0:
            try:
                with self._lock:
                    count = min(left, _SLICE_CYCLES)
                    if self._watch:
                        count = min(count, self._watch.look(self.simulation))
                    self.simulation.run(count)
                    if self.simulation.interrupt:
                        if self._watch:
                            self._watch.run_ended(self.simulation)
                        return True
            except SimulationError as error:
                raise BusViolation(str(error)) from error
            left -= count
        return False

    def close(self) -> None:
        self.simulation.close()

"""A running simulator: a built library, loaded, with its memory."""

import ctypes
import dataclasses
import enum
import os
import pathlib
from collections.abc import Sequence
from types import TracebackType

import numpy as np

from .conditions import ConditionsError, DdrConditions
from .errors import SimulationError
from .ports import MasterPort

_RESET_CYCLES = 8
_REGISTER_CYCLES = 10_000
_NO_ANSWER = 4


class FaultMode(enum.IntEnum):
    """How an address range answers wrongly."""

    SLVERR = 2
    DECERR = 3
    SILENCE = 4
    """Never, as long as the fault stands."""
    CORRUPT = 5
    """Reads give each byte of the range with its bit 0 inverted; writes are as usual."""


@dataclasses.dataclass(frozen=True)
class PortTraffic:
    """What a master moved since the start: whole beats read, strobed bytes written."""

    read_bytes: int
    write_bytes: int
    read_bursts: int
    write_bursts: int


def _prototypes(library: ctypes.CDLL) -> None:
    u32, u64, handle = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
    table: dict[str, tuple[object, list[object]]] = {
        "create": (handle, [handle, u64, ctypes.c_double, u32, u32, ctypes.c_double, u64, u32]),
        "trace": (ctypes.c_int, [handle, ctypes.c_char_p]),
        "destroy": (None, [handle]),
        "reset": (None, [handle, u32]),
        "run": (u64, [handle, u64, ctypes.c_int]),
        "write": (u32, [handle, u32, u32, u32, u32]),
        "read": (u32, [handle, u32, ctypes.POINTER(u32), u32]),
        "violation": (ctypes.c_char_p, [handle]),
        "cycles": (u64, [handle]),
        "interrupt": (ctypes.c_int, [handle]),
        "memory_idle": (ctypes.c_int, [handle]),
        "allow": (None, [handle, u64, u64]),
        "inject": (None, [handle, u64, u64, ctypes.c_int, ctypes.c_int, u32]),
        "share": (None, [handle, u32, u32]),
        "clear_faults": (None, [handle]),
        "limited_cycles": (u64, [handle]),
        "statistics": (None, [handle, u32, ctypes.POINTER(u64)]),
    }
    for name, (result, arguments) in table.items():
        function = getattr(library, f"simulation_{name}")
        function.restype, function.argtypes = result, arguments


class Simulation:
    """A design in a simulated memory, reset and ready.

    Parameters
    ----------
    library: from `build_library`.
    ports: the masters it was built with.
    memory_bytes: size of the memory, which begins at address 0.
    conditions: of the memory.

    Raises
    ------
    SimulationError: from the methods that run cycles, when a rule was broken.
    ConditionsError: masters that are to share a port do not exist.
    """

    def __init__(
        self,
        library: pathlib.Path,
        ports: Sequence[MasterPort],
        *,
        memory_bytes: int,
        conditions: DdrConditions | None = None,
    ) -> None:
        self.conditions = conditions or DdrConditions()
        self.ports = tuple(ports)
        self.memory = np.zeros(memory_bytes, np.uint8)
        """The memory's bytes, shared with the simulator."""
        self._library = ctypes.CDLL(str(library), mode=os.RTLD_LOCAL | os.RTLD_NOW)
        _prototypes(self._library)
        c = self.conditions
        self._handle: int | None = self._library.simulation_create(
            self.memory.ctypes.data, memory_bytes, c.bytes_per_cycle, c.latency_cycles, c.response_cycles,
            c.stall_probability, c.seed, c.outstanding,
        )
        self._share(c.shared_ports)
        self.reset()

    def _share(self, groups: Sequence[Sequence[str]]) -> None:
        indices = {port.name: index for index, port in enumerate(self.ports)}
        for group, names in enumerate(groups):
            for name in names:
                if name not in indices:
                    masters = ", ".join(indices)
                    raise ConditionsError(f"DDR condition shared_ports names {name!r}; the masters are {masters}")
                self._library.simulation_share(self._live(), indices[name], group)

    @property
    def cycles(self) -> int:
        """Cycles since creation, those of reset and of register accesses included."""
        return self._library.simulation_cycles(self._live())

    @property
    def interrupt(self) -> bool:
        return bool(self._library.simulation_interrupt(self._live()))

    @property
    def memory_idle(self) -> bool:
        """Nothing is outstanding on any port."""
        return bool(self._library.simulation_memory_idle(self._live()))

    @property
    def limited_cycles(self) -> int:
        """Cycles in which some beat waited for the memory's byte rate alone."""
        return self._library.simulation_limited_cycles(self._live())

    @property
    def traffic(self) -> dict[str, PortTraffic]:
        """What each port moved, by name."""
        counters = (ctypes.c_uint64 * 4)()
        result = {}
        for index, port in enumerate(self.ports):
            self._library.simulation_statistics(self._live(), index, counters)
            result[port.name] = PortTraffic(*counters)
        return result

    def reset(self) -> None:
        """Resets the design and drops everything outstanding; the memory keeps its contents."""
        self._library.simulation_reset(self._live(), _RESET_CYCLES)
        self._check()

    def run(self, cycles: int, *, until_interrupt: bool = True) -> int:
        """Runs up to so many cycles, less when the interrupt comes (or is there already): the cycles run."""
        count = self._library.simulation_run(self._live(), cycles, until_interrupt)
        self._check()
        return count

    def write(self, offset: int, value: int, *, strobes: int = 0xF) -> None:
        """Writes a register over AXI4-Lite."""
        response = self._library.simulation_write(self._live(), offset, value, strobes, _REGISTER_CYCLES)
        self._answered(response, f"write to register {offset:#x}")

    def read(self, offset: int) -> int:
        """Reads a register over AXI4-Lite."""
        value = ctypes.c_uint32()
        response = self._library.simulation_read(self._live(), offset, ctypes.byref(value), _REGISTER_CYCLES)
        self._answered(response, f"read of register {offset:#x}")
        return value.value

    def allow(self, begin: int, end: int) -> None:
        """Lets masters touch these addresses. From the first call on they may touch no others."""
        self._library.simulation_allow(self._live(), begin, end)

    def inject(self, begin: int, end: int, mode: FaultMode, *, reads: bool = True, writes: bool = True) -> None:
        """Lets bursts that touch these addresses be answered wrongly, until `clear_faults`."""
        self._library.simulation_inject(self._live(), begin, end, reads, writes, mode)

    def clear_faults(self) -> None:
        self._library.simulation_clear_faults(self._live())

    def begin_trace(self, path: "str | os.PathLike[str]") -> None:
        """From now on every signal is written to a VCD file, until `end_trace`; a time unit is a tenth of a cycle.

        Raises
        ------
        SimulationError: the library was built without `trace`, or the file cannot be written.
        """
        if not self._library.simulation_trace(self._live(), os.fsencode(path)):
            raise SimulationError(
                f"no waves can be written to {os.fspath(path)}: the folder is not there or cannot be written, or the "
                "simulator was built without tracing"
            )

    def end_trace(self) -> None:
        """Completes the file that `begin_trace` began, if there is one."""
        self._library.simulation_trace(self._live(), None)

    def close(self) -> None:
        """Ends the simulation (and completes a VCD file). May be called twice."""
        if self._handle is not None:
            self._library.simulation_destroy(self._handle)
            self._handle = None

    def __enter__(self) -> "Simulation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _live(self) -> int:
        if self._handle is None:
            raise SimulationError("the simulation is closed")
        return self._handle

    def _check(self) -> None:
        message = self._library.simulation_violation(self._live())
        if message is not None:
            raise SimulationError(f"after {self.cycles} cycles: {message.decode(errors='replace')}")

    def _answered(self, response: int, what: str) -> None:
        self._check()
        if response == _NO_ANSWER:
            raise SimulationError(f"{what} was not answered within {_REGISTER_CYCLES} cycles")
        if response:
            raise SimulationError(f"{what} was answered with response {response}")

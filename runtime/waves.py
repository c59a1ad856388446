"""Waves of a part of a simulated run: which cycles, and when a simulation has come there.

The array makes at most one step a cycle, and how many steps come before an instruction is known from the program. So a
simulation can be run up to a step without passing it, by its counter COMPUTE_STEPS, whatever the memory makes of time.
"""

import dataclasses
import enum
import pathlib

from ..hdl.registers import OFFSET
from ..sim.simulation import Simulation

_READ_CYCLES = 16
"""Cycles in which a register is read, and more."""
_NEVER = 1 << 62
_STEPS = OFFSET["COMPUTE_STEPS"]


class WaveUnit(enum.Enum):
    """What a window of a run is counted in."""

    CYCLES = "cycles"
    """Of the accelerator, from the start of the run, as in the log."""
    STEPS = "steps"
    """Of the array, from the start of the run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaveWindow:
    """Part of a run: from `first` on, up to and without `end`; None: to the end of the run.

    Members
    -------
    lead, tail: cycles before and after it that are written too, where it is counted in steps: what the first step
        waits for, and what becomes of the last.
    """

    unit: WaveUnit
    first: int = 0
    end: int | None = None
    lead: int = 0
    tail: int = 0

    def __post_init__(self) -> None:
        if self.first < 0 or (self.end is not None and self.end <= self.first):
            raise ValueError(f"a window must begin at 0 or later and end after it, not {self.first} … {self.end}")


class Watch:
    """Waits for a window in the first run of a simulated device, writes its waves, and notes its cycles.

    Parameters
    ----------
    path: of a VCD file; None: only the cycles are noted.

    Members
    -------
    first_cycle, end_cycle: of the run, when the window's first cycle or step came, and when its last one was done, to
        within `UNCERTAINTY` where they are counted in steps; None while they have not come.
    time_offset: where a cycle c of the run is in the file: at time 10 · (c + time_offset).
    """

    UNCERTAINTY = _READ_CYCLES

    def __init__(self, window: WaveWindow, path: "pathlib.Path | None" = None) -> None:
        self.window = window
        self.path = path
        self.first_cycle: int | None = None
        self.end_cycle: int | None = None
        self.time_offset = 0
        self._writing = False
        self._done = True  # until a run starts
        self._started: int | None = None

    def run_started(self, simulation: Simulation) -> None:
        """Called before a run starts. Only the first one is watched."""
        if self._started is None:
            self._started = self.time_offset = simulation.cycles
            self._done = False
            if self.window.unit is WaveUnit.CYCLES:
                self.look(simulation)

    def look(self, simulation: Simulation) -> int:
        """Begins or ends the file if it is time; the cycles that may pass before the next look, at least 1."""
        if self._done or self._started is None:
            return _NEVER
        in_steps = self.window.unit is WaveUnit.STEPS
        place = simulation.read(_STEPS) if in_steps else simulation.cycles - self._started
        now = simulation.cycles - self._started
        margin = _READ_CYCLES if in_steps else 0
        lead = self.window.lead if in_steps else 0
        if place + lead + margin < self.window.first:
            return self.window.first - place - lead - margin
        self._begin(simulation)
        if place < self.window.first:
            return max(1, self.window.first - place - margin)
        if self.first_cycle is None:
            self.first_cycle = now
        if self.window.end is None:
            return _NEVER
        if place < self.window.end:
            return max(1, self.window.end - place - margin)
        if self.end_cycle is None:
            self.end_cycle = now
        left = self.end_cycle + self.window.tail - now
        if left <= 0:
            self.run_ended(simulation)
        return max(1, left)

    def run_ended(self, simulation: Simulation) -> None:
        """Called when the run has ended, wherever the window stands."""
        if self._started is None or self._done:
            return
        if self.first_cycle is not None and self.end_cycle is None:
            self.end_cycle = simulation.cycles - self._started
        if self._writing:
            simulation.end_trace()
        self._writing, self._done = False, True

    def _begin(self, simulation: Simulation) -> None:
        if self.path is not None and not self._writing:
            simulation.begin_trace(self.path)
            self._writing = True

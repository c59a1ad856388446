"""A compiled program as a person uses it: what it will cost, what it says, and its runs on a device.

This file is on a board too: what a board lacks is imported where it is needed.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .compiler.program.fileformat import load, save
from .compiler.program.listing import listing
from .compiler.program.program import Program
from .runtime.device import Device
from .runtime.driver import Driver
from .runtime.images import as_array
from .runtime.results import RunResult

if TYPE_CHECKING:
    from .estimate import SpeedEstimate
    from .platforms.boards import Board
    from .runtime.interpreted import InterpretedDevice
    from .runtime.simulated import SimulatedDevice
    from .runtime.waves import Watch
    from .sim.conditions import DdrConditions


@dataclasses.dataclass(frozen=True, eq=False)
class CompiledProgram:
    """A network as a program for one accelerator.

    Members
    -------
    program: the instructions, parameters and layouts (`compiler/program/program.py`).
    board: whose memory and clock estimates and simulations assume; None: 2.1 GB/s peak and 100 MHz.
    """

    program: Program
    board: "Board | None" = None

    @classmethod
    def load(cls, path: "str | os.PathLike[str]", *, board: "str | Board | None" = None) -> "CompiledProgram":
        """Reads a program from a file (.imp).

        Raises
        ------
        ProgramFileError: it is no program, is damaged, or is of another version.
        OSError: it cannot be read.
        """
        program = cls(load(path))
        return program if board is None else program.assuming(board)

    def assuming(self, board: "str | Board") -> "CompiledProgram":
        """The program with a board whose memory and clock estimates and simulations assume.

        Raises
        ------
        UnknownBoardError: there is no board of this name.
        """
        from .platforms.boards import board as find_board

        return dataclasses.replace(self, board=find_board(board) if isinstance(board, str) else board)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Writes the program to a file (.imp), whole or not at all.

        Raises
        ------
        OSError: the file cannot be written.
        """
        save(self.program, path)

    def listing(self) -> str:
        """The program as text, instruction by instruction."""
        return listing(self.program)

    def estimate(self, conditions: "DdrConditions | None" = None) -> "SpeedEstimate":
        """How fast it will be, by the model of the engines' cycles: seconds, without a simulation."""
        from .estimate import estimate_speed

        return estimate_speed(self.program, conditions or self.conditions())

    def conditions(self, **overrides: Any) -> "DdrConditions":
        """The board's memory as simulations and estimates assume it; `overrides` are fields of `DdrConditions`."""
        from .memory import conditions_of
        from .sim.conditions import DdrConditions

        if self.board is None:
            return DdrConditions(**overrides)
        return conditions_of(self.board, self.program.geometry, **overrides)

    def simulator(
        self, conditions: "DdrConditions | None" = None, *, watch: "Watch | None" = None,
        progress: Callable[[str], None] | None = None,
    ) -> "SimulatedDevice":  # fmt: skip
        """The accelerator in RTL simulation; the first time its simulator is built, which takes minutes.

        Parameters
        ----------
        conditions: of the memory; None: the board's.
        watch: waves (VCD) of a part of the first run (`runtime/waves.py`); None: none are written.
        progress: called with a line of text when a step of the build begins.

        Raises
        ------
        SimulationToolError: a tool is missing; the message says which.
        """
        from .runtime.simulated import SimulatedDevice

        return SimulatedDevice(
            self.program.geometry, conditions or self.conditions(), watch=watch, progress=progress
        )

    def interpreter(self) -> "InterpretedDevice":
        """The accelerator as an interpreter of its instructions: every value in seconds and without a simulator, but no
        cycles."""
        from .runtime.interpreted import InterpretedDevice

        return InterpretedDevice(self.program.geometry)

    @contextlib.contextmanager
    def on(self, device: Device) -> Iterator[Driver]:
        """A driver with the program loaded, for as long as the block runs; the device stays the caller's.

        Raises
        ------
        DeviceError: the device has another accelerator, or too little memory.
        """
        driver = Driver(device)
        driver.load(self.program)
        yield driver
        driver.unload()

    def run(self, images: Any, device: Device | None = None) -> RunResult:
        """Runs images, as many at once as the program computes.

        Parameters
        ----------
        images: N × C × H × W or C × H × W, of NumPy or PyTorch: integers are codes, floating-point numbers real values.
        device: a board (`intramix.PynqDevice("intramix.bit")`), or `interpreter()`; None: the simulated RTL, which
            takes seconds an image.

        Raises
        ------
        ImageError: the images do not fit.
        DeviceError: the device cannot do it, or the accelerator stopped with an error.
        """
        if device is None:
            with self.simulator() as simulator:
                return self.run(images, simulator)
        with self.on(device) as driver:
            return driver.run(as_array(images))

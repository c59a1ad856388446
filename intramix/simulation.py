"""A program on the simulated RTL, every stored value of every layer compared with the integer model's."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .program import CompiledProgram
from .quant.graph.graph import IntegerGraph
from .runtime.figures.simulation import SimulationFigures, simulation_figures
from .runtime.images import as_array
from .runtime.simulated import SimulatedDevice
from .runtime.verification import VerificationReport, verify


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SimulationResult:
    """What a simulation found.

    Members
    -------
    report: of the comparison, by layer.
    figures: cycles, frames a second and traffic, by layer and in all (docs/json.md).
    seconds: wall-clock time of the runs.
    """

    report: VerificationReport
    figures: SimulationFigures
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every value and every CRC is the integer model's."""
        return self.report.passed

    def accuracy(self, labels: Any) -> float:
        """Share of the images run whose largest score is their label's; of a network with one output."""
        (output,) = self.report.runs[0].codes
        scores = np.concatenate([run.images(output) for run in self.report.runs])[: self.report.images]
        return float((scores.reshape(len(scores), -1).argmax(axis=1) == as_array(labels)).mean())

    def __str__(self) -> str:
        figures = self.figures
        return (
            f"{self.report}\n{figures.cycles_per_frame:,.0f} cycles a frame, {figures.frames_per_second:,.1f} frames/s "
            f"at {figures.clock_hz / 1e6:g} MHz, array {100 * figures.array_utilisation:.1f} % of "
            f"{figures.macs_per_cycle:,} multiply-accumulates a cycle"
        )


def simulate(
    program: CompiledProgram, graph: IntegerGraph, images: Any, device: SimulatedDevice, *,
    progress: Callable[[str], None] | None = None,
) -> SimulationResult:  # fmt: skip
    """Runs images on a simulated accelerator and compares every stored value.

    Parameters
    ----------
    graph: what the program was compiled from.
    images: see `CompiledProgram.run`.
    device: from `CompiledProgram.simulator`.
    progress: called with a line of text before every run.
    """
    started = time.monotonic()
    with program.on(device) as driver:
        report = verify(driver, graph, as_array(images), progress=progress)
    seconds = time.monotonic() - started
    figures = simulation_figures(
        program.program, program.board.name if program.board else "", device.conditions, report,
        simulated_cycles=device.cycles, seconds=seconds,
    )  # fmt: skip
    return SimulationResult(report=report, figures=figures, seconds=seconds)

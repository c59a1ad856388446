"""What benchmarks print with: steps with their seconds, tables, and what a simulation found."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from intramix.program import CompiledProgram
from intramix.quant.graph.graph import IntegerGraph
from intramix.runtime.figures.simulation import SimulationFigures
from intramix.runtime.simulated import SimulatedDevice
from intramix.sim.conditions import DdrConditions
from intramix.simulation import SimulationResult, simulate

console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 150)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Prints what is being done, and then how long it took."""
    started = time.monotonic()
    with console.status(title):
        yield
    console.print(f"{title}: {time.monotonic() - started:.1f} s")


def table(title: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; `columns` are (heading, justification)."""
    result = Table(title=title, title_justify="left")
    for heading, justify in columns:
        result.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        result.add_row(*row)
    console.print(result)


def build(program: CompiledProgram, conditions: DdrConditions | None = None) -> SimulatedDevice:
    """The simulated accelerator of a program."""
    with step("Build the simulator"):
        return program.simulator(conditions)


def check(program: CompiledProgram, graph: IntegerGraph, images: Any, device: SimulatedDevice) -> SimulationResult:
    """Runs images on the simulated RTL and compares every value; ends with exit code 3 where one differs."""
    with step("Run images through the RTL"):
        simulation = simulate(program, graph, images, device)
    if not simulation.passed:
        console.print(f"The RTL differs from the integer model: {simulation.report}")
        raise SystemExit(3)
    return simulation


def totals(figures: SimulationFigures) -> None:
    """The totals of a run, and the conditions that they hold under."""
    ddr = figures.ddr
    console.print(
        f"{figures.cycles_per_frame:,.0f} cycles a frame, {figures.frames_per_second:,.1f} frames/s at "
        f"{figures.clock_hz / 1e6:.0f} MHz, {figures.gops:.2f} GOPS, array {100 * figures.array_utilisation:.1f} % of "
        f"{figures.macs_per_cycle:,} MACs a cycle; batch {figures.batch}, memory "
        f"{ddr.peak_bytes_per_second / 1e9:g} GB/s peak, "
        f"{100 * ddr.efficiency:.1f} % granted, {ddr.latency_cycles} cycles of read latency; all "
        f"{figures.values_compared:,} values and {figures.crc_compared:,} CRCs equal the integer model's"
    )

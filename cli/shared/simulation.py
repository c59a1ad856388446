"""A simulation with its progress: what `demo` and `simulate` share."""

import itertools
from typing import Any

from ...program import CompiledProgram
from ...quant.graph.graph import IntegerGraph
from ...runtime.simulated import SimulatedDevice
from ...runtime.verification import VerificationReport
from ...sim.conditions import DdrConditions
from ...simulation import SimulationResult, simulate
from .console import bar, console, step
from .tables import counted


def build(program: CompiledProgram, conditions: DdrConditions | None = None) -> SimulatedDevice:
    """The simulated accelerator of a program, built if it is not in the cache."""
    with step("Build the simulator") as note:
        return program.simulator(conditions, progress=note)


def check(program: CompiledProgram, graph: IntegerGraph, images: Any, device: SimulatedDevice) -> SimulationResult:
    """Runs every image, comparing every stored value."""
    with bar("Run images through the RTL") as advance:
        done, runs = itertools.count(), -(-len(images) // program.program.batch)
        return simulate(program, graph, images, device, progress=lambda note: advance(next(done), runs, ""))


def verdict(report: VerificationReport) -> bool:
    """Says whether the hardware and the integer model are equal, and where they first differ."""
    if report.passed:
        crcs = sum(layer.crc_compared for layer in report.layers)
        console.print(
            f"[bold green]Every value of every layer is equal:[/] {counted(report.compared, 'value')} and "
            f"{counted(crcs, 'CRC')} of {counted(report.images, 'image')}, RTL against the integer model."
        )
        if unstored := sum(bool(layer.on_load) for layer in report.layers):
            told = "is computed on load: the layer that reads it stands for it" if unstored == 1 else (
                "are computed on load: the layers that read them stand for them"
            )
            console.print(f"[dim]{counted(unstored, 'depthwise layer')} {told}[/]")
    else:
        console.print(f"[bold red]The RTL differs from the integer model:[/] {report}")
    return report.passed

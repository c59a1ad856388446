"""What `demo` and `simulate` share: build the simulated accelerator, run images through it, compare every value."""

import itertools
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...compiler.program.program import Program
from ...explore.cycles import estimate
from ...platforms.boards import Board
from ...platforms.zynq.systems import board_system
from ...quant.graph.graph import IntegerGraph
from ...runtime.driver import Driver
from ...runtime.figures import layer_figures, mean_cycles, run_figures
from ...runtime.simulated import SimulatedDevice
from ...runtime.verification import VerificationReport, verify
from ...sim.conditions import DdrConditions
from .console import bar, console, step


def build(program: Program, conditions: DdrConditions) -> SimulatedDevice:
    """The Verilated accelerator of a program's geometry, built if it is not in the cache."""
    with step("Build the simulator") as note:
        return SimulatedDevice(program.geometry, conditions, progress=note)


def check(
    device: SimulatedDevice, program: Program, graph: IntegerGraph, images: np.ndarray
) -> tuple[VerificationReport, float]:
    """Runs every image, comparing every stored value; the report and the wall-clock seconds."""
    driver = Driver(device)
    driver.load(program)
    started = time.monotonic()
    with bar("Run images through the RTL") as advance:
        done, runs = itertools.count(), -(-len(images) // program.batch)
        report = verify(driver, graph, images, progress=lambda note: advance(next(done), runs, ""))
    return report, time.monotonic() - started


def figures_of(
    program: Program, board: Board, conditions: DdrConditions, report: VerificationReport, *,
    simulated_cycles: int, seconds: float,
) -> dict[str, Any]:
    """Figures of a verified run, under the keys of docs/json.md."""
    runs = report.runs
    layers = layer_figures(
        program,
        mean_cycles(program, runs),
        {check.tensor: check.compared for check in report.layers},
        {check.tensor: check.mismatched for check in report.layers},
    )
    return {
        **run_figures(program, layers, runs, images=report.images, clock_hz=conditions.clock_hz),
        "board": board.name,
        "ddr": {
            "peak_bytes_per_second": conditions.peak_bytes_per_second,
            "efficiency": conditions.efficiency,
            "latency_cycles": conditions.latency_cycles,
            "stall_probability": conditions.stall_probability,
            "seed": conditions.seed,
            "shared_ports": [list(names) for names in conditions.shared_ports],
        },
        "crc_compared": sum(layer.crc_compared for layer in report.layers),
        "crc_mismatched": sum(layer.crc_mismatched for layer in report.layers),
        "counters": dict(runs[-1].counters),
        "simulated_cycles_per_second": simulated_cycles / seconds,
    }


def accuracy_of(report: VerificationReport, output: str, labels: np.ndarray) -> float:
    """Share of the images run whose largest score in the map `output` is their label's."""
    scores = np.concatenate([run.images(output) for run in report.runs])[: report.images]
    return float((scores.reshape(len(scores), -1).argmax(axis=1) == labels).mean())


def verdict(report: VerificationReport) -> bool:
    """Says whether the hardware and the integer model are equal, and where they first differ."""
    if report.passed:
        crcs = sum(layer.crc_compared for layer in report.layers)
        console.print(
            f"[bold green]Every value of every layer is equal:[/] {report.compared:,} values and {crcs:,} CRCs of "
            f"{report.images} images, RTL against the integer model."
        )
        if unstored := sum(bool(layer.on_load) for layer in report.layers):
            console.print(f"[dim]{unstored} depthwise layers are computed on load: the layers that read them stand for "
                          "them[/]")
    else:
        console.print(f"[bold red]The RTL differs from the integer model:[/] {report}")
    return report.passed


def modelled_cycles(program: Program, conditions: DdrConditions) -> float:
    """Cycles a frame by the cycle model, without a simulation."""
    modelled = estimate(program, bytes_per_cycle=conditions.bytes_per_cycle, latency_cycles=conditions.latency_cycles)
    return modelled.cycles / program.batch


def conditions_of(board: Board, overrides: Mapping[str, Any] | None = None) -> DdrConditions:
    """The memory of a board: 75 % of its peak, 40 cycles of latency, unless told otherwise; its processing system's
    ports, where there are fewer than the accelerator has masters."""
    shared: tuple[tuple[str, ...], ...] = ()
    if board.part is not None:
        ports = board_system(board).assign(board.geometry)
        shared = tuple(names for names in ports.values() if len(names) > 1)
    return DdrConditions(
        peak_bytes_per_second=board.memory_bytes_per_second, clock_hz=board.clock_hz, shared_ports=shared,
        **(overrides or {}),
    )  # fmt: skip

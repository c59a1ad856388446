"""Waves: which part of a run, how large the file will be, and the simulator that is built for it."""

from ...compiler.explain.explanation import Explanation
from ...compiler.program.program import Program
from ...program import CompiledProgram
from ...runtime.simulated import SimulatedDevice
from ...runtime.waves import Watch, WaveUnit, WaveWindow
from ...sim.accelerator import trace_bytes
from ...sim.conditions import DdrConditions
from .console import console, step
from .errors import UserError

_LEAD_CYCLES = 32
_PIPELINE_CYCLES = 64
"""From a position's last step until its codes are in the output memory, without the drain."""


def value_window(program: Program, explanation: Explanation) -> WaveWindow:
    """The steps that make an explained value, and the cycles until it is in the output memory."""
    first = explanation.standing.steps_before
    return WaveWindow(
        unit=WaveUnit.STEPS, first=first, end=first + explanation.compute.group_steps, lead=_LEAD_CYCLES,
        tail=_PIPELINE_CYCLES + program.geometry.drain_cycles,
    )  # fmt: skip


def chosen_window(program: Program, cycles: str | None, layer: str | None) -> WaveWindow:
    """The part of a run that `--trace-cycles FIRST:END` or `--trace-layer NAME` asks for; without either all of it.

    Raises
    ------
    UserError: they cannot be read, or there is no such layer.
    """
    if cycles is not None and layer is not None:
        raise UserError("--trace-cycles and --trace-layer exclude each other")
    if cycles is not None:
        first, _, end = cycles.partition(":")
        try:
            return WaveWindow(unit=WaveUnit.CYCLES, first=int(first or 0), end=int(end) if end else None)
        except ValueError as error:
            raise UserError(f"--trace-cycles takes FIRST:END, such as 1000:2000, not {cycles!r} ({error})") from error
    if layer is None:
        return WaveWindow(unit=WaveUnit.CYCLES)
    numbers = [record.number for record in program.layers if layer in (record.name, str(record.number))]
    if not numbers:
        names = ", ".join(record.name for record in program.layers)
        raise UserError(f"program {program.name} has no layer {layer!r}; it has {names}")
    return layer_window(program, numbers[0])


def layer_window(program: Program, number: int) -> WaveWindow:
    """From the first step of a layer to its last: where layers take turns, those of others between."""
    steps, first, end = 0, 0, 0
    for compute in program.computes():
        if compute.layer == number:
            first, end = (first if end else steps), steps + compute.steps
        steps += compute.steps
    tail = _PIPELINE_CYCLES + program.geometry.drain_cycles
    return WaveWindow(unit=WaveUnit.STEPS, first=first, end=end, lead=_LEAD_CYCLES, tail=tail)


def watched_device(
    program: CompiledProgram, watch: Watch, *, conditions: DdrConditions | None = None
) -> SimulatedDevice:
    """A simulated device that writes waves; says how large they will be, and what it costs."""
    conditions = conditions or program.conditions()
    if watch.path is not None:
        cycles = _cycles(program, watch.window, conditions)
        megabytes = trace_bytes(program.program.geometry, cycles) / 1e6
        console.print(
            f"waves of about {cycles:,.0f} cycles, some {megabytes:,.0f} MB, in {watch.path}. The simulator is built "
            "anew for them, which takes minutes the first time; it runs slower"
        )
        watch.path.parent.mkdir(parents=True, exist_ok=True)
    with step("Build the simulator") as note:
        return program.simulator(conditions, watch=watch, progress=note)


def _cycles(compiled: CompiledProgram, window: WaveWindow, conditions: DdrConditions) -> float:
    """Cycles that a window will take, by the cycle model."""
    program = compiled.program
    run = compiled.estimate(conditions).cycles_per_frame * program.batch
    if window.unit is WaveUnit.CYCLES:
        return (run if window.end is None else min(run, window.end)) - min(run, window.first)
    steps = sum(layer.steps for layer in program.layers)
    end = steps if window.end is None else window.end
    return (end - window.first) * run / max(1, steps) + window.lead + window.tail

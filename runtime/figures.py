"""The figures of a run, under the keys that docs/json.md documents: what tables, reports and JSON files are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..compiler.program.program import Program
from .results import ProgramRun

_ENGINES = {
    "weights": {"WEIGHTS_BUSY": "had an instruction", "WEIGHTS_STALL": "… and waited for room in a ring"},
    "maps": {"MAPS_BUSY": "loaded", "MAPS_WAIT": "waited for tokens"},
    "compute": {
        "COMPUTE_STEPS": "made a step",
        "COMPUTE_WAIT": "waited for tokens or constants",
        "COMPUTE_WEIGHTS": "waited for weights",
        "COMPUTE_DRAIN": "waited for the drain of the group before",
    },
    "store": {"STORE_BUSY": "stored", "STORE_WAIT": "waited for tokens"},
}
"""What an engine did in the cycles that a counter counts."""


def mean_cycles(program: Program, runs: Sequence[ProgramRun]) -> dict[int, float]:
    """Cycles of a run by layer number, mean of the runs."""
    cycles = {layer.number: 0.0 for layer in program.layers}
    for run in runs:
        for entry in run.log:
            cycles[entry.number] += entry.cycles / len(runs)
    return cycles


def engine_figures(counters: Sequence[Mapping[str, int]]) -> list[dict[str, Any]]:
    """By engine, cycles of a run by what it did in them, mean of the counters of several runs."""
    return [
        {"engine": engine, "cycles": {text: sum(run[name] for run in counters) / len(counters) for name, text in
                                      events.items()}}
        for engine, events in _ENGINES.items()
    ]


def layer_figures(
    program: Program, cycles: Mapping[int, float], compared: Mapping[str, int], mismatched: Mapping[str, int]
) -> list[dict[str, Any]]:
    """One dictionary a layer, in order of execution: of a whole run, all images that it computes.

    Parameters
    ----------
    cycles: mean cycles of a run by layer number.
    compared, mismatched: stored values by tensor name.
    """
    return [
        {
            "number": layer.number,
            "name": layer.name,
            "on_load": layer.on_load,
            "kind": layer.kind,
            "macs": layer.macs + layer.on_load_macs,
            "formats": layer.formats,
            "lanes": layer.lane_mix,
            "steps": layer.steps,
            "cycles": cycles[layer.number],
            "ideal_cycles": layer.ideal_cycles,
            "array_utilisation": utilisation(layer.macs, cycles[layer.number], program),
            "read_bytes": layer.read_bytes,
            "write_bytes": layer.write_bytes,
            "values_compared": compared.get(layer.output, 0),
            "values_mismatched": mismatched.get(layer.output, 0),
        }
        for layer in program.layers
    ]


def run_figures(
    program: Program, layers: Sequence[dict[str, Any]], runs: Sequence[ProgramRun], *, images: int, clock_hz: float
) -> dict[str, Any]:
    """Totals of runs, of a frame where nothing else is said, the layers of a run included."""
    macs = sum(layer["macs"] for layer in layers) // program.batch
    speed = speed_figures(program, runs, clock_hz=clock_hz)
    return {
        "network": program.name,
        "geometry": program.geometry.to_dict(),
        "macs_per_cycle": program.geometry.macs_per_cycle,
        "activation_bits": program.geometry.activation_bits,
        "images": images,
        "layers": list(layers),
        "values_compared": sum(layer["values_compared"] for layer in layers),
        "values_mismatched": sum(layer["values_mismatched"] for layer in layers),
        "macs": macs,
        **speed,
        "gops": 2 * macs * speed["frames_per_second"] / 1e9,
        "array_utilisation": utilisation(sum(layer.macs for layer in program.layers), speed["cycles_per_run"], program),
    }


def speed_figures(program: Program, runs: Sequence[ProgramRun], *, clock_hz: float) -> dict[str, Any]:
    """How fast the accelerator alone is, all runs full."""
    cycles = sum(run.cycles for run in runs) / len(runs)
    frame = cycles / program.batch
    return {
        "batch": program.batch,
        "clock_hz": clock_hz,
        "cycles_per_run": cycles,
        "cycles_per_frame": frame,
        "frames_per_second": clock_hz / frame,
    }


def unmeasured(program: Program) -> dict[str, Any]:
    """The keys of `speed_figures` for a device that measures no cycles."""
    keys = ("clock_hz", "cycles_per_run", "cycles_per_frame", "frames_per_second")
    return {"batch": program.batch, **dict.fromkeys(keys)}


def utilisation(macs: int, cycles: float, program: Program) -> float:
    """Share of the array's multiply-accumulates that the model asks of it."""
    return macs / (cycles * program.geometry.macs_per_cycle) if cycles else 0.0

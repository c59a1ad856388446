"""The figures of a profile: where the cycles of a run go, by layer and by engine."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated

from ...compiler.program.program import Program
from ..results import RunResult
from .fields import Means
from .layers import LayerFigures, layer_fields
from .run import RunFigures, run_fields

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProfiledLayerFigures(LayerFigures):
    """A layer with the cycles that the array waited."""

    waiting_cycles: Annotated[float, Means("`cycles` − `steps`: its time in which the array made no step", "cycles")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineFigures:
    """An engine of the accelerator."""

    engine: Annotated[str, Means("`weights`, `maps`, `compute` or `store`")]
    cycles: Annotated[Mapping[str, float], Means("by what it did in them, mean of the runs", "cycles")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProfileFigures(RunFigures):
    """What `profile` writes."""

    layers: Annotated[tuple[ProfiledLayerFigures, ...], Means("in order of execution; of a whole run, all `batch` "
                                                              "images")]  # fmt: skip
    engines: Annotated[tuple[EngineFigures, ...], Means("of a whole run, by the hardware's counters")]


def profile_figures(program: Program, result: RunResult) -> ProfileFigures:
    """Figures of images that were run with their counters read."""
    layers = tuple(
        ProfiledLayerFigures(**fields, waiting_cycles=fields["cycles"] - layer.steps)
        for layer, fields in layer_fields(program, result.runs)
    )
    return ProfileFigures(
        **run_fields(program, result.runs, images=result.images, clock_hz=result.clock_hz),
        layers=layers,
        engines=engine_figures([run.counters for run in result.runs]),
    )


def engine_figures(counters: Sequence[Mapping[str, int]]) -> tuple[EngineFigures, ...]:
    """By engine, cycles of a run by what it did in them, mean of the counters of several runs."""
    return tuple(
        EngineFigures(engine=engine, cycles={
            text: sum(run[name] for run in counters) / len(counters) for name, text in events.items()
        })
        for engine, events in _ENGINES.items()
    )  # fmt: skip

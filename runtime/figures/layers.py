"""The figures of a layer that every run has."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from ...compiler.program.program import LayerRecord, Program
from ..results import ProgramRun
from .fields import Means
from .layer_times import layer_times


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerFigures:
    """A layer of a whole run, all images that it computes at once."""

    number: Annotated[int, Means("number of the layer, in order of execution, from 0")]
    name: Annotated[str, Means("name of the layer")]
    on_load: Annotated[str, Means("the depthwise layer that is computed while this one's input is loaded, or \"\"; its "
                                  "MACs are among `macs`")]  # fmt: skip
    kind: Annotated[str, Means("type of the layer")]
    macs: Annotated[int, Means("multiply-accumulates that the model asks for")]
    formats: Annotated[Mapping[str, int], Means("filters by weight format")]
    lanes: Annotated[Mapping[str, int], Means("filters by class of the lane that computes them")]
    steps: Annotated[int, Means("steps of the array that the program spends on it", "cycles")]
    cycles: Annotated[float, Means(
        "time of the layer, mean of the runs: from the moment when the array has done all steps of the layers before "
        "it to the moment when it has done this one's, each taken as late as the log allows. Layers of a turn, whose "
        "steps alternate, share their time in proportion to their steps. The times of all layers add up to the end of "
        "the last one, and none is below `steps`", "cycles")]  # fmt: skip
    finished_cycle: Annotated[float, Means("when its last word was stored, counted from the start of the run, mean of "
                                           "the runs", "cycles")]  # fmt: skip
    ideal_cycles: Annotated[float, Means("what it would take at the array's full rate", "cycles")]
    array_utilisation: Annotated[float, Means(
        "share of the array's multiply-accumulates in its `cycles` that the model asks for, at most 1; those of "
        "`on_load` are not the array's")]  # fmt: skip
    read_bytes: Annotated[int, Means("read from DDR", "bytes")]
    write_bytes: Annotated[int, Means("written to DDR", "bytes")]

    @property
    def title(self) -> str:
        """Its name, with that of the depthwise layer that is computed while its input is loaded."""
        return f"{self.on_load} → {self.name}" if self.on_load else self.name


def layer_fields(program: Program, runs: Sequence[ProgramRun]) -> list[tuple[LayerRecord, dict[str, Any]]]:
    """Every layer of the program, in order of execution, with the fields of its `LayerFigures`."""
    times = layer_times(program, runs)
    finished = {layer.number: 0.0 for layer in program.layers}
    for run in runs:
        for entry in run.log:
            finished[entry.number] += entry.finished / len(runs)
    return [
        (layer, {
            "number": layer.number,
            "name": layer.name,
            "on_load": layer.on_load,
            "kind": layer.kind,
            "macs": layer.macs + layer.on_load_macs,
            "formats": layer.formats,
            "lanes": layer.lane_mix,
            "steps": layer.steps,
            "cycles": times[layer.number],
            "finished_cycle": finished[layer.number],
            "ideal_cycles": layer.ideal_cycles,
            "array_utilisation": utilisation(layer.macs, times[layer.number], program),
            "read_bytes": layer.read_bytes,
            "write_bytes": layer.write_bytes,
        })
        for layer in program.layers
    ]  # fmt: skip


def utilisation(macs: int, cycles: float, program: Program) -> float:
    """Share of the array's multiply-accumulates that the model asks of it."""
    return macs / (cycles * program.geometry.macs_per_cycle) if cycles else 0.0

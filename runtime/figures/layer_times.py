"""Which cycles of a run were each layer's, from the log that the accelerator leaves.

The log says when the last word of every layer was stored, and layers overlap: one computes while the one before is
still being stored, and the layers of a turn take the array in turns. So the times between two ends are nobody's: a
layer could seem to do more in them than the array can. What is certain is the order of the array's steps, one a cycle,
which is the program's. So time is cut where the array leaves a layer:

- Layers whose steps alternate in the program form a group; others are groups of one.
- A group ends for the array at the latest moment that the log allows: the end of the layer that has its last step, or
  as many cycles before the end of the next group as that group has steps, whichever is earlier.
- A group's time runs from the end of the group before to its own, and is at least its steps. Its layers share it in
  proportion to their steps.

The times of all layers add up to the end of the last one, and no layer does more in its time than the array can.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from ...compiler.program.program import Program
from ..results import ProgramRun


@dataclasses.dataclass(frozen=True)
class StepGroup:
    """Layers that the array works on together.

    Members
    -------
    layers: their numbers, by their first step.
    last: number of the layer that has the last step.
    """

    layers: tuple[int, ...]
    last: int


def step_groups(order: Sequence[int]) -> tuple[StepGroup, ...]:
    """Groups of layers whose steps alternate, in order of time; `order` is the layer's number of each COMPUTE."""
    final = {number: place for place, number in enumerate(order)}
    groups: list[StepGroup] = []
    members: dict[int, None] = {}
    end = -1
    for place, number in enumerate(order):
        members[number] = None
        end = max(end, final[number])
        if place == end:
            groups.append(StepGroup(tuple(members), number))
            members = {}
    return tuple(groups)


def layer_times(program: Program, runs: Sequence[ProgramRun]) -> dict[int, float]:
    """Cycles of a run that were each layer's, by its number: the mean of the runs. A layer without steps has 0."""
    order = [compute.layer for compute in program.computes()]
    groups = step_groups(order)
    steps = {layer.number: layer.steps for layer in program.layers}
    times = {layer.number: 0.0 for layer in program.layers}
    for run in runs:
        finished = {entry.number: entry.finished for entry in run.log}
        for number, cycles in run_times(groups, steps, finished).items():
            times[number] += cycles / len(runs)
    return times


def run_times(
    groups: Sequence[StepGroup], steps: Mapping[int, int], finished: Mapping[int, int]
) -> dict[int, float]:
    """Cycles of one run by layer number.

    Parameters
    ----------
    groups: of the layers, in order of time.
    steps: by layer number.
    finished: cycles from the start of the run until the layer's last word was stored, by its number.
    """
    ends: list[int] = []
    latest = None
    for group in reversed(groups):
        end = finished[group.last] if latest is None else min(finished[group.last], latest)
        ends.append(end)
        latest = end - sum(steps[number] for number in group.layers)
    times: dict[int, float] = {}
    start = 0
    for group, end in zip(groups, reversed(ends)):
        total = sum(steps[number] for number in group.layers)
        times |= {number: (end - start) * steps[number] / total for number in group.layers}
        start = end
    return times

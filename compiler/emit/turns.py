"""Layers that run one after the other, and layers that run side by side, block by block.

Layers that follow one another can share a *turn*: each runs on the rows that the ones before it have stored, so that
what loads and stores most of the time runs beside what computes most of the time. All their weights stay in the ring
for the turn.

Each layer of a turn has a CRC register of its own in every group of lanes: the group's first STORE of the layer starts
it, the last one writes its record.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..lower.on_load import stored_box
from ..plan.blocks import Block
from ..plan.turn import Turn
from ..program.lane_groups import group_of
from ..span import Span
from .engine_queues import EngineQueues
from .layer import LayerSchedule

BEHIND = 2
"""Blocks of a layer that are computed while the rows before them are stored and loaded for the next one."""


def schedule(turn: Turn, queues: EngineQueues) -> None:
    """Appends the layers of a turn.

    Raises
    ------
    CompileError: no cut of a layer fits the geometry's memories.
    """
    schedules: list[LayerSchedule] = []
    for item in turn.members:
        before = tuple(schedules)
        schedules.append(LayerSchedule(queues, item.layer, item.parameters, item.cut, before))
    if len(schedules) == 1:
        for _ in schedules[0].run():
            pass
    else:
        _interleave(schedules)
    for register, schedule in enumerate(schedules):
        started: set[int] = set()
        for store in schedule.stores:
            group = group_of(store.instruction.lane, queues.geometry)
            store.instruction = dataclasses.replace(
                store.instruction, crc_register=register, crc_start=group not in started
            )
            started.add(group)


class _TurnLayer:
    """A layer of a turn, and how far it is.

    Members
    -------
    schedule: the layer's.
    blocks: of its input, in order.
    producers: layers of the turn whose output it reads, and whether as its input (else as its residual).
    rows: of its output that are there after so many blocks, by image.
    """

    def __init__(self, schedule: LayerSchedule, before: Sequence["_TurnLayer"]) -> None:
        self.schedule = schedule
        self.before = before
        self.blocks = list({id(tile_pass.block): tile_pass.block for tile_pass in schedule.passes}.values())
        self.run = schedule.run()
        self.rows = [np.zeros(schedule.layer.images, int)]
        layer = schedule.layer
        residual = None if layer.residual is None else layer.residual.name
        reads = (layer.stored.name, residual)
        self.producers = [(other, other.target == reads[0]) for other in before if other.target in reads]

    @property
    def target(self) -> str:
        return self.schedule.layer.target.name

    @property
    def done(self) -> int:
        return len(self.rows) - 1

    @property
    def ended(self) -> bool:
        return self.schedule.ended

    @property
    def ready(self) -> bool:
        """Whether the next block may come: its rows are there. The first and the last one come after those of all
        layers before: weights enter and leave the ring in order."""
        if not all(other.done for other in self.before):
            return False
        if self.done == len(self.blocks) - 1:
            return all(other.ended for other in self.before)
        block = self.blocks[self.done]
        return all(
            other.ended or self._there(block, as_input, other.rows[max(0, other.done - BEHIND)])
            for other, as_input in self.producers
        )

    def advance(self) -> None:
        """Appends a block."""
        next(self.run)
        block = self.blocks[self.done]
        rows = self.rows[-1].copy()
        rows[block.outputs.images.slice] = block.outputs.rows.end
        self.rows.append(rows)

    def _there(self, block: Block, as_input: bool, rows: np.ndarray) -> bool:
        """Whether the rows that a block's input or residual takes are among the first so many of each image."""
        end = block.outputs.rows.end
        if as_input:
            last = (block.inputs.rows.span.end - 1) * block.inputs.row_step
            layer = self.schedule.layer
            end = stored_box(layer, Span(0, last + 1), Span(0, 1))[0].span.end - layer.stored_border.top
            end = min(end, layer.stored.height - layer.stored_border.bottom - layer.stored_border.top)
        return bool((end <= rows[block.outputs.images.slice]).all())


def _interleave(schedules: Sequence[LayerSchedule]) -> None:
    """Appends layers block by block, always the one that is furthest behind; they end in their order."""
    members: list[_TurnLayer] = []
    for schedule in schedules:
        members.append(_TurnLayer(schedule, tuple(members)))
    while waiting := [member for member in members if not member.ended]:
        ready = [member for member in waiting if member.ready]
        min(ready, key=lambda member: (member.done / len(member.blocks), -len(member.before))).advance()

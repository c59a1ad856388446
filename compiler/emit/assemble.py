"""One program of the engines' queues: tokens, and an order in which no engine can block another for ever.

Executed one at a time in program order, every instruction can start at once: its tokens are there, its weights are in
the ring, what it loads has room. Within that, instructions of the two loading engines come as early as they can, so
that they run while the array computes; a few at a time, since an engine's queue holds `QUEUE_INSTRUCTIONS` and a full
one holds up all others.

Groups of pixel lanes (`lane_groups`) change none of this: their LOAD_MAPs and STOREs leave the engine's queue in
program order, and take their tokens then; and a token comes when its instruction and all before it are done, whatever
group they belong to. So a token orders what it would if each engine worked one instruction after the other.
"""

import collections
import itertools

from ...hdl.geometry import Geometry
from ...hdl.instructions import Finish, Instruction, LoadMap, Store
from ...hdl.isa import QUEUE_INSTRUCTIONS, TOKEN_LIMIT, Token
from ..errors import CompileError, InternalError
from ..program.rings import starvation
from .engine_queues import EngineQueues, MapItem, WeightItem
from .instructions import Draft

AHEAD = QUEUE_INSTRUCTIONS - 2
"""Instructions of a loading engine that may come earlier than the next COMPUTE needs."""
MILESTONES = 64
"""STOREs of one layer at most, for each image, that loads of another one wait for; more would only be finer."""
PENDING = TOKEN_LIMIT - 55
"""Tokens of a channel that may be pending in program order. Engines run ahead of it by what their queues hold, far less
than the 55 that are left."""


def assemble(queues: EngineQueues) -> list[Draft[Instruction]]:
    """All instructions in program order, FINISH included.

    Raises
    ------
    CompileError: more tokens would be pending than a counter holds.
    InternalError: a program that could stand still.
    """
    after = _connect(queues)
    stores = [store for compute in queues.computes for store in compute.stores]
    images = queues.images
    while True:  # as fine milestones as the counters of tokens allow
        waits = _milestones(queues, stores, MILESTONES * images)
        behind = [max(first, queues.store_owner[need] + 1) if need >= 0 else first
                  for first, need in zip(after, itertools.accumulate(waits, max))]  # fmt: skip
        program = _merge(queues, behind)
        signals = [(stores[need], item.draft) for need, item in zip(waits, queues.maps) if need >= 0]
        if images == 1 or _most_pending(program, signals) <= PENDING:
            break
        images = -(-images // 2)
    for store, load in signals:
        store.gives(Token.STORED)
        load.waits_for(Token.STORED)
    _check_tokens(program)
    _check_rings(program, queues.geometry)
    return program


def _connect(queues: EngineQueues) -> list[int]:
    """Adds the tokens of the lanes' memories; returns by LOAD_MAP how many COMPUTEs must come before it."""
    computes, maps = queues.computes, queues.maps
    input_needs, residual_needs, output_needs = (
        ring.needs() for ring in (queues.input, queues.residual, queues.output)
    )
    after = [0] * len(maps)

    closes = [number for number, item in enumerate(computes) if item.closes_input]
    uses_residual = [number for number, item in enumerate(computes) if item.residual_slice is not None]
    for channel, needs, frees, slice_of in (
        (Token.INPUT_FREE, input_needs, closes, lambda item: item.input_slice),
        (Token.RESIDUAL_FREE, residual_needs, uses_residual, lambda item: item.residual_slice),
    ):
        for number, item in enumerate(maps):
            part = slice_of(item)
            if part is not None and needs[part]:
                last = frees[needs[part] - 1]
                after[number] = max(after[number], last + 1)
                if needs[part] > (needs[part - 1] if part else 0):
                    computes[last].draft.gives(channel)
                    item.draft.waits_for(channel)

    for number, compute in enumerate(computes):
        if compute.opens_input:
            compute.draft.waits_for(Token.INPUT_READY)
        if compute.residual_slice is not None:
            compute.draft.waits_for(Token.RESIDUAL_READY)
        compute.draft.gives(Token.OUTPUT_READY)
        compute.stores[0].waits_for(Token.OUTPUT_READY)
        if output_needs[number] > (output_needs[number - 1] if number else 0):
            computes[output_needs[number] - 1].stores[-1].gives(Token.OUTPUT_FREE)
            compute.draft.waits_for(Token.OUTPUT_FREE)
    return after


def _milestones(queues: EngineQueues, stores: list[Draft[Store]], most: int) -> list[int]:
    """By LOAD_MAP the STORE that it waits for, not before the one it needs; −1: none that those before it did not wait
    for. Of each layer's STOREs `most` at most, but never one that comes only after a COMPUTE that needs the load."""
    maps, owner = queues.maps, queues.store_owner
    latest: list[int] = []
    for number, compute in enumerate(queues.computes):
        latest += [number] * (compute.maps - len(latest))
    by_layer: dict[int, set[int]] = {}
    deadline: dict[int, int] = {}
    for number, item in enumerate(maps):
        if item.stored >= 0:
            by_layer.setdefault(stores[item.stored].instruction.layer, set()).add(item.stored)
            deadline[item.stored] = min(deadline.get(item.stored, latest[number]), latest[number])
    chosen: dict[int, int] = {-1: -1}
    for needs in by_layer.values():
        ordered = sorted(needs)
        size = -(-len(ordered) // most)
        for start in range(0, len(ordered), size):
            part = ordered[start : start + size]
            for need in part:
                chosen[need] = max(other for other in part if other == need or owner[other] < deadline[need])
    waits, reached = [], -1
    for item in maps:
        needed = chosen[item.stored]
        waits.append(needed if needed > reached else -1)
        reached = max(reached, needed)
    return waits


class _Loader:
    """A loading engine's queue while the program is put together."""

    def __init__(self, items: list[WeightItem] | list[MapItem], program: list[Draft[Instruction]]) -> None:
        self.items = items
        self.program = program
        self.done = 0

    def emit(self) -> None:
        self.program.append(self.items[self.done].draft)
        self.done += 1


def _merge(queues: EngineQueues, after: list[int]) -> list[Draft[Instruction]]:
    geometry = queues.geometry
    program: list[Draft[Instruction]] = []
    weights, maps = _Loader(queues.weights, program), _Loader(queues.maps, program)
    words = tiles = 0  # in the rings, in program order

    def room(item: WeightItem) -> bool:
        # Into an empty ring even more than it holds: the next COMPUTE frees words while the last ones are loaded.
        fits = not item.words or not words or words + item.words <= geometry.weight_depth
        return fits and tiles + item.tiles <= geometry.constant_tiles

    for number, item in enumerate(queues.computes):
        while maps.done < min(item.maps + AHEAD, len(queues.maps)) and after[maps.done] <= number:
            maps.emit()
        while weights.done < min(item.weights + AHEAD, len(queues.weights)):
            load = queues.weights[weights.done]
            if not room(load):
                break
            words, tiles = words + load.words, tiles + load.tiles
            weights.emit()
        if maps.done < item.maps:
            raise InternalError(item.draft.where, "a step needs a map that can only be loaded after it")
        if weights.done < item.weights:
            raise InternalError(item.draft.where, "a step needs weights or constants that find no room before it")
        program.append(item.draft)
        program += item.stores
        words, tiles = words - item.releases, tiles - item.releases_constants
    program.append(Draft(Finish(), "program"))
    return program


def _most_pending(program: list[Draft[Instruction]], signals: list[tuple[Draft[Store], Draft[LoadMap]]]) -> int:
    """Tokens that are pending at once, in program order, if each of the pairs passes one."""
    change = collections.Counter(id(giver) for giver, _ in signals)
    change.subtract(id(taker) for _, taker in signals)
    return max(itertools.accumulate(change[id(draft)] for draft in program))


def _check_tokens(program: list[Draft[Instruction]]) -> None:
    pending = dict.fromkeys(Token, 0)
    for draft in program:
        for token in draft.wait:
            pending[token] -= 1
            if pending[token] < 0:
                raise InternalError(draft.where, f"waits for {token.name} before it is given")
        for token in sorted(draft.signal):
            pending[token] += 1
            if pending[token] > PENDING:
                raise CompileError(
                    draft.where,
                    f"more than {PENDING} {token.name} tokens would be pending: too many maps wait for later layers",
                    "order the layers so that branches follow one another",
                )
    assert not any(pending.values()), "tokens are left over"


def _check_rings(program: list[Draft[Instruction]], geometry: Geometry) -> None:
    """Proves that weights and constants are there when they are needed, and find room when they are loaded."""
    if (found := starvation((draft.instruction for draft in program), geometry)) is not None:
        what = f"instruction {found.index}, {found.instruction.opcode.name}"
        raise InternalError(program[found.index].where, f"the accelerator would stand still at {what}: {found.lacks}")

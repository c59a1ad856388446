"""The cycle model: when each engine executes each instruction of a program, and so how long every layer takes.

Engines are simulated instruction by instruction: queues, tokens, rings, the drain's spacing and the memory's shared
rate count; single beats and bursts do not. Of MAPS and STORE each lane group has a *unit*, fed from the
engine's one queue; a token comes when its instruction and all before it have ended. A whole network takes seconds,
without a simulator of the RTL. Against the RTL's cycles: docs/decisions/0006-turns.md.
"""

import dataclasses
import functools
import gc
import warnings
from collections import deque

from amaranth.hdl import UnusedElaboratable

from ..compiler.program.program import Program
from ..hdl.array.array import Array
from ..hdl.compute.drain import DrainTiming
from ..hdl.geometry import Geometry
from ..hdl.instructions import Compute, Finish, LoadConstants, LoadWeights, Store
from ..hdl.isa import FETCH_CYCLES, INSTRUCTION_BYTES, QUEUE_INSTRUCTIONS, Engine, Token
from .jobs import ComputeJob, Job, job_of

SHORTEST_STEP, LONGEST_STEP = 8.0, 256.0
"""Cycles of a step of the model: it ends when something may change, within these limits."""
LOAD_OVERHEAD = 14
"""Cycles from a load's start to its first word, and from a STORE's last word to its token, beside the memory's."""

_NEGLIGIBLE = 1e-3
_WEIGHTS, _MAPS, _COMPUTE, _STORE = range(4)
_PLACE = {Engine.WEIGHTS: _WEIGHTS, Engine.MAPS: _MAPS, Engine.COMPUTE: _COMPUTE, Engine.STORE: _STORE}


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What the model says of a program.

    Members
    -------
    cycles: of the whole program.
    layers: by layer number, cycles from the end of the layer that ended before it to its own end.
    busy: by engine, cycles in which it worked; of lane groups the one that worked longest.
    """

    cycles: int
    layers: dict[int, int]
    busy: dict[Engine, int]


class TimedMachine:
    """All engines, their queues, tokens and rings.

    Members
    -------
    engine: of every unit, which engine it belongs to. following, jobs, rates, busy: by unit too.
    of_engine: by engine, its units. begun: by engine, its instructions that may not have ended, in order. horizon: by
        engine, when all instructions before those had ended.
    """

    def __init__(self, program: Program, *, bytes_per_cycle: float, latency_cycles: int) -> None:
        g = self.geometry = program.geometry
        timing = _drain_timing(g)
        self.written_after = timing.written
        self.latency = latency_cycles + LOAD_OVERHEAD
        # Cycles from an instruction's end to each of its tokens.
        self.late = [0.0] * len(Token)
        self.late[Token.OUTPUT_READY] = self.late[Token.RESIDUAL_FREE] = timing.written
        self.late[Token.STORED] = self.latency
        self.bytes_per_cycle = bytes_per_cycle
        self.maps_rate = g.word_bytes / g.cycles_per_word
        self.weight_rate = g.weights_bus_bits / 8
        self.pending = deque(job_of(g, instruction, timing.spacing) for instruction in program.decoded())
        self.now = self.fetched = self.drained = 0.0
        self.tokens: list[deque[float]] = [deque() for _ in Token]
        self.queues: list[deque[Job]] = [deque() for _ in range(4)]
        self.begun: list[deque[Job]] = [deque() for _ in range(4)]
        self.horizon = [0.0] * 4
        self.engine = [place for place in range(4) for _ in range(g.maps_ports if place in (_MAPS, _STORE) else 1)]
        self.of_engine = [[unit for unit, place in enumerate(self.engine) if place == each] for each in range(4)]
        self.units = range(len(self.engine))
        self.following: list[Job | None] = [None] * len(self.engine)
        self.jobs: list[Job | None] = [None] * len(self.engine)
        self.rates = [0.0] * len(self.engine)
        self.busy = [0.0] * len(self.engine)
        self.words_written = self.words_freed = 0.0
        self.tiles_written = self.tiles_freed = 0
        self.stamps: dict[int, float] = {}
        self.finished = False

    def run(self) -> None:
        """To the end of the program.

        Raises
        ------
        RuntimeError: it has none.
        """
        still = 0
        while not self.finished:
            before = self.busy.copy(), len(self.pending)
            self._fetch()
            for unit in self.units:
                self._begin(self.engine[unit], self.now)
            self._share()
            step = self._step()
            for unit in self.units:
                self._advance(unit, step)
            self.now += step
            still = still + 1 if before == (self.busy, len(self.pending)) else 0
            if still > 1000:
                raise RuntimeError(f"the cycle model stands still in cycle {self.now:,.0f}")

    def _fetch(self) -> None:
        """FETCH hands out instructions in order; a full queue holds up all that follow."""
        while self.pending and self.fetched <= self.now:
            queue = self.queues[_PLACE[self.pending[0].instruction.engine]]
            if len(queue) >= QUEUE_INSTRUCTIONS:
                self.fetched = self.now
                return
            queue.append(self.pending.popleft())
            self.fetched += FETCH_CYCLES

    def _begin(self, engine: int, when: float) -> None:
        """Takes the tokens of the next instruction, and begins what its units are free for."""
        queue = self.queues[engine]
        units = self.of_engine[engine]
        if queue and self.following[unit := units[queue[0].group]] is None:
            job = queue[0]
            if all(self.tokens[token] and self.tokens[token][0] <= when for token in job.waits):
                for token in job.waits:
                    self.tokens[token].popleft()
                job.taken = when
                self.following[unit] = queue.popleft()
                self.begun[engine].append(job)
        for unit in units:
            if self.jobs[unit] is None and self.following[unit] is not None:
                self.jobs[unit], self.following[unit] = self.following[unit], None

    def _share(self) -> None:
        """Bytes a cycle that every unit moves: what it can, or its share of the memory's rate."""
        wanted = [self._wanted(unit) for unit in self.units]
        fetching = INSTRUCTION_BYTES / FETCH_CYCLES if self.pending and self.fetched > self.now else 0.0
        total = sum(wanted) + fetching
        share = min(1.0, self.bytes_per_cycle / total) if total else 1.0
        self.rates = [share * rate for rate in wanted]

    def _wanted(self, unit: int) -> float:
        engine, job, g = self.engine[unit], self.jobs[unit], self.geometry
        if job is None or not job.bytes_left or engine == _COMPUTE:
            return 0.0
        if engine == _STORE:
            return self.maps_rate
        if self.now < job.taken + self.latency:
            return 0.0
        if engine == _MAPS:
            return self.maps_rate
        if isinstance(job.instruction, LoadConstants):
            room = self.tiles_written + job.instruction.tiles - self.tiles_freed <= g.constant_tiles
            return self.weight_rate if room else 0.0
        room = self.words_written - self.words_freed < g.weight_depth - _NEGLIGIBLE
        return self.weight_rate * g.weight_ports if room else 0.0

    def _step(self) -> float:
        """Cycles until something may change."""
        ends = [LONGEST_STEP]
        if self.pending and self.fetched > self.now:
            ends.append(self.fetched - self.now)
        for unit, job in enumerate(self.jobs):
            if job is not None:
                rate = self.rates[unit]
                if rate:
                    ends.append(job.bytes_left / rate)
                elif not job.bytes_left:
                    ends.append(job.cycles_left)
                if self.engine[unit] == _WEIGHTS:
                    return SHORTEST_STEP  # the ring may fill up, or the array wait for a word
        for unit in (*self.of_engine[_WEIGHTS], *self.of_engine[_MAPS]):
            waiting = self.jobs[unit]
            if waiting is not None and waiting.taken + self.latency > self.now:
                ends.append(waiting.taken + self.latency - self.now)
        ends += [given[0] - self.now for given in self.tokens if given and given[0] > self.now]
        return min(LONGEST_STEP, max(SHORTEST_STEP, min(ends)))

    def _advance(self, unit: int, step: float) -> None:
        """A unit's step; several instructions if they are short."""
        engine, left = self.engine[unit], step
        while left > 0:
            self._begin(engine, self.now + step - left)
            job = self.jobs[unit]
            if job is None:
                return
            if isinstance(job.instruction, Finish):
                self.finished = self.begun[engine][0] is job
                return
            when = self.now + step - left
            if job.taken > when:  # another unit of the engine came to it within this step
                left, when = self.now + step - job.taken, job.taken
            spent = self._compute(job, when, left) if isinstance(job, ComputeJob) else self._move(unit, job, left)
            self.busy[unit] += spent
            left -= spent
            if job.bytes_left or job.cycles_left > _NEGLIGIBLE:
                return
            self._end(unit, job, self.now + step - left)

    def _move(self, unit: int, job: Job, left: float) -> float:
        spent = 0.0
        if job.bytes_left:
            rate = self.rates[unit]
            if not rate:  # the instruction began within this step: until the next one it has what it wants
                rate = self.rates[unit] = self._wanted(unit)
            if not rate:
                return 0.0
            moved = min(job.bytes_left, rate * left)
            job.bytes_left -= moved
            spent = moved / rate
            if isinstance(job.instruction, LoadWeights):
                self.words_written += moved * 8 / self.geometry.weight_word_bits
            if job.bytes_left > _NEGLIGIBLE:
                return spent
            job.bytes_left = 0.0
        over = min(job.cycles_left, left - spent)
        job.cycles_left -= over
        return spent + over

    def _compute(self, job: ComputeJob, when: float, left: float) -> float:
        """Cycles that the array works: it waits for constants, and in the first group for weight words."""
        compute = job.compute
        if not job.convolves:
            spent = 0.0 if when < self.drained else min(left, job.cycles_left)
            job.cycles_left -= spent
            return spent
        if self.tiles_written <= self.tiles_freed + compute.constant_offset:
            return 0.0
        total = job.total_cycles
        done = total - job.cycles_left
        spent = min(left, job.cycles_left)
        there = self.words_written - self.words_freed
        if job.groups == 1 and compute.release:
            words = min(spent / job.group_cycles * job.words, max(there, 0.0))
            spent = words / job.words * job.group_cycles
        elif done < job.group_cycles and there < compute.weight_offset + job.words - _NEGLIGIBLE:
            ready = max(0.0, there - compute.weight_offset) / job.words * job.group_cycles
            spent = min(spent, max(0.0, ready - done))
        if compute.release:
            freeing = min(done + spent, total) - max(done, total - job.group_cycles)
            self.words_freed += max(0.0, freeing) / job.group_cycles * job.words
        job.cycles_left -= spent
        return spent

    def _end(self, unit: int, job: Job, when: float) -> None:
        engine = self.engine[unit]
        self.jobs[unit], job.ended = None, when
        begun = self.begun[engine]
        while begun and (ended := begun[0].ended) is not None:
            self.horizon[engine] = max(self.horizon[engine], ended)
            for token in begun.popleft().signals:
                self.tokens[token].append(self.horizon[engine] + self.late[token])
        instruction = job.instruction
        if isinstance(instruction, Compute):
            self.drained = when + self.written_after
            self.tiles_freed += instruction.release_constants
        elif isinstance(instruction, Store) and instruction.crc_emit:
            self.stamps[instruction.layer] = max(when, self.stamps.get(instruction.layer, 0.0))
        elif isinstance(instruction, LoadConstants):
            self.tiles_written += instruction.tiles


@functools.cache
def _drain_timing(geometry: Geometry) -> DrainTiming:
    with warnings.catch_warnings():
        # Amaranth warns of parts that are never elaborated, when they are collected.
        warnings.simplefilter("ignore", UnusedElaboratable)
        array = Array(geometry)
        timing = DrainTiming(geometry, latency=array.LATENCY, hold=array.HOLD)
        del array
        gc.collect()
    return timing


def estimate(program: Program, *, bytes_per_cycle: float, latency_cycles: int = 40) -> Estimate:
    """Cycles of a program by the model.

    Parameters
    ----------
    bytes_per_cycle: of the memory, all ports together.
    latency_cycles: of a read's first beat, and of a write's response.

    Raises
    ------
    RuntimeError: the program never ends.
    """
    machine = TimedMachine(program, bytes_per_cycle=bytes_per_cycle, latency_cycles=latency_cycles)
    machine.run()
    layers, last = {}, 0.0
    for number, stamp in sorted(machine.stamps.items(), key=lambda item: item[1]):
        layers[number] = round(stamp - last)
        last = stamp
    busy = {
        engine: round(max(machine.busy[unit] for unit in machine.of_engine[place])) for engine, place in _PLACE.items()
    }
    return Estimate(round(machine.now), layers, busy)

"""Whether a program's tokens order all its accesses: then every schedule of the engines computes the same.

Happens-before by vector clocks. Engines work in order; the k-th taking of a token follows its k-th giving, and a giving
implies that everything up to the moment which `isa.Token` names is done. Two accesses of a word by two engines, one of
them a write, must be ordered so. The rings of weights and constants synchronise themselves.

Of MAPS and STORE the instructions of one group of pixel lanes are in order, those of two groups run side by side. That
changes little: tokens are taken and given in program order of the whole engine, so that a token still stands for all
instructions before; and the memories of a group's lanes, its kernels and its CRC registers are its own. What two groups
share is DDR and the map memory: a STORE over what another group has stored must be ordered, too.
"""

import enum
from collections import deque
from collections.abc import Mapping

import numpy as np

from ...hdl.geometry import Geometry
from ...hdl.instructions import Compute, LoadMap, Store
from ...hdl.isa import Token
from .compute import activation_addresses, residual_addresses
from .machine import Effect
from .map_memory import MAP_MEMORY
from .state import InterpreterError


class AccessKind(enum.IntEnum):
    """Components of a clock: the last instruction whose accesses of a kind, and all those before them, are done."""

    LOADED = 0
    """LOAD_MAP: DDR or the map memory is read, the lane memories are written."""
    READ = 1
    """COMPUTE: activations are read."""
    COMPUTED = 2
    """COMPUTE: residuals are read, outputs are written."""
    TAKEN = 3
    """STORE: output memory is read."""
    STORED = 4
    """STORE: DDR and the map memory are written."""


_IMPLIED = {
    Token.INPUT_READY: (AccessKind.LOADED,),
    Token.RESIDUAL_READY: (AccessKind.LOADED,),
    Token.INPUT_FREE: (AccessKind.READ,),
    Token.RESIDUAL_FREE: (AccessKind.READ, AccessKind.COMPUTED),
    Token.OUTPUT_READY: (AccessKind.READ, AccessKind.COMPUTED),
    Token.OUTPUT_FREE: (AccessKind.TAKEN,),
    Token.STORED: (AccessKind.TAKEN, AccessKind.STORED),
}
"""What is done, up to the giving instruction, when a token is given."""

_NEVER = -1


class HazardChecker:
    """Checks effects, given in program order, for accesses that no token orders.

    Parameters
    ----------
    regions: bytes of each region that is stored to or loaded from, by name.
    """

    def __init__(self, geometry: Geometry, regions: Mapping[str, int]) -> None:
        self.geometry = geometry
        self.clocks: dict[str, np.ndarray] = {}
        self.given: dict[Token, deque[np.ndarray]] = {token: deque() for token in Token}
        depths = {
            "activation": geometry.activation_depth,
            "residual": geometry.residual_depth,
            "output": geometry.output_depth,
        } | (regions := {**regions, MAP_MEMORY: geometry.map_words * geometry.word_bytes})
        # By memory and address: the last instruction that wrote it and that read it.
        self.written = {name: np.full(depth, _NEVER, np.int32) for name, depth in depths.items()}
        self.read = {name: np.full(depth, _NEVER, np.int32) for name, depth in depths.items()}
        # By region, address and group of lanes: the last STORE that wrote it.
        self.stored = [
            {name: np.full(depth, _NEVER, np.int32) for name, depth in regions.items()}
            for _ in range(geometry.maps_ports if geometry.maps_ports > 1 else 0)
        ]

    def __call__(self, effect: Effect) -> None:
        """Checks the next effect.

        Raises
        ------
        InterpreterError: an access may run before or beside one that it must follow; the field is `wait`.
        """
        instruction = effect.instruction
        clock = self.clocks.get(instruction.engine.name, np.full(len(AccessKind), _NEVER, np.int64)).copy()
        for token in instruction.wait:
            np.maximum(clock, self.given[token].popleft(), out=clock)
        self.clocks[instruction.engine.name] = clock
        match instruction:
            case LoadMap():
                self._load_map(effect, instruction, clock)
            case Compute():
                self._compute(effect, instruction, clock)
            case Store():
                self._store(effect, instruction, clock)
        for token in instruction.signal:
            given = clock.copy()
            given[list(_IMPLIED[token])] = effect.index
            self.given[token].append(given)

    def _load_map(self, effect: Effect, load: LoadMap, clock: np.ndarray) -> None:
        for region, address, size in effect.reads:
            span = slice(address, address + size)
            self._ordered(
                effect, clock, AccessKind.STORED, self.written, region, span, "reads {} before a STORE has written it"
            )
            self.read[region][span] = effect.index
        kind = AccessKind.COMPUTED if load.residual else AccessKind.READ
        for write in effect.writes:
            span = slice(write.address, write.address + len(write.words))
            self._ordered(
                effect, clock, kind, self.read, write.memory, span, "overwrites {} before a COMPUTE has read it"
            )
            self.written[write.memory][span] = effect.index

    def _compute(self, effect: Effect, compute: Compute, clock: np.ndarray) -> None:
        for memory, addresses in (
            ("activation", activation_addresses(compute)),
            ("residual", residual_addresses(compute, self.geometry.tile_words).ravel()),
        ):
            self._ordered(
                effect, clock, AccessKind.LOADED, self.written, memory, addresses, "reads {} before it is loaded"
            )
            self.read[memory][addresses] = effect.index
        for write in effect.writes:
            span = slice(write.address, write.address + len(write.words))
            self._ordered(
                effect, clock, AccessKind.TAKEN, self.read, "output", span, "overwrites {} before a STORE has read it"
            )
            self.written["output"][span] = effect.index

    def _store(self, effect: Effect, store: Store, clock: np.ndarray) -> None:
        for plane in range(store.planes):
            start = store.base + plane * store.plane_pitch
            span = slice(start, start + store.chunks * store.chunk_words)
            self._ordered(
                effect, clock, AccessKind.COMPUTED, self.written, "output", span, "reads {} before it is computed"
            )
            self.read["output"][span] = effect.index
        for region, address, data in effect.stores:
            if region not in self.written:
                continue  # the log, which no instruction reads
            span = slice(address, address + len(data))
            self._ordered(
                effect, clock, AccessKind.LOADED, self.read, region, span, "overwrites {} before it is loaded"
            )
            self._after_other_groups(effect, store.lane // self.geometry.group_lanes, clock, region, span)
            self.written[region][span] = effect.index

    def _after_other_groups(self, effect: Effect, own: int, clock: np.ndarray, region: str, span: slice) -> None:
        """What other groups have stored there must be in memory before a STORE of group `own` overwrites it."""
        for group, stored in enumerate(self.stored):
            if group == own:
                stored[region][span] = effect.index
            else:
                what = "overwrites {} before another group has stored it"
                self._ordered(effect, clock, AccessKind.STORED, stored, region, span, what)

    def _ordered(
        self,
        effect: Effect,
        clock: np.ndarray,
        kind: AccessKind,
        last: Mapping[str, np.ndarray],
        memory: str,
        places: "slice | np.ndarray",
        what: str,
    ) -> None:
        """The last accesses at some places must be within what the clock knows to be done."""
        accesses = last[memory][places]
        late = np.flatnonzero(accesses > clock[kind])
        if not len(late):
            return
        address = late[0] + places.start if isinstance(places, slice) else places[late[0]]
        reason = (
            f"{what.format(f'{memory} {address}')}: no token orders it after instruction {accesses[late[0]]} in every "
            "schedule of the engines"
        )
        raise InterpreterError(effect.index, effect.instruction, "wait", reason)

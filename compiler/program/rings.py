"""The rings of weights and of constants in program order, and the first engine that would wait for ever for them.

Programs are topological (docs/architecture.md): with instructions executed one at a time every word is in its ring when
it is used, and every ring has room for what is loaded. Where that does not hold an engine may wait for ever.
"""

import dataclasses
from collections.abc import Iterable

from ...hdl.geometry import Geometry
from ...hdl.instructions import Compute, Finish, Instruction, LoadConstants, LoadWeights
from ...hdl.isa import Mode


class Rings:
    """How full the rings are.

    Parameters
    ----------
    geometry: of the accelerator.

    Members
    -------
    words, tiles: weight words and tiles of constants that are loaded and not freed.
    """

    def __init__(self, geometry: Geometry) -> None:
        self.depth, self.constant_tiles = geometry.weight_depth, geometry.constant_tiles
        self.words = self.tiles = 0

    def execute(self, instruction: Instruction) -> str | None:
        """Appends or frees what an instruction does; says what it lacks, or None where it lacks nothing."""
        if isinstance(instruction, Compute):
            return self._compute(instruction) if instruction.mode is Mode.CONVOLVE else None
        lacks = None
        if isinstance(instruction, LoadWeights):
            # Into an empty ring even more than it holds: the next COMPUTE frees words while the last ones are loaded.
            if self.words and self.words + instruction.words > self.depth:
                room = max(0, self.depth - self.words)
                lacks = f"{instruction.words} weight words find room for {room} in their ring"
            self.words += instruction.words
        elif isinstance(instruction, LoadConstants):
            if self.tiles + instruction.tiles > self.constant_tiles:
                room = max(0, self.constant_tiles - self.tiles)
                lacks = f"{instruction.tiles} tiles of constants find room for {room} in their ring"
            self.tiles += instruction.tiles
        return lacks

    def _compute(self, compute: Compute) -> str | None:
        lacks = None
        runs = 1 + (compute.weight_digit_mask != 0)
        last = compute.weight_offset + runs * compute.weight_words
        freed = compute.final_mask.bit_count() * compute.weight_words if compute.release else 0
        if last > self.words:
            lacks = f"its step needs weight word {last - 1} of the ring, and {self.words} are loaded before it"
        elif self.words > self.depth and not (
            compute.groups == 1 and compute.passes == runs and freed == last == self.words
        ):
            lacks = (
                f"the {self.words} weight words that are loaded before it are more than the ring's {self.depth}, and "
                "only one group that reads and frees each of them once can take them"
            )
        elif compute.constant_offset >= self.tiles:
            lacks = (
                f"it needs tile {compute.constant_offset} of the ring of constants, and {self.tiles} are loaded before "
                "it"
            )
        self.words -= freed
        self.tiles -= compute.release_constants
        return lacks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Starvation:
    """An instruction that may wait for ever.

    Members
    -------
    index: its place in the program, from 0.
    instruction: what waits; its engine and its layer are those that stand still.
    lacks: what for.
    """

    index: int
    instruction: Instruction
    lacks: str


def starvation(instructions: Iterable[Instruction], geometry: Geometry) -> Starvation | None:
    """The first instruction that lacks weight words, constants or room in a ring, or FINISH where anything is left in
    one; None where all is well."""
    rings = Rings(geometry)
    for index, instruction in enumerate(instructions):
        lacks = rings.execute(instruction)
        if isinstance(instruction, Finish) and (rings.words or rings.tiles):
            lacks = f"{rings.words} weight words and {rings.tiles} tiles of constants are left in their rings"
        if lacks is not None:
            return Starvation(index=index, instruction=instruction, lacks=lacks)
    return None

"""What maps would need of the map memory, found from a program: when each of their rows is written and last read.

A STORE may take the place of rows whose reads are over in every schedule of the engines. Those are the reads up to the
load that its COMPUTE waited for: it goes with the tokens, from LOAD_MAP to COMPUTE to STORE.
"""

import bisect
import dataclasses
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from ...hdl.instructions import Instruction, LoadMap, Store
from ...hdl.isa import Engine, Token
from ..place.map_rings import RingNeed
from ..program.map_layout import MapLayout
from .instructions import Draft

_LOADED = (Token.INPUT_READY, Token.RESIDUAL_READY)


@dataclasses.dataclass(frozen=True)
class KeptMap:
    """A map, or a chain of maps, that could stay on the chip.

    Members
    -------
    tensors: the map, or those of the chain in order.
    layout: of the first one in DDR.
    """

    tensors: tuple[str, ...]
    layout: MapLayout

    @property
    def name(self) -> str:
        """Of the first one."""
        return self.tensors[0]

    @property
    def planes(self) -> int:
        """Channel words of all digits of all maps of the chain."""
        return self.layout.digits * (self.layout.pitch or self.layout.channel_words)

    @property
    def row_words(self) -> int:
        return self.planes * self.layout.columns

    def rows(self, transfer: LoadMap | Store) -> slice:
        """From the first row that an instruction moves to the last one."""
        layout = self.layout
        _, row, column = layout.place(transfer.address)
        step = transfer.chunk_stride // (layout.columns * layout.word_bytes)
        last = row + (transfer.chunks - 1) * step
        return slice(row, last + -(-(column + transfer.chunk_words) // layout.columns))


class _Ordered:
    """Which loads are over, in every schedule, when an instruction begins: of those in program order the last one."""

    def __init__(self) -> None:
        self.given: dict[Token, deque[int]] = {token: deque() for token in Token}
        self.loaded = dict.fromkeys(Engine, -1)
        self.stored = -1

    def take(self, draft: Draft[Instruction]) -> None:
        for token in draft.wait:
            value = self.given[token].popleft()
            if token is Token.STORED:
                self.stored = max(self.stored, value)
            elif token in _LOADED or token is Token.OUTPUT_READY:
                self.loaded[token.target] = max(self.loaded[token.target], value)

    def give(self, index: int, draft: Draft[Instruction]) -> None:
        for token in draft.signal:
            self.given[token].append(self.loaded[token.source] if token is Token.OUTPUT_READY else index)


class _Uses:
    """What is known of a map's rows.

    Members
    -------
    written: by row, the last STORE of it. read: the last LOAD_MAP of it; −1: none.
    stores: rows that STOREs write, and the last load that is over then.
    saved: words moved.
    """

    def __init__(self, rows: int) -> None:
        self.written, self.read = np.full(rows, -1), np.full(rows, -1)
        self.stores: list[tuple[slice, int]] = []
        self.saved = 0

    def most_rows(self) -> int:
        """Rows in use at once, from the first to the last of them."""
        most, written = 0, np.zeros(len(self.read), bool)
        for rows, over in self.stores:
            written[rows] = True
            used = np.flatnonzero(written & (self.read > over))
            first, end = rows.start, rows.stop
            if len(used):
                first, end = min(first, int(used[0])), max(end, int(used[-1]) + 1)
            most = max(most, end - first)
        return most


def ring_needs(drafts: Sequence[Draft[Instruction]], maps: Mapping[tuple[int, str], KeptMap]) -> list[RingNeed]:
    """What maps need of the map memory.

    Parameters
    ----------
    drafts: the program, with its tokens.
    maps: by layer and by what its instructions do ("input", "residual" or "output"), the map that they move.
    """
    uses = {kept.name: _Uses(kept.layout.rows) for kept in maps.values()}
    ordered = _Ordered()
    acknowledged: list[tuple[int, int]] = []  # by LOAD_MAP: the last STORE that is in memory when it begins
    for index, draft in enumerate(drafts):
        instruction = draft.instruction
        ordered.take(draft)
        if isinstance(instruction, LoadMap):
            acknowledged.append((ordered.stored, index))
        if isinstance(instruction, LoadMap | Store) and (kept := kept_map(instruction, maps)) is not None:
            use, rows = uses[kept.name], kept.rows(instruction)
            use.saved += instruction.moved_words
            if isinstance(instruction, LoadMap):
                use.read[rows] = index
            else:
                use.written[rows] = index
                use.stores.append((rows, ordered.loaded[Engine.STORE]))
        ordered.give(index, draft)
    for use in uses.values():
        for row in np.flatnonzero(use.read < 0):  # nobody reads it: it must be in memory before another takes its place
            after = bisect.bisect_left(acknowledged, (int(use.written[row]), -1))
            use.read[row] = acknowledged[after][1] if after < len(acknowledged) else len(drafts)
    row_words = {kept.name: kept.row_words for kept in maps.values()}
    return [
        RingNeed(name, use.most_rows(), row_words[name], use.stores[0][1], int(use.read.max()), use.saved)
        for name, use in uses.items()
    ]


def kept_map(transfer: LoadMap | Store, maps: Mapping[tuple[int, str], KeptMap]) -> KeptMap | None:
    """The map of `maps` that an instruction moves; None where it moves another one, or kernels."""
    if isinstance(transfer, Store):
        return maps.get((transfer.layer, "output"))
    if transfer.kernels:
        return None
    return maps.get((transfer.layer, "residual" if transfer.residual else "input"))

"""Slices of an on-chip memory that are filled, used and freed in order, and the tokens that guard them."""

import dataclasses
import itertools

from ...hdl.isa import TOKEN_LIMIT
from ..span import Span

OUTSTANDING = TOKEN_LIMIT // 2 + 1
"""Slices at most that are filled and not yet free, however small they are: a counter of tokens holds `TOKEN_LIMIT`."""


@dataclasses.dataclass(frozen=True, slots=True)
class MemorySlice:
    """Words of a memory from an address on.

    Members
    -------
    number: of the slice, in the order in which they are filled.
    address: of its first word.
    """

    number: int
    address: int


class SliceRing:
    """Allocates a memory round and round.

    Slice n may be filled once the slices it overlaps are free, and slice n − `OUTSTANDING`. Slices are freed in order,
    so one token, given with the last of them, guards them all.

    Parameters
    ----------
    depth: words of the memory.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._spans: list[Span] = []
        self._needs: list[int] = []

    def __len__(self) -> int:
        return len(self._spans)

    def place(self, words: int) -> MemorySlice:
        """A new slice.

        Raises
        ------
        ValueError: it is larger than the memory.
        """
        if not 1 <= words <= self.depth:
            raise ValueError(f"a slice must be 1 … {self.depth} words, not {words}")
        start = self._spans[-1].end if self._spans else 0
        if start + words > self.depth:
            start = 0
        need = 0
        for number in range(len(self._spans) - 1, -1, -1):
            span = self._spans[number]
            if span.begin < start + words and start < span.end:
                need = number + 1
                break
        self._spans.append(Span(start, start + words))
        self._needs.append(need)
        return MemorySlice(len(self._spans) - 1, start)

    def needs(self) -> list[int]:
        """How many slices must be free, by slice, before it is filled: never falls."""
        bounded = (max(need, number - OUTSTANDING + 1) for number, need in enumerate(self._needs))
        return list(itertools.accumulate(bounded, max))

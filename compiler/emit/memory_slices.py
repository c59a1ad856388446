"""Pieces of an on-chip memory that are filled, used and freed in order, and the tokens that guard them."""

import itertools

from ...hdl.isa import TOKEN_LIMIT

OUTSTANDING = TOKEN_LIMIT // 2 + 1
"""Slots at most that are filled and not yet free, however small they are: a counter of tokens holds `TOKEN_LIMIT`."""


class SlotRing:
    """Allocates a memory round and round.

    Slot n may be filled once the slots it overlaps are free, and slot n − `OUTSTANDING`. Slots are freed in order, so
    one token, given with the last of them, guards them all.

    Parameters
    ----------
    depth: words of the memory.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._spans: list[tuple[int, int]] = []
        self._needs: list[int] = []

    def __len__(self) -> int:
        return len(self._spans)

    def place(self, words: int) -> tuple[int, int]:
        """Number and address of a new slot.

        Raises
        ------
        ValueError: the slot is larger than the memory.
        """
        if not 1 <= words <= self.depth:
            raise ValueError(f"a slot must be 1 … {self.depth} words, not {words}")
        start = self._spans[-1][1] if self._spans else 0
        if start + words > self.depth:
            start = 0
        need = 0
        for number in range(len(self._spans) - 1, -1, -1):
            low, high = self._spans[number]
            if low < start + words and start < high:
                need = number + 1
                break
        self._spans.append((start, start + words))
        self._needs.append(need)
        return len(self._spans) - 1, start

    def needs(self) -> list[int]:
        """How many slots must be free, by slot, before it is filled: never falls."""
        bounded = (max(need, number - OUTSTANDING + 1) for number, need in enumerate(self._needs))
        return list(itertools.accumulate(bounded, max))

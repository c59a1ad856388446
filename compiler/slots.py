"""Pieces of an on-chip memory that are filled, used and freed in order, and the tokens that guard them."""


OUTSTANDING = 128
"""Slots at most that are filled and not yet free, however small they are: a counter of tokens holds 255."""


class SlotRing:
    """Allocates a memory round and round.

    Slot n may be filled once the slots it overlaps are free, and slot n − `OUTSTANDING`. Slots are freed in order, one
    token each, and filling a slot takes at most one token; `tokens` says which ones take it, so that no more are given
    than are taken.

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
        need = max(0, len(self._spans) - OUTSTANDING + 1)
        for number in range(len(self._spans) - 1, -1, -1):
            low, high = self._spans[number]
            if low < start + words and start < high:
                need = max(need, number + 1)
                break
        self._spans.append((start, start + words))
        self._needs.append(need)
        return len(self._spans) - 1, start

    def tokens(self) -> list[int]:
        """How many slots must be free, by slot, before it is filled: never falls, and rises by at most 1."""
        taken = self._needs.copy()
        for number in range(len(taken) - 2, -1, -1):
            taken[number] = max(taken[number], taken[number + 1] - 1)
        for number in range(1, len(taken)):
            taken[number] = max(taken[number], taken[number - 1])
        return taken

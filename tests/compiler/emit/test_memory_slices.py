"""Slices of a memory wait for those that they overwrite, and never for more than is needed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramix.compiler.emit.memory_slices import OUTSTANDING, SliceRing


@given(st.integers(4, 600), st.lists(st.integers(1, 64), min_size=1, max_size=30) | st.just([1] * 300))
def test_slices_wait_for_what_they_overwrite(depth, sizes):
    ring = SliceRing(depth)
    spans = []
    for size in sizes:
        if size > depth:
            with pytest.raises(ValueError, match=f"must be 1 … {depth}"):
                ring.place(size)
            continue
        placed = ring.place(size)
        assert placed.number == len(spans)
        assert placed.address + size <= depth
        spans.append((placed.address, placed.address + size))
    needs = ring.needs()
    assert len(needs) == len(ring) == len(spans)
    for number, taken in enumerate(needs):
        assert max(0, number - OUTSTANDING + 1) <= taken <= number
        assert taken >= (needs[number - 1] if number else 0)
        for other in range(taken, number):
            assert spans[other][1] <= spans[number][0] or spans[number][1] <= spans[other][0]

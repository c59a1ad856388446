"""What passes do with a ring: each finds its words at its offset, in a ring that never holds too many."""

import itertools

import hypothesis.strategies as st
from hypothesis import given

from intramix.compiler.plan.ring_use import Leaves, Residence, Stays, Streams, residences, ring_uses


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    blocks=st.integers(1, 4),
    depth=st.integers(1, 40),
    blocks_outside=st.booleans(),
)
def test_passes_find_their_words(sizes, blocks, depth, blocks_outside):
    first = (0, *itertools.accumulate(sizes))
    order = list(itertools.product(range(blocks), range(len(sizes))))
    if not blocks_outside:
        order.sort(key=lambda pair: pair[1])
    tiles = [tile for _, tile in order]
    residence = residences(first, depth, blocks_outside=blocks_outside)
    if blocks_outside and len({kind is Residence.GROUP for kind in residence}) > 1:
        return  # tiles of one layer with blocks outside are alike
    ring: list[tuple[int, int]] = []  # tile and word
    for tile, use in zip(tiles, ring_uses(tiles, first, range(1, len(sizes) + 1), residence)):
        words = [(tile, word) for word in range(sizes[tile])]
        if isinstance(use, Streams):
            assert use.words == sizes[tile] > depth
            assert not ring
            continue
        ring += [(loaded, word) for loaded in use.load for word in range(sizes[loaded])]
        assert len(ring) <= depth
        offset = use.offset if isinstance(use, Stays) else 0
        assert ring[offset : offset + sizes[tile]] == words
        if isinstance(use, Leaves):
            assert use.words == sizes[tile]
            ring = ring[use.words :]
    assert not ring


def test_parts_stay_where_all_fit():
    """Two tiles over two blocks: loaded with the first block, freed with the last."""
    uses = ring_uses([0, 1, 0, 1], (0, 3, 8), (1, 2), residences((0, 3, 8), 8, blocks_outside=True))
    assert uses == [Stays(range(1), 0), Stays(range(1, 2), 3), Leaves(range(0), 3), Leaves(range(0), 5)]


def test_parts_are_loaded_again_where_they_do_not_fit():
    uses = ring_uses([0, 1, 0, 1], (0, 3, 8), (1, 2), residences((0, 3, 8), 7, blocks_outside=True))
    assert uses == 2 * [Leaves(range(1), 3), Leaves(range(1, 2), 5)]


def test_tiles_of_one_transfer_are_loaded_with_its_first():
    uses = ring_uses([0, 0, 1, 1], (0, 3, 8), (2, 2), residences((0, 3, 8), 8, blocks_outside=False))
    assert uses == [Stays(range(2), 0), Leaves(range(0), 3), Stays(range(0), 0), Leaves(range(0), 5)]


def test_shared_words_stay_for_the_last_tile():
    """Words that all tiles share are counted as the last one's."""
    uses = ring_uses([0, 0, 1, 1], (0, 0, 4), (2, 2), residences((0, 0, 4), 8, blocks_outside=False))
    assert uses == [Stays(range(2), 0), Leaves(range(0), 0), Stays(range(0), 0), Leaves(range(0), 4)]


def test_a_part_larger_than_the_ring_streams_beside_others_that_stay():
    uses = ring_uses([0, 0, 1, 1], (0, 9, 12), (1, 2), residences((0, 9, 12), 8, blocks_outside=False))
    assert uses == [Streams(9), Streams(9), Stays(range(1, 2), 0), Leaves(range(0), 3)]

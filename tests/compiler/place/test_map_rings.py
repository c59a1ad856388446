"""Rings in the map memory: what is in use at the same time does not overlap, and what saves most is kept."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from intramix.compiler.place.map_rings import MapRing, RingNeed, place_rings

NEEDS = st.builds(
    lambda rows, row_words, first, length, saved: (rows, row_words, first, first + length, saved),
    st.integers(1, 20), st.integers(1, 30), st.integers(-1, 40), st.integers(1, 20), st.integers(1, 5000),
)  # fmt: skip


@given(st.lists(NEEDS, max_size=10), st.integers(16, 600))
def test_rings_in_use_do_not_overlap(drawn, depth):
    needs = {str(number): RingNeed(str(number), *fields) for number, fields in enumerate(drawn)}
    rings = place_rings(needs.values(), depth)
    for name, ring in rings.items():
        assert (ring.rows, ring.row_words) == (needs[name].rows, needs[name].row_words)
        assert 0 <= ring.begin < ring.end <= depth
    for (one, ring), (other, rival) in itertools.combinations(rings.items(), 2):
        apart = needs[one].first >= needs[other].last or needs[other].first >= needs[one].last
        assert apart or ring.end <= rival.begin or rival.end <= ring.begin
    smallest = min((need.words for need in needs.values()), default=depth + 1)
    assert bool(rings) == (smallest <= depth)


def test_a_place_is_used_again_when_its_reads_are_over():
    rings = place_rings([RingNeed("a", 4, 10, 0, 5, 80), RingNeed("b", 4, 10, 5, 9, 80)], 40)
    assert rings == {"a": MapRing(0, 4, 10), "b": MapRing(0, 4, 10)}


def test_what_saves_most_is_kept():
    needs = [
        RingNeed("small", 1, 10, 0, 9, 20), RingNeed("large", 4, 10, 0, 9, 400), RingNeed("whole", 9, 10, 0, 9, 500),
    ]
    assert set(place_rings(needs, 40)) == {"large"}
    assert set(place_rings(needs, 50)) == {"small", "large"}
    assert set(place_rings(needs, 90)) == {"whole"}


def test_rows_go_round():
    ring = MapRing(100, 3, 10)
    assert [ring.address(row) for row in range(5)] == [100, 110, 120, 100, 110]
    assert (ring.words, ring.end) == (30, 130)

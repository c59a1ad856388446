"""The search over candidates, where every candidate's fidelity and cost are made by hand."""

import pytest

from intramix.quant.assignment.cost import NetworkCost
from intramix.quant.assignment.search import Candidate, cheapest, nearest, search
from intramix.quant.assignment.target import Target
from intramix.quant.graph.formats import FIXED4, FIXED8
from intramix.quant.network.fidelity import Fidelity

LAYERS = tuple(f"layer{index}" for index in range(11))
FORMATS = {name: (FIXED4,) * 3 for name in LAYERS}


class Ladder:
    """Stands for the variants of a network: remembers how many layers have 8 bits. Each costs a frame a second."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def network(self) -> "Ladder":
        return self

    def cost(self, formats: dict) -> NetworkCost:
        self.count = sum(kinds == (FIXED8,) * 3 for kinds in formats.values())
        assert all(formats[name] == (FIXED8,) * 3 for name in LAYERS[: self.count]), "the first of the order"
        return NetworkCost(
            frames_per_second=100.0 - self.count, cycles=1.0, layer_cycles={}, weight_bytes=50 + self.count
        )


def judge(network: Ladder) -> Fidelity:
    """A decibel for each layer of 8 bits; half of the decisions, or all of them from six on."""
    return Fidelity(top1_agreement=0.5 + 0.5 * (network.count >= 6), sqnr=float(network.count), images=2)


def tried(target: Target) -> tuple[Candidate, ...]:
    told: list[int] = []
    found = search(Ladder(), FORMATS, LAYERS, target, judge, told.append)  # type: ignore[arg-type]
    assert told == list(range(1, len(found) + 1))
    return found


@pytest.mark.parametrize("wanted", range(len(LAYERS) + 1))
def test_the_fewest_layers_that_reach_it_are_taken(wanted: int) -> None:
    candidates = tried(Target(sqnr=float(wanted)))
    found = cheapest(candidates)
    assert found is not None
    assert found.layers == LAYERS[:wanted]
    assert found.cost.frames_per_second == 100.0 - wanted
    assert len(candidates) <= 6, "halves"
    assert [it.reached for it in candidates] == [len(it.layers) >= wanted for it in candidates]
    assert [it.everything for it in candidates] == [len(it.layers) == len(LAYERS) for it in candidates]


def test_both_parts_of_a_target_count() -> None:
    found = cheapest(tried(Target(sqnr=3.0, agreement=0.9)))
    assert found is not None
    assert found.layers == LAYERS[:6]


def test_what_cannot_be_reached_is_seen_with_two_candidates() -> None:
    target = Target(sqnr=12.0)
    candidates = tried(target)
    assert [len(it.layers) for it in candidates] == [0, len(LAYERS)]
    assert cheapest(candidates) is None
    assert nearest(candidates, target).everything


def test_of_equally_fast_ones_the_smallest_is_taken() -> None:
    def candidate(rate: float, size: int, reached: bool, agreement: float = 0.5, sqnr: float = 1.0) -> Candidate:
        cost = NetworkCost(frames_per_second=rate, cycles=1.0, layer_cycles={}, weight_bytes=size)
        near = Fidelity(top1_agreement=agreement, sqnr=sqnr, images=1)
        return Candidate(layers=(), everything=False, fidelity=near, cost=cost, reached=reached)

    large, small, slow = candidate(9, 8, True), candidate(9, 7, True), candidate(8, 1, True)
    assert cheapest([large, small, slow, candidate(99, 1, False)]) is small
    decided, clear = candidate(1, 1, False, agreement=0.9), candidate(1, 1, False, sqnr=5.0)
    assert nearest([decided, clear], Target(agreement=1.0)) is decided
    assert nearest([decided, clear], Target(sqnr=9.0)) is clear


def test_nothing_to_raise_is_one_candidate() -> None:
    found = search(Ladder(), FORMATS, (), Target(sqnr=1.0), judge, lambda done: None)  # type: ignore[arg-type]
    assert [it.everything for it in found] == [True]
    assert cheapest(found) is None

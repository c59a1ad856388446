"""The integer program: against brute force, and errors that say the smallest budget."""

import itertools
import time

import numpy as np
import pytest

from intramix.quant.assignment.allocation import allocate
from intramix.quant.assignment.budget import Budget, BudgetError
from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.assignment.problem import AllocationProblem, ChannelSet
from intramix.quant.graph.formats import FIXED4, SP2_4

MIXES = [LaneMix(1, 2, 1, FIXED4), LaneMix(1, 1, 2, SP2_4), LaneMix(0, 1, 3, FIXED4), LaneMix(2, 2, 0)]


def random_problem(seed: int, mix: LaneMix, bits: tuple[int, ...] = (2, 4, 6)) -> AllocationProblem:
    random = np.random.default_rng(seed)
    sets, items = 3, 6
    owner = np.concatenate([np.arange(sets), random.integers(0, sets, items - sets)])
    channels = random.integers(1, 6, items)
    made = tuple(
        ChannelSet(channels=int(channels[owner == index].sum()), weights=float(random.integers(1, 50)),
                   macs=float(random.integers(1, 50)), bit_operations=float(random.integers(1, 300)))
        for index in range(sets)
    )  # fmt: skip
    loss = np.sort(random.exponential(1, (items, len(bits))), axis=1)[:, ::-1].copy()
    return AllocationProblem(sets=made, owner=owner, channels=channels, bits=bits, loss=loss, mix=mix)


def cost_by_hand(problem: AllocationProblem, bits: tuple[int, ...], kind: str) -> float:
    """Tile by tile, channel by channel; nothing of the code under test."""
    total, mix = 0.0, problem.mix
    for index, entry in enumerate(problem.sets):
        widths = [bits[item] for item in range(len(bits)) if problem.owner[item] == index
                  for _ in range(problem.channels[item])]  # fmt: skip
        if kind == "size":
            total += sum(widths) * entry.weights / 8
        elif kind == "bit-operations":
            total += sum(widths) * entry.bit_operations
        else:
            lanes = mix.fixed8 + mix.fixed4 + mix.lut
            wide = sum(width > 4 for width in widths)
            tiles = 0
            left, wide_left = len(widths), wide
            while left > 0 or wide_left > 0:  # fill tiles with wide filters first
                if mix.fixed8 == 0 and wide_left:
                    tiles = 10**9
                    break
                taken = min(wide_left, mix.fixed8)
                narrow = min(left - wide_left, lanes - taken)
                wide_left, left, tiles = wide_left - taken, left - taken - narrow, tiles + 1
            if wide and (mix.lut == 0 or mix.lut_format == FIXED4):
                tiles = min(tiles, 2 * -(-len(widths) // lanes))
            total += tiles * lanes * entry.macs
    return total


@pytest.mark.parametrize("kind", ["size", "bit-operations", "latency"])
@pytest.mark.parametrize("mix", MIXES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_as_good_as_brute_force(kind: str, mix: LaneMix, seed: int) -> None:
    problem = random_problem(seed, mix)
    rows = np.arange(6)
    every = [
        (cost_by_hand(problem, bits, kind), problem.loss[rows, [problem.bits.index(b) for b in bits]].sum())
        for bits in itertools.product(problem.bits, repeat=6)
    ]
    costs = np.array([cost for cost, _ in every])
    finite = costs[costs < 1e9]
    for limit in np.quantile(finite, [0.0, 0.1, 0.4, 0.8, 1.0]):
        found = allocate(problem, Budget(kind, float(limit)))
        assert cost_by_hand(problem, tuple(found), kind) <= limit
        best = min(loss for cost, loss in every if cost <= limit)
        loss = problem.loss[rows, [problem.bits.index(b) for b in found]].sum()
        assert loss == pytest.approx(best, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("kinds", [("size", "latency"), ("bit-operations", "latency"), ("size", "bit-operations")])
@pytest.mark.parametrize("mix", MIXES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_two_budgets_at_once_as_good_as_brute_force(kinds: tuple[str, str], mix: LaneMix, seed: int) -> None:
    problem = random_problem(seed, mix)
    rows = np.arange(6)
    every = [
        ([cost_by_hand(problem, bits, kind) for kind in kinds],
         problem.loss[rows, [problem.bits.index(b) for b in bits]].sum())
        for bits in itertools.product(problem.bits, repeat=6)
    ]  # fmt: skip
    costs = np.array([cost for cost, _ in every])
    costs = costs[(costs < 1e9).all(axis=1)]
    for shares in itertools.product([0.0, 0.2, 0.7], repeat=2):
        limits = [float(np.quantile(costs[:, index], share)) for index, share in enumerate(shares)]
        found = allocate(problem, *(Budget(kind, limit) for kind, limit in zip(kinds, limits)))
        for kind, limit in zip(kinds, limits):
            assert cost_by_hand(problem, tuple(found), kind) <= limit
        best = min(loss for cost, loss in every if cost[0] <= limits[0] and cost[1] <= limits[1])
        loss = problem.loss[rows, [problem.bits.index(b) for b in found]].sum()
        assert loss == pytest.approx(best, rel=1e-5, abs=1e-12)


def test_no_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one budget"):
        allocate(random_problem(0, MIXES[0]))


@pytest.mark.parametrize("kind", ["size", "bit-operations", "latency"])
def test_budget_that_cannot_be_met_says_the_smallest(kind: str) -> None:
    problem = random_problem(1, MIXES[0])
    least = cost_by_hand(problem, (2,) * 6, kind)
    with pytest.raises(BudgetError, match=rf"{kind} of .* cannot be met: with 2 bits everywhere.*{least:,.0f}"):
        allocate(problem, Budget(kind, least * 0.99))
    assert cost_by_hand(problem, tuple(allocate(problem, Budget(kind, least))), kind) == least


def test_shares_are_of_8_bits_everywhere() -> None:
    problem = random_problem(2, MIXES[0])
    full = cost_by_hand(problem, (8,) * 6, "size")
    share, absolute = allocate(problem, Budget("size", 0.5, share=True)), allocate(problem, Budget("size", full / 2))
    assert np.array_equal(share, absolute)
    with pytest.raises(BudgetError, match=r"needs .* \(25\.00 % of 8 bits everywhere\); give at least that"):
        allocate(problem, Budget("size", 0.24, share=True))


def test_network_of_the_size_of_resnet_50_is_solved_in_time() -> None:
    """26,560 channels in groups of 8, seven choices."""
    random = np.random.default_rng(0)
    sizes = [64] * 6 + [256, 128, 128, 512] * 4 + [256, 256, 1024] * 6 + [512, 512, 2048] * 3
    owner = np.concatenate([np.full(size // 8, index) for index, size in enumerate(sizes)])
    bits = tuple(range(2, 9))
    scale = random.lognormal(0, 2, len(owner))
    loss = np.sort(scale[:, None] * 4.0 ** -np.array(bits) * random.uniform(0.5, 2, (len(owner), 7)), axis=1)[:, ::-1]
    sets = tuple(
        ChannelSet(channels=size, weights=float(random.integers(64, 4608)), macs=1e5, bit_operations=5e5)
        for size in sizes
    )
    problem = AllocationProblem(sets=sets, owner=owner, channels=np.full(len(owner), 8), bits=bits, loss=loss.copy(),
                      mix=LaneMix(2, 8, 22, FIXED4))  # fmt: skip
    started = time.process_time()
    for kind in ("size", "latency"):
        found = allocate(problem, Budget(kind, 0.55, share=True))
        assert problem.cost(found, kind) <= 0.55 * problem.cost(np.full(len(owner), 8), kind)
        assert len(set(found.tolist())) > 1
    both = allocate(problem, Budget("size", 0.55, share=True), Budget("latency", 0.5, share=True))
    assert problem.cost(both, "size") <= 0.55 * problem.cost(np.full(len(owner), 8), "size")
    assert problem.cost(both, "latency") == problem.cost(np.full(len(owner), 2), "latency"), "no tile more"
    assert (both > 4).any()
    assert time.process_time() - started < 60


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("size=60%", Budget("size", 0.6, share=True)),
        ("latency = 1.5e6", Budget("latency", 1.5e6)),
        ("bit-operations=2000", Budget("bit-operations", 2000.0)),
    ],
)
def test_parse(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size", "must be KIND=NUMBER or KIND=PERCENT%, as in size=60%, not 'size'"),
        ("size=many", "not 'size=many'"),
        ("energy=3", "kind must be one of size, bit-operations, latency, not 'energy'"),
        ("size=-1", "limit of size must be above 0, not -1"),
        ("size=nan", "limit of size must be above 0, not nan"),
    ],
)
def test_malformed(text: str, message: str) -> None:
    with pytest.raises(BudgetError, match=message):
        Budget.parse(text)

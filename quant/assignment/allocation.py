"""Allocation of bits by an integer program: the smallest loss under a budget of size, bit-operations or latency.

Items (groups of channels, or whole layers) each get one of a few numbers of bits. With x = 1 where item g gets bits b:

    minimise Σ Ω_g(b) x_gb    subject to  Σ_b x_gb = 1  and  Σ cost_g(b) x_gb ≤ limit

Size and bit-operations are sums over items. Latency is counted in tiles, because filters of a tile run together: a
*channel set* (layers that share one order) with n channels, w of them wider than 4 bits, takes T tiles with

    T ≥ ⌈n / lanes⌉,   w ≤ fixed8 · T                       (wide filters in Fixed-8 lanes), or
    T = 2 ⌈n / lanes⌉                                       (two weight digits, if every lane is fixed-point)

and costs T · lanes · (MACs of one channel). For each set the smallest loss with T tiles follows from the smallest loss
with w wide channels, by dynamic programming; T is then what the integer program chooses. Under several budgets at once
it chooses both, y = 1 where a set takes T tiles, of which at most limit(T) channels can be wide:

    Σ_{g of the set, b > 4} channels_g x_gb ≤ Σ_T limit(T) y_T,    Σ_T y_T = 1,    Σ cost(T) y_T ≤ limit of latency

HiGHS (scipy.optimize.milp) solves all of them.
"""

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from .budget import KINDS, Budget, BudgetError
from .problem import NARROW_BITS, AllocationProblem

FULL_BITS = 8
_SECONDS = 40
_GAP = 1e-6
_LARGE, _LARGE_GAP = 1000, 1e-4
"""Choices from which on a program may end with a larger gap, so that the gap ends it and not a busy machine's clock."""
_ATTEMPTS = 4
_TIGHTER = 2e-6
"""By which the limit is lowered where the solver's tolerance (1e-6) has let it be passed."""


def allocate(problem: AllocationProblem, *budgets: Budget) -> np.ndarray:
    """The bits of every item (int), of the smallest loss that all the budgets allow.

    The solver stops at a relative gap of 1e-6 (1e-4 from 1,000 choices on), or after 40 s with the best that it has.

    Raises
    ------
    BudgetError: a budget cannot be met even with the fewest bits everywhere.
    ValueError: no budget.
    """
    if not budgets:
        raise ValueError("an allocation needs at least one budget")
    limits = [(budget.kind, _limit(problem, budget)) for budget in budgets]
    for attempt in range(_ATTEMPTS):
        tighter = [(kind, max(_least(problem, kind), limit * (1 - attempt * _TIGHTER))) for kind, limit in limits]
        if len(tighter) > 1:
            bits = _jointly(problem, tighter)
        else:
            ((kind, limit),) = tighter
            bits = (_by_tiles if kind == "latency" else _by_items)(problem, kind, limit)
        if bits is not None and all(problem.cost(bits, kind) <= limit for kind, limit in limits):
            return bits
    return np.full(len(problem.loss), problem.bits[0])


def _limit(problem: AllocationProblem, budget: Budget) -> float:
    """The limit of a budget in its unit. Raises BudgetError."""
    full = problem.cost(np.full(len(problem.loss), FULL_BITS), budget.kind) if budget.share else 1.0
    limit = budget.limit * full
    least = _least(problem, budget.kind)
    if not least <= limit:
        share = f" ({100 * least / full:.2f} % of 8 bits everywhere)" if budget.share else ""
        raise BudgetError(
            f"budget: {budget.kind} of {limit:,.0f} {KINDS[budget.kind]} cannot be met: with {problem.bits[0]} bits "
            f"everywhere the network needs {least:,.0f}{share}; give at least that"
        )
    return limit


def _least(problem: AllocationProblem, kind: str) -> float:
    """What the network costs with the fewest bits everywhere."""
    return problem.cost(np.full(len(problem.loss), problem.bits[0]), kind)


def _tile_costs(problem: AllocationProblem, limit: float) -> list[np.ndarray]:
    """The latency of every set by its number of tiles; infinite where that alone takes the network beyond the limit,
    which the solver's tolerance could let pass."""
    room = limit - _least(problem, "latency")
    costs = []
    for index in range(len(problem.sets)):
        tiles, _ = problem.tile_choices(index)
        extra = problem.tile_cost(index) * (tiles - tiles[0])
        costs.append(np.where(extra <= room, problem.tile_cost(index) * tiles, np.inf))
    return costs


def _by_items(problem: AllocationProblem, kind: str, limit: float) -> np.ndarray | None:
    bits = np.asarray(problem.bits)
    costs = problem.unit_costs(kind)[:, None] * bits
    chosen = _choose(list(problem.loss), list(costs), limit)
    return None if chosen is None else bits[chosen]


def _by_tiles(problem: AllocationProblem, kind: str, limit: float) -> np.ndarray | None:
    plans = [_TilePlan(problem, index) for index in range(len(problem.sets))]
    costs = _tile_costs(problem, limit)
    losses = [np.where(np.isfinite(cost), plan.losses, np.inf) for plan, cost in zip(plans, costs)]
    chosen = _choose(losses, costs, limit)
    if chosen is None:
        return None
    bits = np.empty(len(problem.loss), int)
    for plan, choice in zip(plans, chosen):
        bits[plan.items] = plan.bits(choice)
    return bits


def _jointly(problem: AllocationProblem, limits: list[tuple[str, float]]) -> np.ndarray | None:
    """Bits under several limits: variables x of items and bits, then y of sets and numbers of tiles."""
    bits, (items, choices) = np.asarray(problem.bits), problem.loss.shape
    plans = [problem.tile_choices(index) for index in range(len(problem.sets))]
    counts = [len(tiles) for tiles, _ in plans]
    sets = np.repeat(np.arange(len(plans)), counts)
    item_of, wide = np.repeat(np.arange(items), choices), np.tile(bits > NARROW_BITS, items)
    loss = np.concatenate([problem.loss.ravel(), np.zeros(len(sets))])
    variables = np.arange(len(loss))
    one_each = csr_array((np.ones(len(loss)), (np.concatenate([item_of, items + sets]), variables)))
    held = np.concatenate([np.where(wide, problem.channels[item_of], 0), *(-most for _, most in plans)]).astype(float)
    in_lanes = csr_array((held, (np.concatenate([problem.owner[item_of], sets]), variables)))
    constraints = [LinearConstraint(one_each, 1, 1), LinearConstraint(in_lanes, -np.inf, 0)]
    possible = np.ones(len(loss))
    for kind, limit in limits:
        if kind == "latency":
            row = np.concatenate([np.zeros(items * choices), *_tile_costs(problem, limit)])
            possible = np.where(np.isfinite(row), possible, 0.0)
            row = np.nan_to_num(row, posinf=0.0)
        else:
            row = np.concatenate([(problem.unit_costs(kind)[:, None] * bits).ravel(), np.zeros(len(sets))])
        constraints.append(LinearConstraint(row[None, :] / limit, -np.inf, 1))
    result = _solve(loss, possible, constraints)
    return None if result is None else bits[result[: items * choices].reshape(items, choices).argmax(axis=1)]


class _TilePlan:
    """Of one channel set: the numbers of tiles to choose from, and the smallest loss with each."""

    def __init__(self, problem: AllocationProblem, index: int) -> None:
        self.items = np.flatnonzero(problem.owner == index)
        self._bits, self._channels = np.asarray(problem.bits), problem.channels[self.items]
        self._loss = problem.loss[self.items]
        wide = self._bits > NARROW_BITS
        self._narrow = np.where(wide, np.inf, self._loss)
        channels = problem.sets[index].channels
        _, self._limits = problem.tile_choices(index)
        by_count, self._taken = _fewest_losses(
            self._narrow.min(axis=1), np.where(wide, self._loss, np.inf).min(axis=1), self._channels, channels
        )
        self.losses = by_count[self._limits]

    def bits(self, choice: int) -> np.ndarray:
        """The bits of the set's items with the chosen number of tiles."""
        left, wide = int(self._limits[choice]), np.zeros(len(self.items), bool)
        for item in reversed(range(len(self.items))):
            wide[item] = self._taken[item, left]
            left -= int(self._channels[item]) if wide[item] else 0
        allowed = (self._bits > NARROW_BITS)[None, :] == wide[:, None]
        return self._bits[np.where(allowed, self._loss, np.inf).argmin(axis=1)]


def _fewest_losses(
    narrow: np.ndarray, wide: np.ndarray, channels: np.ndarray, total: int
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest sum of losses with at most w = 0 … total wide channels, and which items are wide then.

    The second array is items × (total + 1): whether an item is wide if those up to it have w.
    """
    losses, taken = np.zeros(total + 1), np.zeros((len(narrow), total + 1), bool)
    for item, (below, above, count) in enumerate(zip(narrow, wide, channels)):
        with_wide = np.full(total + 1, np.inf)
        with_wide[count:] = losses[: total + 1 - count] + above
        taken[item] = with_wide < losses + below
        losses = np.minimum(losses + below, with_wide)
    return losses, taken


def _choose(losses: list[np.ndarray], costs: list[np.ndarray], limit: float) -> np.ndarray | None:
    """One choice for each entry of the lists, of the smallest sum of losses with a sum of costs up to the limit."""
    sizes = [len(entry) for entry in losses]
    loss, cost = np.concatenate(losses), np.nan_to_num(np.concatenate(costs), posinf=0.0)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    possible = np.isfinite(loss)
    one_each = csr_array((np.ones(len(loss)), (owner, np.arange(len(loss)))))
    constraints = [LinearConstraint(one_each, 1, 1), LinearConstraint(cost[None, :] / limit, -np.inf, 1)]
    found = _solve(np.where(possible, loss, 0.0), possible.astype(float), constraints)
    if found is None:
        return None
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.array([int(found[start : start + size].argmax()) for start, size in zip(starts, sizes)])


def _solve(loss: np.ndarray, possible: np.ndarray, constraints: list[LinearConstraint]) -> np.ndarray | None:
    """Zeros and ones of the smallest loss; ones only where it is possible."""
    result = milp(
        loss / max(float(loss.max()), 1e-300),
        integrality=np.ones(len(loss)),
        bounds=Bounds(0, possible),
        constraints=constraints,
        options={"time_limit": _SECONDS, "mip_rel_gap": _GAP if len(loss) < _LARGE else _LARGE_GAP},
    )
    found: np.ndarray | None = result.x
    return found

"""Allocation of bits by an integer program: the smallest loss under a budget of size, bit-operations or latency.

Items (groups of channels, or whole layers) each get one of a few numbers of bits. With x = 1 where item g gets bits b:

    minimise Σ Ω_g(b) x_gb    subject to  Σ_b x_gb = 1  and  Σ cost_g(b) x_gb ≤ limit

Size and bit-operations are sums over items. Latency is counted in tiles, because filters of a tile run together: a
*channel set* (layers that share one order) with n channels, w of them wider than 4 bits, takes T tiles with

    T ≥ ⌈n / lanes⌉,   w ≤ fixed8 · T                       (wide filters in Fixed-8 lanes), or
    T = 2 ⌈n / lanes⌉                                       (two weight digits, if every lane is fixed-point)

and costs T · lanes · (MACs of one channel). For each set the smallest loss with T tiles follows from the smallest loss
with w wide channels, by dynamic programming; T is then what the integer program chooses. HiGHS (scipy.optimize.milp)
solves either.
"""

import dataclasses

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from ..graph.formats import FIXED4
from .lane_mix import LaneMix

KINDS = {"size": "bytes", "bit-operations": "bit-operations", "latency": "MAC slots"}
"""Kinds of budget, and their units. A MAC slot is a lane's multiplier for a cycle: cycles times MACs a cycle."""
NARROW_BITS = 4
"""The most bits that a 4-bit lane takes."""
FULL_BITS = 8
_SECONDS = 40
_GAP = 1e-6
_LARGE, _LARGE_GAP = 1000, 1e-4
"""Choices from which on a program may end with a larger gap, so that the gap ends it and not a busy machine's clock."""
_ATTEMPTS = 4
_TIGHTER = 2e-6
"""By which the limit is lowered where the solver's tolerance (1e-6) has let it be passed."""


class BudgetError(ValueError):
    """A budget that is malformed or cannot be met; the message says the smallest that can."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """What the weights of a network may cost (layers whose weights are all ±1 are not counted).

    Parameters
    ----------
    kind: `size` of the weights in bytes; `bit-operations`, MACs × bits of the weight × bits of the activation; or
        `latency` in MAC slots of the array (cycles × MACs a cycle, at full use of the other dimensions).
    limit: in these units; or with `share`, a fraction of what the network costs with 8 bits everywhere.

    Raises
    ------
    BudgetError: another kind, or a limit that is not above 0.
    """

    kind: str
    limit: float
    share: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BudgetError(f"budget: kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        if not 0 < self.limit < float("inf"):
            raise BudgetError(f"budget: the limit of {self.kind} must be above 0, not {self.limit!r}")

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """`size=60%` (of 8 bits everywhere) or `size=1200000` (in the kind's unit).

        Raises
        ------
        BudgetError: it is neither.
        """
        kind, _, value = text.partition("=")
        number = value.strip().removesuffix("%")
        try:
            limit = float(number)
        except ValueError:
            raise BudgetError(f"budget must be KIND=NUMBER or KIND=PERCENT%, as in size=60%, not {text!r}") from None
        share = value.strip().endswith("%")
        return cls(kind.strip(), limit / 100 if share else limit, share)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ChannelSet:
    """Layers that share one order of output channels.

    Members
    -------
    channels: of each of the layers.
    weights, macs, bit_operations: of one channel, summed over the layers; bit-operations for each bit of a weight.
    """

    channels: int
    weights: float
    macs: float
    bit_operations: float


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AllocationProblem:
    """Items to give bits to.

    Members
    -------
    sets: the channel sets.
    owner: int, items; the index of an item's set.
    channels: int, items; how many channels an item is.
    bits: the choices, ascending.
    loss: float, items × choices.
    mix: the lanes of a tile.
    """

    sets: tuple[ChannelSet, ...]
    owner: np.ndarray
    channels: np.ndarray
    bits: tuple[int, ...]
    loss: np.ndarray
    mix: LaneMix

    def cost(self, bits: np.ndarray, kind: str) -> float:
        """What the network costs with these bits (one number per item), in the kind's unit."""
        if kind == "latency":
            return float(sum(self._tiles(index, bits) * self.tile_cost(index) for index in range(len(self.sets))))
        return float((self.unit_costs(kind) * bits).sum())

    def unit_costs(self, kind: str) -> np.ndarray:
        """What one bit costs, by item, for size and bit-operations."""
        field = {"size": [entry.weights / 8 for entry in self.sets],
                 "bit-operations": [entry.bit_operations for entry in self.sets]}[kind]  # fmt: skip
        return np.asarray(field, float)[self.owner] * self.channels

    def base_tiles(self, index: int) -> int:
        """The fewest tiles that the channels of a set need."""
        return -(-self.sets[index].channels // self.mix.tile)

    @property
    def two_digits(self) -> bool:
        """Whether a tile can run as two weight digits."""
        return self.mix.lut == 0 or self.mix.lut_format == FIXED4

    def tile_cost(self, index: int) -> float:
        """What a tile of a set costs in MAC slots."""
        return self.mix.tile * self.sets[index].macs

    def _tiles(self, index: int, bits: np.ndarray) -> float:
        base = self.base_tiles(index)
        wide = int(self.channels[(self.owner == index) & (bits > NARROW_BITS)].sum())
        choices = [2.0 * base] if self.two_digits else []
        if not wide:
            return base
        if self.mix.fixed8:
            choices.append(max(base, -(-wide // self.mix.fixed8)))
        return min(choices, default=float("inf"))


def allocate(problem: AllocationProblem, budget: Budget) -> np.ndarray:
    """The bits of every item (int), of the smallest loss that the budget allows.

    The solver stops at a relative gap of 1e-6 (1e-4 from 1,000 choices on), or after 40 s with the best that it has.

    Raises
    ------
    BudgetError: the budget cannot be met even with the fewest bits everywhere.
    """
    full = problem.cost(np.full(len(problem.loss), FULL_BITS), budget.kind) if budget.share else 1.0
    limit = budget.limit * full
    least = problem.cost(np.full(len(problem.loss), problem.bits[0]), budget.kind)
    if not least <= limit:
        share = f" ({100 * least / full:.2f} % of 8 bits everywhere)" if budget.share else ""
        raise BudgetError(
            f"budget: {budget.kind} of {limit:,.0f} {KINDS[budget.kind]} cannot be met: with {problem.bits[0]} bits "
            f"everywhere the network needs {least:,.0f}{share}; give at least that"
        )
    solve = _by_tiles if budget.kind == "latency" else _by_items
    for attempt in range(_ATTEMPTS):
        bits = solve(problem, budget.kind, limit * (1 - attempt * _TIGHTER))
        if bits is not None and problem.cost(bits, budget.kind) <= limit:
            return bits
    return np.full(len(problem.loss), problem.bits[0])


def _by_items(problem: AllocationProblem, kind: str, limit: float) -> np.ndarray | None:
    bits = np.asarray(problem.bits)
    costs = problem.unit_costs(kind)[:, None] * bits
    chosen = _choose(list(problem.loss), list(costs), limit)
    return None if chosen is None else bits[chosen]


def _by_tiles(problem: AllocationProblem, kind: str, limit: float) -> np.ndarray | None:
    plans = [_TilePlan(problem, index) for index in range(len(problem.sets))]
    costs = [problem.tile_cost(index) * plan.tiles for index, plan in enumerate(plans)]
    chosen = _choose([plan.losses for plan in plans], costs, limit)
    if chosen is None:
        return None
    bits = np.empty(len(problem.loss), int)
    for plan, choice in zip(plans, chosen):
        bits[plan.items] = plan.bits(choice)
    return bits


class _TilePlan:
    """Of one channel set: the numbers of tiles to choose from, and the smallest loss with each."""

    def __init__(self, problem: AllocationProblem, index: int) -> None:
        self.items = np.flatnonzero(problem.owner == index)
        self._bits, self._channels = np.asarray(problem.bits), problem.channels[self.items]
        self._loss = problem.loss[self.items]
        wide = self._bits > NARROW_BITS
        self._narrow = np.where(wide, np.inf, self._loss)
        channels, fixed8, base = problem.sets[index].channels, problem.mix.fixed8, problem.base_tiles(index)
        most = max(base, -(-channels // fixed8)) if fixed8 else base
        self.tiles = np.arange(base, 2 * base + 1 if problem.two_digits else most + 1)
        self._limits = np.minimum(fixed8 * self.tiles, channels)
        if problem.two_digits:
            self._limits[-1] = channels
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
    loss, cost = np.concatenate(losses), np.concatenate(costs)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    possible = np.isfinite(loss)
    objective = np.where(possible, loss, 0.0)
    one_each = csr_array((np.ones(len(loss)), (owner, np.arange(len(loss)))))
    result = milp(
        objective / max(float(objective.max()), 1e-300),
        integrality=np.ones(len(loss)),
        bounds=Bounds(0, possible.astype(float)),
        constraints=[LinearConstraint(one_each, 1, 1), LinearConstraint(cost[None, :] / limit, -np.inf, 1)],
        options={"time_limit": _SECONDS, "mip_rel_gap": _GAP if len(loss) < _LARGE else _LARGE_GAP},
    )
    if result.x is None:
        return None
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.array([int(result.x[start : start + size].argmax()) for start, size in zip(starts, sizes)])

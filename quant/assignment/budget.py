"""Budgets: what the weights of a network may cost."""

import dataclasses

KINDS = {"size": "bytes", "bit-operations": "bit-operations", "latency": "MAC slots"}
"""Kinds of budget, and their units. A MAC slot is a lane's multiplier for a cycle: cycles times MACs a cycle."""


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

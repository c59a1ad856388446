"""What a method is: a function from a `Request` to formats, and a training recipe."""

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ...graph.formats import WeightFormat
from ...network.model import QuantizedNetwork
from ...network.quantizers import Formats
from ...training.recipe import TrainingOptions
from ..budget import Budget
from ..lane_mix import LaneMix
from ..sensitivity import Progress, untold

DEFAULT_RECIPE = TrainingOptions(epochs=8, learning_rate=1e-3)


class MethodError(ValueError):
    """A method that is unknown, or that the lanes or the data do not allow; the message says what would work."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What formats are chosen from.

    Members
    -------
    network: calibrated.
    mix: filters of a tile by what its lanes take.
    images: a batch, or None.
    budgets: for methods with an integer program; none is what `mix` itself costs.
    progress: told how far the measures are that take long.
    """

    network: QuantizedNetwork
    mix: LaneMix
    images: Tensor | None = None
    budgets: tuple[Budget, ...] = ()
    progress: Progress = untold


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """A preset.

    Members
    -------
    name: what `--method` calls it.
    assign: see the function's docstring for the paper.
    lut_format: what the LUT lanes must hold; None where it may be anything.
    needs_images, takes_budget: whether it looks at images; whether it works under a budget.
    recipe: of its training.
    period: epochs between assignments; 0 assigns once, before training.
    assigned_share: share of the epochs in which formats may change; then they stay.
    """

    name: str
    assign: Callable[[Request], dict[str, Formats]]
    lut_format: WeightFormat | None = None
    needs_images: bool = False
    takes_budget: bool = False
    recipe: TrainingOptions = DEFAULT_RECIPE
    period: int = 0
    assigned_share: float = 1.0

    def options(self, **chosen: Any) -> TrainingOptions:
        """The recipe with what is chosen otherwise; a value of None leaves the recipe's.

        SGD's learning rate follows another batch size in proportion (as FILM-QNN's: 0.512 at 512, 1.024 at 1,024), and
        the warm-up is no larger a share of fewer epochs.
        """
        fields = {key: value for key, value in chosen.items() if value is not None}
        if self.recipe.optimizer == "sgd" and "batch_size" in fields:
            scaled = self.recipe.learning_rate * fields["batch_size"] / self.recipe.batch_size
            fields = {"learning_rate": scaled} | fields
        if 0 < fields.get("epochs", 0) < self.recipe.epochs:
            fields = {"warm_up": self.recipe.warm_up * fields["epochs"] / self.recipe.epochs} | fields
        return dataclasses.replace(self.recipe, **fields)

    def assigns_before(self, epoch: int, epochs: int) -> bool:
        """Whether formats are chosen anew before this epoch (counted from 1)."""
        return bool(self.period) and (epoch - 1) % self.period == 0 and epoch <= round(epochs * self.assigned_share)

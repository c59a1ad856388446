"""Methods: which filter gets which format, as published, and the baselines they are compared with; a file each.

All of them use one quantizer, one trainer and the same sensitivities; ratios between formats come from the lanes of the
board's tiles (`LaneMix`), or are given. A new method is a file with a `Method`, and a place in `METHODS`.
"""

from torch import Tensor

from ...network.model import QuantizedNetwork
from ...network.quantizers import Formats
from ..budget import Budget
from ..lane_mix import LaneMix
from ..sensitivity import Progress, untold
from .film_qnn import FILM_QNN
from .hawq import HAWQ_V3
from .hbp import HBP
from .ilmpq import ILMPQ
from .method import Method, MethodError, Request
from .msq import MSQ
from .own import BASELINES, OUTPUT_ERROR, VARIANCE

__all__ = ["METHODS", "Method", "MethodError", "Request", "assign", "check_budgets", "find_method"]

METHODS: dict[str, Method] = {
    method.name: method for method in (VARIANCE, OUTPUT_ERROR, MSQ, ILMPQ, FILM_QNN, HBP, HAWQ_V3, *BASELINES)
}
"""By name: the board's own mix, the papers, the baselines."""


def assign(
    network: QuantizedNetwork,
    mix: LaneMix,
    *,
    method: str = "variance",
    images: Tensor | None = None,
    budgets: tuple[Budget, ...] = (),
    progress: Progress = untold,
) -> dict[str, Formats]:
    """A format for every filter of every convolution, by layer name; `QuantizedNetwork.set_formats` takes it.

    Parameters
    ----------
    method: a name in `METHODS`.
    images: a batch, for methods that look at images.
    budgets: for `hbp` and `hawq-v3`.
    progress: told how far a Hessian is, for the methods that have one.

    Raises
    ------
    MethodError: `method` is unknown, needs images or lanes that are not there, or takes no budget.
    BudgetError: a budget cannot be met.
    """
    preset = find_method(method)
    kind = preset.lut_format
    if kind is not None and mix.lut and mix.lut_format != kind:
        raise MethodError(
            f"method {method!r} needs LUT lanes for {kind.name}, but the board's are for {mix.lut_format.name}; "
            f"choose LUT lanes for {kind.name} (--lut-scheme {kind.name}), or another method"
        )
    if preset.needs_images and images is None:
        raise MethodError(f"method {method!r} needs images; use variance where there are none")
    check_budgets(method, budgets)
    return preset.assign(Request(network=network, mix=mix, images=images, budgets=budgets, progress=progress))


def check_budgets(method: str, budgets: tuple[Budget, ...]) -> None:
    """Checks that a method works under budgets, if there are any, each of another kind.

    Raises
    ------
    MethodError: it does not, or is unknown; the message lists those that do. Or two budgets are of one kind.
    """
    kinds = [budget.kind for budget in budgets]
    if twice := next((kind for kind in kinds if kinds.count(kind) > 1), None):
        raise MethodError(f"budget: {twice} has {kinds.count(twice)} limits; give one")
    if budgets and not find_method(method).takes_budget:
        able = ", ".join(name for name, entry in METHODS.items() if entry.takes_budget)
        raise MethodError(f"method {method!r} takes no budget (its ratio is the lanes'); {able} do")


def find_method(name: str) -> Method:
    """A method by name.

    Raises
    ------
    MethodError: there is none; the message lists them.
    """
    if name not in METHODS:
        raise MethodError(f"method must be one of {', '.join(METHODS)}, not {name!r}")
    return METHODS[name]

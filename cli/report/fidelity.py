"""Whether a quantized model is of use, as a table to decide by, and what to try where it is not."""

import math
from collections.abc import Sequence

from ...quant.assignment.cost import NetworkCost
from ...quant.network.fidelity import LEAST_AGREEMENT, LEAST_SQNR, Fidelity
from ..figures.models import FidelityFigures, RemedyFigures
from ..shared.console import console, table
from ..shared.tables import counted, percent

_COLUMNS = [("decisions as in float", "right"), ("SQNR of scores", "right"), ("weight bytes", "right"),
            ("frames/s, estimated", "right"), ("test images", "right")]  # fmt: skip
_REMEDY_COLUMNS = [("to try next", "left"), ("what it does", "left"), ("frames/s, estimated", "right"),
                   ("weight bytes", "right")]  # fmt: skip
_NAMES = 2
"""Of further layers that an option may have in the table."""


def fidelity_figures(found: Fidelity | None, cost: NetworkCost) -> FidelityFigures | None:
    """The figures, if there are any."""
    if found is None:
        return None
    return FidelityFigures(
        top1_agreement=found.top1_agreement, sqnr_db=finite_db(found.sqnr),
        images=found.images, weight_bytes=cost.weight_bytes, poor=found.poor,
    )  # fmt: skip


def finite_db(sqnr: float) -> float | None:
    """A ratio for scripts: None where it is infinite."""
    return sqnr if math.isfinite(sqnr) else None


def near_cells(top1_agreement: float | None, sqnr: float | None) -> tuple[str, str]:
    """Agreement and SQNR for a table; a ratio of None is infinite."""
    agreement = "" if top1_agreement is None else percent(top1_agreement)
    return agreement, "∞" if sqnr is None else f"{sqnr:.1f} dB"


def show_fidelity(figures: FidelityFigures | None, cost: NetworkCost, board: str) -> None:
    """The table; without figures, of a model with several outputs, what it costs."""
    agreement = sqnr = images = ""
    if figures is not None:
        agreement, sqnr = near_cells(figures.top1_agreement, figures.sqnr_db)
        images = f"{figures.images:,}"
    row = [agreement, sqnr, f"{cost.weight_bytes:,}", f"{cost.frames_per_second:,.1f}", images]
    table(f"the integer model against the float model, on {board}", _COLUMNS, [row])


def show_remedies(remedies: Sequence[RemedyFigures]) -> None:
    """The warning that a model is hardly of use, and what would help."""
    console.print(
        f"[bold yellow]This model is hardly of use:[/] its scores should have {LEAST_SQNR:.0f} dB and at least "
        f"{100 * LEAST_AGREEMENT:.0f} % of the float model's decisions.",
        soft_wrap=True,
    )
    rows = [
        [_short(it.option), it.meaning, f"{it.model_frames_per_second:,.1f}", f"{it.weight_bytes:,}"]
        for it in remedies
    ]
    table("what would help", _REMEDY_COLUMNS, rows, spare=("what it does", "weight bytes"))
    for it in remedies:
        if _short(it.option) != it.option:
            console.print(f"{_short(it.option)}: {it.option}", soft_wrap=True, markup=False)


def _short(option: str) -> str:
    """An option that names many layers, for a table."""
    first, *others = option.split(",")
    return option if len(others) <= _NAMES else f"{first}, and {counted(len(others), 'more layer')}"

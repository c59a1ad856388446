"""Whether a quantized model is of use, as a table to decide by, and what to try where it is not."""

import dataclasses
import math
from collections.abc import Sequence

from ...quant.network.fidelity import LEAST_AGREEMENT, LEAST_SQNR, Fidelity
from ...quant.network.layer_report import LayerReport
from ..figures.models import FidelityFigures
from ..shared.console import console, table
from ..shared.tables import percent

_MOST_BITS = 8
_COLUMNS = [("decisions as in float", "right"), ("SQNR of scores", "right"), ("weight bytes", "right"),
            ("test images", "right")]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tried:
    """What a person has asked for already.

    Members
    -------
    reconstructed, trained: whether the network was.
    bits: of hidden activations.
    """

    reconstructed: bool
    trained: bool
    bits: int


def fidelity_figures(found: Fidelity | None, layers: Sequence[LayerReport]) -> FidelityFigures | None:
    """The figures, if there are any."""
    if found is None:
        return None
    return FidelityFigures(
        top1_agreement=found.top1_agreement, sqnr_db=found.sqnr if math.isfinite(found.sqnr) else None,
        images=found.images, weight_bytes=sum(entry.weight_bytes for entry in layers), poor=found.poor,
    )  # fmt: skip


def show_fidelity(figures: FidelityFigures, tried: Tried) -> None:
    """The table, and below it a warning with what would help, if the result is poor."""
    row = [
        "" if figures.top1_agreement is None else percent(figures.top1_agreement),
        "∞" if figures.sqnr_db is None else f"{figures.sqnr_db:.1f} dB",
        f"{figures.weight_bytes:,.0f}",
        f"{figures.images:,}",
    ]
    table("the integer model against the float model", _COLUMNS, [row])
    if figures.poor:
        console.print(
            f"[bold yellow]This model is hardly of use:[/] its scores should have {LEAST_SQNR:.0f} dB and at least "
            f"{100 * LEAST_AGREEMENT:.0f} % of the float model's decisions. To try next: {'; '.join(advice(tried))}",
            soft_wrap=True,
        )


def advice(tried: Tried) -> list[str]:
    """What would help, cheapest first."""
    found = []
    if not tried.reconstructed and not tried.trained:
        found.append("--reconstruct, which costs minutes and nothing on the board")
    found.append("--keep 8:first,last,depthwise, or the layers of the lowest SQNR above")
    if tried.bits < _MOST_BITS:
        found.append(f"--bits {tried.bits + 1} … {_MOST_BITS}, in two passes beyond a slot of the accelerator")
    found.append("--method fixed-8, twice the weights")
    if not tried.trained:
        found.append("--epochs 8 with labels")
    return [*found, "more images, of what the model will see"]

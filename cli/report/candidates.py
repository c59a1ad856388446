"""What was tried to reach a target, and what each costs."""

from collections.abc import Sequence

from ...quant.assignment.search import Candidate
from ..figures.models import CandidateFigures
from ..shared.console import console, table
from ..shared.tables import counted
from .fidelity import finite_db, near_cells

_COLUMNS = [("8 bits for", "left"), ("decisions as in float", "right"), ("SQNR of scores", "right"),
            ("frames/s, estimated", "right"), ("weight bytes", "right"), ("", "left")]  # fmt: skip


def candidate_figures(candidates: Sequence[Candidate], chosen: Candidate | None) -> tuple[CandidateFigures, ...]:
    """The figures; `chosen` is the candidate that was taken."""
    return tuple(
        CandidateFigures(
            layers=it.layers, top1_agreement=it.fidelity.top1_agreement,
            sqnr_db=finite_db(it.fidelity.sqnr),
            model_frames_per_second=it.cost.frames_per_second, weight_bytes=it.cost.weight_bytes, reached=it.reached,
            taken=chosen is not None and it.layers == chosen.layers,
        )
        for it in candidates
    )  # fmt: skip


def show_candidates(candidates: Sequence[Candidate], chosen: Candidate | None, method: str) -> None:
    """The table, and the options that give what was taken again."""
    figures = candidate_figures(candidates, chosen)
    rows = [
        [
            _layers(candidate, method),
            *near_cells(it),
            f"{it.model_frames_per_second:,.1f}",
            f"{it.weight_bytes:,}",
            "[bold green]taken[/]" if it.taken else "reaches it" if it.reached else "",
        ]
        for candidate, it in zip(candidates, figures)
    ]
    images = candidates[0].fidelity.images
    table(f"assignments tried, on {counted(images, 'image')} held out from calibration", _COLUMNS, rows,
          spare=("weight bytes",))  # fmt: skip
    if chosen is not None and chosen.layers:
        console.print(f"taken: --method {method} --keep 8:{','.join(chosen.layers)}", soft_wrap=True)


def _layers(candidate: Candidate, method: str) -> str:
    if not candidate.layers:
        return f"what {method} chooses"
    if candidate.everything:
        return "all layers that gain by it" if len(candidate.layers) > 1 else candidate.layers[0]
    return f"{candidate.layers[0]} too" if len(candidate.layers) == 1 else f"{len(candidate.layers)} layers too"

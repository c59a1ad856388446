"""What was tried to reach a target, and what each costs."""

from collections.abc import Sequence

from ...quant.assignment.search import Candidate
from ...quant.network.fidelity import Fidelity
from ..figures.models import CandidateFigures
from ..shared.console import console, table
from ..shared.tables import counted
from .fidelity import finite_db, near_cells

_COLUMNS = [("8 bits for", "left"), ("decisions as in float", "right"), ("SQNR of scores", "right"),
            ("frames/s, estimated", "right"), ("weight bytes", "right"), ("", "left")]  # fmt: skip

_TAKEN = "[bold green]taken[/]"


def candidate_figures(
    candidates: Sequence[Candidate], chosen: Candidate | None, learned: Fidelity | None = None
) -> tuple[CandidateFigures, ...]:
    """The figures; `chosen` is the candidate that was taken, `learned` what became of it."""
    return tuple(_figures(it, chosen is not None and it.layers == chosen.layers, learned) for it in candidates)


def _figures(candidate: Candidate, taken: bool, learned: Fidelity | None) -> CandidateFigures:
    after = learned if taken else None
    return CandidateFigures(
        layers=candidate.layers, top1_agreement=candidate.fidelity.top1_agreement,
        sqnr_db=finite_db(candidate.fidelity.sqnr), model_frames_per_second=candidate.cost.frames_per_second,
        weight_bytes=candidate.cost.weight_bytes, reached=candidate.reached, taken=taken,
        learned_top1_agreement=None if after is None else after.top1_agreement,
        learned_sqnr_db=None if after is None else finite_db(after.sqnr),
    )  # fmt: skip


def show_candidates(
    candidates: Sequence[Candidate], chosen: Candidate | None, method: str, learned: Fidelity | None = None
) -> None:
    """The table, with what became of the one that was taken beside it, and the options that give that one again."""
    rows = []
    for candidate, it in zip(candidates, candidate_figures(candidates, chosen, learned)):
        near = near_cells(it.top1_agreement, it.sqnr_db)
        costs = f"{it.model_frames_per_second:,.1f}", f"{it.weight_bytes:,}"
        last = it.taken and learned is None
        rows.append([_layers(candidate, method), *near, *costs, _TAKEN if last else "reaches it" if it.reached else ""])
        if it.taken and learned is not None:
            near = near_cells(it.learned_top1_agreement, it.learned_sqnr_db)
            rows.append(["… its rounding learned", *near, *costs, _TAKEN])
    images, before = candidates[0].fidelity.images, "" if learned is None else ", before rounding is learned"
    table(f"assignments tried{before}, on {counted(images, 'image')} held out from calibration", _COLUMNS, rows,
          spare=("weight bytes",))  # fmt: skip
    if chosen is not None and chosen.layers:
        console.print(f"taken: --method {method} --keep 8:{','.join(chosen.layers)}", soft_wrap=True)


def _layers(candidate: Candidate, method: str) -> str:
    if not candidate.layers:
        return f"what {method} chooses"
    if candidate.everything:
        return "all layers that gain by it" if len(candidate.layers) > 1 else candidate.layers[0]
    return f"{candidate.layers[0]} too" if len(candidate.layers) == 1 else f"{len(candidate.layers)} layers too"

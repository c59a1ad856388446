"""Labels that belong to a network's scores."""

from typing import Any

from .errors import UserError


def check_labels(data: str, labels: Any, scores: int) -> None:
    """Checks that a network has a score for every label; `labels`: NumPy's or PyTorch's integers, or None.

    Raises
    ------
    UserError: it has not.
    """
    if labels is not None and len(labels) and int(labels.max()) >= scores:
        raise UserError(
            f"data {data}: the labels go up to {int(labels.max())}, but the network gives {scores} scores; give the "
            "labels that it was trained for, or images without labels"
        )

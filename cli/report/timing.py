"""The HTML report of a timing analysis."""

from collections.abc import Mapping
from typing import Any

from .run import template


def render_timing(figures: Mapping[str, Any]) -> str:
    """The report of `timing` as HTML; `figures` as docs/json.md has them."""
    worst = max(block["worst_ns"] for block in figures["blocks"])
    return template("timing.html.j2").render(figures=figures, scale=max(worst, figures["limit_ns"]))

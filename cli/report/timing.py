"""The HTML report of a timing analysis."""

from ..figures.timing import TimingFigures
from .run import template


def render_timing(figures: TimingFigures) -> str:
    """The report of `timing` as HTML."""
    return template("timing.html.j2").render(figures=figures, scale=max(figures.worst_ns, figures.limit_ns))

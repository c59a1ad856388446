"""Figures as SVG, for the reports and the documents."""

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

INK, GRID = "#1f2933", "#e4e7eb"


def svg(figure: Figure) -> str:
    """The same text for the same figure; letters as text, which takes a third of the size of their outlines."""
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "intramix"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def inline(figure: Figure, axes: Any) -> str:
    """A plot of a report as an element of its page, in the reports' style; its legend stands beside the axes."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9, labelcolor=INK)
    text = svg(figure)
    return text[text.index("<svg") :]

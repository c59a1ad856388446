"""What quantization did, as tables for the terminal and as a page."""

import base64
import dataclasses
import io
import math
from collections.abc import Sequence
from html import escape

from ...quant.frontend.preflight import FOLDED, REJECTED, Finding
from ...quant.network.accumulators import Narrowed
from ...quant.network.layer_report import LayerReport
from ..figures.models import QuantizedAccuracy, QuantizedLayer
from ..shared.console import console, table
from ..shared.tables import mix, percent

_COLOURS = {FOLDED: "dim", REJECTED: "bold red"}
_FINDING_COLUMNS = [("layer", "left"), ("operator", "left"), ("becomes", "left"), ("note", "left")]
_LAYER_COLUMNS = [
    ("layer", "left"), ("kind", "left"), ("filters by format", "left"), ("MACs", "right"), ("weight bytes", "right"),
    ("bit-operations", "right"), ("output bits", "right"), ("SQNR dB", "right"),
]  # fmt: skip


def show_findings(findings: Sequence[Finding], *, whole: bool) -> None:
    """The table of operators; unless `whole`, only if one is rejected."""
    if not whole and all(entry.status != REJECTED for entry in findings):
        return
    rows = [
        [f"[{_COLOURS[entry.status]}]{cell}[/]" if entry.status in _COLOURS else cell for cell in _finding_row(entry)]
        for entry in findings
    ]
    table("operators of the model", _FINDING_COLUMNS, rows)


def show_layers(title: str, layers: Sequence[LayerReport]) -> None:
    """The table of layers, with totals."""
    table(title, _LAYER_COLUMNS, [_layer_row(entry) for entry in layers], _totals(layers),
          spare=("bit-operations", "weight bytes", "kind", "MACs", "output bits"))


def show_narrowed(narrowed: Sequence[Narrowed], accumulator_bits: int) -> None:
    """Says which filters have fewer bits than the method gave them."""
    for entry in narrowed:
        console.print(f"[yellow]{entry}[/], so that their sums fit {accumulator_bits}-bit accumulators")


def layer_figures(entry: LayerReport) -> QuantizedLayer:
    """The figures of a layer."""
    return QuantizedLayer(
        name=entry.name, kind=entry.kind, formats=entry.formats, macs=entry.macs, weight_bytes=entry.weight_bytes,
        bit_operations=entry.bit_operations, output_bits=entry.output_bits,
        sqnr_db=entry.sqnr if math.isfinite(entry.sqnr) else None,
    )  # fmt: skip


def accuracy_line(accuracy: QuantizedAccuracy) -> str:
    """The accuracies that there are."""
    values = {field.name: getattr(accuracy, field.name) for field in dataclasses.fields(accuracy)}
    return " · ".join(f"{name} {percent(value)}" for name, value in values.items() if value is not None)


def render_quantization(
    title: str, findings: Sequence[Finding], layers: Sequence[LayerReport], accuracy: QuantizedAccuracy
) -> str:
    """A page of HTML that needs nothing else: both tables, accuracies, and a plot of the bits of every channel."""
    scores = accuracy_line(accuracy)
    plot = base64.b64encode(_plot(layers)).decode()
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em }}
table {{ border-collapse: collapse; margin-bottom: 2em }} td, th {{ padding: .2em .7em; border-bottom: 1px solid #ddd }}
.right {{ text-align: right }} .left {{ text-align: left }} img {{ max-width: 100% }}
</style></head><body><h1>{escape(title)}</h1><p>{escape(scores)}</p>
<h2>Layers</h2>{_html_table(_LAYER_COLUMNS, [_layer_row(entry) for entry in layers], _totals(layers))}
<h2>Bits of every channel</h2><img alt="bits of every channel" src="data:image/svg+xml;base64,{plot}">
<h2>Operators of the model</h2>{_html_table(_FINDING_COLUMNS, [_finding_row(entry) for entry in findings])}
</body></html>
"""


def _finding_row(entry: Finding) -> list[str]:
    return [entry.name, entry.operator, entry.status, "; ".join(filter(None, (entry.note, entry.remedy)))]


def _layer_row(entry: LayerReport) -> list[str]:
    return [
        entry.name, entry.kind, mix(entry.formats), f"{entry.macs:,}", f"{entry.weight_bytes:,}",
        f"{entry.bit_operations:,}", str(entry.output_bits), f"{entry.sqnr:.1f}",
    ]  # fmt: skip


def _totals(layers: Sequence[LayerReport]) -> list[str]:
    sums = [sum(getattr(entry, field) for entry in layers) for field in ("macs", "weight_bytes", "bit_operations")]
    return ["network", "", "", *(f"{value:,}" for value in sums), "", f"{layers[-1].sqnr:.1f}"]


def _html_table(columns: list[tuple[str, str]], rows: list[list[str]], footer: list[str] | None = None) -> str:
    def line(cells: list[str], tag: str) -> str:
        sides = [side for _, side in columns]
        return "".join(f'<{tag} class="{side}">{escape(cell)}</{tag}>' for cell, side in zip(cells, sides))

    lines = [line([heading for heading, _ in columns], "th"), *(line(row, "td") for row in rows)]
    lines += [line(footer, "th")] if footer else []
    return "<table>" + "".join(f"<tr>{entry}</tr>" for entry in lines) + "</table>"


def _plot(layers: Sequence[LayerReport]) -> bytes:
    """One row per layer: the shares of its channels by bits, SVG."""
    from matplotlib.figure import Figure

    shown = [entry for entry in layers if entry.bits]
    figure = Figure(figsize=(10, 1 + 0.28 * len(shown)), layout="constrained")
    axes = figure.subplots()
    widths = sorted({width for entry in shown for width in entry.bits})
    left = [0.0] * len(shown)
    for width in widths:
        shares = [entry.bits.count(width) / len(entry.bits) for entry in shown]
        colour = f"C{widths.index(width)}"
        axes.barh(range(len(shown)), shares, left=left, color=colour, label=f"{width} bits")
        left = [begin + share for begin, share in zip(left, shares)]
    axes.set_yticks(range(len(shown)), [entry.name for entry in shown], fontsize=8)
    axes.set_xlabel("share of the layer's channels")
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0 + 1.4 / (1 + len(shown))), ncols=7, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    return buffer.getvalue()

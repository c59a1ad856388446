"""What quantization did, as tables for the terminal and as a page."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb

from ...quant.frontend.preflight import FOLDED, REJECTED, Finding
from ...quant.network.accumulators import Narrowed
from ...quant.network.layer_report import LayerReport
from ...quant.quantize import QuantizationResult
from ...svg import inline
from ..figures.models import AgreementFigures, QuantizedAccuracy, QuantizedLayer
from ..shared.console import console, table
from ..shared.tables import format_order, mix, percent
from .fidelity import finite_db
from .run import bars, format_colours, template

_COLOURS = {FOLDED: "dim", REJECTED: "bold red"}
_FINDING_COLUMNS = [("layer", "left"), ("operator", "left"), ("becomes", "left"), ("note", "left")]
_LAYER_COLUMNS = [
    ("layer", "left"), ("kind", "left"), ("filters by format", "left"), ("MACs", "right"), ("weight bytes", "right"),
    ("bit-operations", "right"), ("output bits", "right"), ("SQNR dB", "right"),
]  # fmt: skip


def show_findings(findings: Sequence[Finding]) -> None:
    """The table of operators."""
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
        sqnr_db=finite_db(entry.sqnr),
    )  # fmt: skip


def accuracy_line(accuracy: QuantizedAccuracy) -> str:
    """The accuracies that there are."""
    values = {field.name: getattr(accuracy, field.name) for field in dataclasses.fields(accuracy)}
    return " · ".join(f"{name} {percent(value)}" for name, value in values.items() if value is not None)


def agreement_figures(result: QuantizationResult) -> AgreementFigures:
    """How far the integer model and the fake quantization differ, over all codes of all layers' outputs."""
    sizes = {name: tensor.channels * tensor.height * tensor.width for name, tensor in result.graph.tensors.items()}
    total = sum(sizes[entry.tensor] for entry in result.agreement)
    shares = {
        field: sum(getattr(entry, field) * sizes[entry.tensor] for entry in result.agreement) / total
        for field in ("differing", "far")
    }
    integer, quantized = result.integer_accuracy, result.quantized_accuracy
    difference = None if integer is None or quantized is None else integer - quantized
    return AgreementFigures(**shares, accuracy_difference=difference)


def show_agreement(figures: AgreementFigures) -> None:
    difference = figures.accuracy_difference
    note = "" if difference is None else f"; its accuracy is {100 * difference:+.2f} points"
    console.print(
        f"The integer model against the fake quantization of the training: {100 * figures.differing:.3f} % of the "
        f"codes differ, {100 * figures.far:.4f} % by more than 1{note}"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a page; `columns` are (heading, justification)."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[str]]
    footer: Sequence[str] = ()


def render_quantization(
    title: str, findings: Sequence[Finding], layers: Sequence[LayerReport], accuracy: QuantizedAccuracy
) -> str:
    """A page of HTML that needs nothing else: both tables, accuracies, and a plot of the format of every channel."""
    return template("quantization.html.j2").render(
        title=title,
        scores={name: value for name, value in dataclasses.asdict(accuracy).items() if value is not None},
        layers=Table(columns=_LAYER_COLUMNS, rows=[_layer_row(entry) for entry in layers], footer=_totals(layers)),
        plot=_plot(layers),
        findings=Table(columns=_FINDING_COLUMNS, rows=[_finding_row(entry) for entry in findings]),
    )


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


def _plot(layers: Sequence[LayerReport]) -> str:
    """One row per layer: the format of each of its channels, in the model's order, SVG."""
    shown = [entry for entry in layers if entry.filter_formats]
    kinds = sorted({kind for entry in shown for kind in entry.filter_formats}, key=format_order)
    colours = dict(zip(kinds, format_colours(kinds)))
    figure, axes = bars([f"{entry.name} ({len(entry.filter_formats)})" for entry in shown])
    for row, entry in enumerate(shown):
        pixels = np.array([[to_rgb(colours[kind]) for kind in entry.filter_formats]])
        axes.imshow(pixels, extent=(0, 1, row + 0.4, row - 0.4), aspect="auto", interpolation="none", zorder=2)
    for kind, colour in colours.items():
        axes.bar(0, 0, color=colour, label=kind)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xticks([0, 1], ["first channel", "last"])
    return inline(figure, axes)

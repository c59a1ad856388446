"""The reports' plots and tables: the verdict among the first columns, legends beside the plots."""

import re
from importlib.resources import files

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from intramix.cli.report.run import format_colours
from intramix.svg import inline


def test_the_verdict_is_among_the_first_columns():
    page = files("intramix.cli").joinpath("report/report.html.j2").read_text()
    head = re.search(r"<tr><th class=\"n\">#</th>.*?</tr>", page, re.DOTALL)
    assert head is not None
    columns = re.findall(r"<th[^>]*>([^<]*)</th>", head[0])
    assert columns[:4] == ["#", "layer", "RTL = model", "cycles"]
    row = page[head.end() :].split("</tr>")[0]
    cells = re.findall(r"<td.*?</td>", row, re.DOTALL)
    assert len(cells) == len(columns)
    assert "values_mismatched" in cells[2]


def test_the_legend_stands_beside_the_plot():
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots()
    for label in ("read", "written"):
        axes.barh(range(3), [1, 2, 3], label=label)
    text = inline(figure, axes)
    assert text.startswith("<svg")
    (legend,) = figure.legends
    renderer = FigureCanvasAgg(figure).get_renderer()
    assert legend.get_window_extent(renderer).x0 >= axes.get_window_extent(renderer).x1


def test_a_single_kind_of_bars_needs_no_legend():
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.barh([0], [1], label="of all cycles")
    inline(figure, axes)
    assert not figure.legends


@pytest.mark.parametrize("formats", [["fixed-8", "fixed-4", "sp2-4"], ["fixed-8", "fixed-6", "fixed-5", "pot-4"]])
def test_every_format_has_a_colour_of_its_own(formats):
    assert len(set(format_colours(formats))) == len(formats)

"""The HTML report of a run: one file, plots inside."""

import itertools
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import jinja2
from matplotlib.figure import Figure

from ...hdl.lane_classes import LaneClass
from ...runtime.figures.layers import LayerFigures
from ...runtime.figures.profile import ProfileFigures
from ...runtime.figures.simulation import SimulationFigures
from ...svg import inline
from ..figures.models import TrainingEpoch
from ..shared.tables import counted, frames, mix, percent

_DSP_COLOURS = ("#0b7285", "#3bc9db")
_OTHER_COLOURS = ("#364fc7", "#868e96", "#2b8a3e", "#ffe066", "#f783ac")
_LUT_COLOURS = ("#f08c00", "#e8590c", "#c2255c", "#862e9c", "#5c940d")


def _lane_colours() -> dict[str, str]:
    dsp, lut = iter(_DSP_COLOURS), itertools.cycle(_LUT_COLOURS)
    return {kind.value: next(lut if kind.is_lut else dsp) for kind in LaneClass}


_COLOURS = _lane_colours()
"""By class of lanes: cold where it is made of DSPs, warm where of LUTs, in the classes' order."""


def render(figures: SimulationFigures, *, history: Sequence[TrainingEpoch] = ()) -> str:
    """The report of `demo` or `simulate` as HTML.

    Parameters
    ----------
    history: the epochs of the training before.
    """
    run = frames(figures.batch)
    plots = [
        (f"Cycles of a {run}, by layer", _plot_cycles(figures.layers)),
        ("Filters by lane, by layer", _plot_lanes(figures.layers)),
        (f"Memory traffic of a {run}, by layer", _plot_traffic(figures.layers)),
    ]
    if history:
        plots.append(("Training", _plot_history(history)))
    return template("report.html.j2").render(figures=figures, plots=plots)


def render_profile(figures: ProfileFigures) -> str:
    """The report of `profile` as HTML."""
    run = frames(figures.batch)
    plots = [
        (f"Cycles of a {run}, by layer", _plot_cycles(figures.layers)),
        (f"Memory traffic of a {run}, by layer", _plot_traffic(figures.layers)),
        ("Engines, share of all cycles", _plot_engines(figures)),
    ]
    return template("profile.html.j2").render(figures=figures, plots=plots)


def template(name: str) -> jinja2.Template:
    """A report's template, with the words and numbers that all reports write alike."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("intramix.cli", "report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"counted": counted, "frames": frames, "mix": mix, "percent": percent, "scores": _scores}
    return environment.get_template(name)


def _scores(figures: SimulationFigures) -> dict[str, float]:
    """The accuracies that there are, by name and by the images that they are of."""
    if figures.accuracy is None:
        return {}
    values = {each.name: getattr(figures.accuracy, each.name) for each in fields(figures.accuracy)}
    run = f"of the {figures.images:,} images run"
    images = {"float": "of all test images", "quantized": "of all test images", "integer": run, "rtl": run}
    return {f"{name}, {images[name]}": value for name, value in values.items() if value is not None}


def format_colours(formats: Sequence[str]) -> list[str]:
    """A colour for each format of filters: that of the lanes that first compute it, else one of the others."""
    others = itertools.cycle(_OTHER_COLOURS)
    return [_COLOURS.get(kind) or _COLOURS.get(f"lut-{kind}") or next(others) for kind in formats]


def cycle_bars(layers: Sequence[LayerFigures]) -> list[tuple[float, float]]:
    """The two parts of every layer's bar, cycles at the array's full rate and those beyond it: together its cycles in
    the table."""
    return [(layer.ideal_cycles, layer.cycles - layer.ideal_cycles) for layer in layers]


def _plot_cycles(layers: Sequence[LayerFigures]) -> str:
    figure, axes = _layer_bars(layers)
    ideal, spent = zip(*cycle_bars(layers))
    axes.barh(range(len(layers)), ideal, color=_COLOURS["fixed-4"], label="the array's full rate")
    axes.barh(range(len(layers)), spent, left=ideal, color="#ced4da", label="beyond it")
    axes.set_xlabel("cycles")
    return inline(figure, axes)


def _plot_lanes(layers: Sequence[LayerFigures]) -> str:
    figure, axes = _layer_bars(layers)
    left = [0.0] * len(layers)
    for lane, colour in _COLOURS.items():
        counts = [layer.lanes.get(lane, 0) for layer in layers]
        if any(counts):
            axes.barh(range(len(layers)), counts, left=left, color=colour, label=lane)
            left = [a + b for a, b in zip(left, counts)]
    axes.set_xlabel("filters")
    return inline(figure, axes)


def _plot_traffic(layers: Sequence[LayerFigures]) -> str:
    figure, axes = _layer_bars(layers)
    read = [layer.read_bytes / 1024 for layer in layers]
    axes.barh(range(len(layers)), read, color=_COLOURS["fixed-8"], label="read")
    written = [layer.write_bytes / 1024 for layer in layers]
    axes.barh(range(len(layers)), written, left=read, color=_COLOURS["lut-fixed-4"], label="written")
    axes.set_xlabel("KiB")
    return inline(figure, axes)


def _plot_engines(figures: ProfileFigures) -> str:
    shares = {
        f"{engine.engine}: {what}": 100 * cycles / figures.cycles_per_run
        for engine in figures.engines
        for what, cycles in engine.cycles.items()
    }
    figure, axes = bars(list(shares))
    axes.barh(range(len(shares)), list(shares.values()), color=_COLOURS["fixed-8"], label="of all cycles")
    axes.set_xlabel("%")
    return inline(figure, axes)


def _plot_history(history: Sequence[TrainingEpoch]) -> str:
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    for phase, colour in (("float", _COLOURS["fixed-8"]), ("quantized", _COLOURS["lut-fixed-4"])):
        points = [(index, entry.loss) for index, entry in enumerate(history, 1) if entry.phase == phase]
        if points:
            axes.plot(*zip(*points), color=colour, label=phase, marker="o", markersize=3)
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean loss")
    return inline(figure, axes)


def _layer_bars(layers: Sequence[LayerFigures]) -> tuple[Figure, Any]:
    return bars([layer.title for layer in layers])


def bars(names: Sequence[str]) -> tuple[Figure, Any]:
    """A figure of horizontal bars, a row for each name, the first at the top."""
    figure = Figure(figsize=(9, 0.32 * len(names) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    return figure, axes

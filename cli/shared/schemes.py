"""Filters in a number scheme that a geometry has no LUT lanes for: their layers take up to twice the steps."""

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING

from ...compiler.program.program import LayerRecord, Program
from ...hdl.lane_classes import LaneClass
from .console import console

if TYPE_CHECKING:
    from ...model import QuantizedModel

_SCHEMES = {kind.value.removeprefix("lut-"): kind for kind in LaneClass if kind.is_lut}
"""Classes of LUT lanes by the weight format that they are named after; a board has no more of the quantizer."""


def layers_without_lanes(program: Program) -> dict[str, list[LayerRecord]]:
    """Layers with filters of a number scheme of LUT lanes that the program's geometry does not have, by the scheme."""
    found: dict[str, list[LayerRecord]] = {}
    for scheme, lane in _SCHEMES.items():
        if lane is program.geometry.lut_scheme or scheme.startswith("fixed"):
            continue
        if layers := [layer for layer in program.layers if layer.formats.get(scheme)]:
            found[scheme] = layers
    return found


def warn_of_schemes(program: Program) -> None:
    """Says of a program which layers have filters without lanes of their own, and what to compile it with. Without the
    model only the most that it can cost is known: such layers run as two digits of the weights, in twice the steps."""
    for scheme, layers in layers_without_lanes(program).items():
        steps = sum(layer.steps for layer in layers)
        cost = f"take {steps:,} steps, up to {steps // 2:,} more than with such lanes"
        _say(scheme, layers, cost, "compile the model anew with")


def warn_of_model(model: "QuantizedModel", program: Program) -> None:
    """The same of a model and its program, with the steps that lanes of the scheme would save."""
    for scheme in layers_without_lanes(program):
        bits = program.geometry.activation_bits
        geometry = model.board.geometry_for(activation_bits=bits, lut_scheme=_SCHEMES[scheme])
        other = dataclasses.replace(model, geometry=geometry)
        saved = Counter({layer.name: layer.steps for layer in program.layers})
        for layer in other.compile(batch=program.batch, selftest=False).program.layers:
            saved[layer.name] -= layer.steps
        layers = [layer for layer in layers_without_lanes(program)[scheme] if saved[layer.name] > 0]
        if layers:
            more, steps = sum(saved[layer.name] for layer in layers), sum(layer.steps for layer in layers)
            _say(scheme, layers, f"take {more:,} steps more, {steps:,} instead of {steps - more:,}", "add")


def _say(scheme: str, layers: list[LayerRecord], cost: str, remedy: str) -> None:
    names = ", ".join(layer.name for layer in layers)
    console.print(
        f"[bold]No lanes for {scheme}:[/] {names} have filters of it and {cost}; {remedy} --lut-scheme {scheme}",
        soft_wrap=True,
    )

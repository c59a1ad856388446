"""What `quantize` says of its result: layers, accuracy, how near it is to float, what it costs, and what would help."""

import dataclasses

from torch import Tensor

from ...model import QuantizedModel
from ...quant.network.layer_report import LayerReport, layer_reports
from ..figures.models import NarrowedFilters, QuantizedAccuracy, QuantizeFigures, RemedyFigures
from ..shared.console import console, step
from .candidates import candidate_figures, show_candidates
from .fidelity import fidelity_figures, show_fidelity, show_remedies
from .quantization import (
    accuracy_line,
    agreement_figures,
    layer_figures,
    show_agreement,
    show_layers,
    show_narrowed,
)
from .remedies import Tried, remedies

REPORT_IMAGES = 16
"""Images that the layers' distance from the float model is measured with."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reported:
    """What was said.

    Members
    -------
    layers: of the integer model.
    figures: the same for scripts; `seconds` are 0.
    """

    layers: tuple[LayerReport, ...]
    figures: QuantizeFigures


def report_quantized(quantized: QuantizedModel, images: Tensor, tried: Tried, name: str) -> Reported:
    """Measures and prints.

    Parameters
    ----------
    quantized: as it comes from `quantize`.
    images: to test with.
    tried: what it was made with.
    name: of the network.
    """
    result, board = quantized.quantization, quantized.board.name
    assert result is not None
    accuracy = QuantizedAccuracy(
        float=result.float_accuracy, quantized=result.quantized_accuracy, integer=result.integer_accuracy
    )
    layers = layer_reports(result.network, result.graph, images[:REPORT_IMAGES])
    show_layers(f"{name}, {tried.method}", layers)
    show_narrowed(result.narrowed, quantized.geometry.accumulator_bits)
    if result.candidates:
        show_candidates(result.candidates, result.chosen, tried.method, result.learned)
    if line := accuracy_line(accuracy):
        console.print(f"accuracy: {line}, of {len(images):,} test images")
    agreement = agreement_figures(result)
    show_agreement(agreement)
    with step("Estimate the frames a second"):
        cost = quantized.cost()
    near = fidelity_figures(result.fidelity, cost)
    show_fidelity(near, cost, board)
    helping: tuple[RemedyFigures, ...] = ()
    if near and near.poor:
        with step("Estimate what would help") as told:
            helping = remedies(quantized, images[:REPORT_IMAGES], tried, cost, told)
        show_remedies(helping)
    figures = QuantizeFigures(
        network=name,
        method=tried.method,
        board=board,
        activation_bits=tried.bits,
        accuracy=accuracy,
        narrowed=tuple(
            NarrowedFilters(layer=each.layer, filters=each.filters, given=each.given.name, taken=each.taken.name)
            for each in result.narrowed
        ),
        agreement=agreement,
        fidelity=near,
        model_cycles=round(cost.cycles),
        model_frames_per_second=cost.frames_per_second,
        remedies=helping,
        candidates=candidate_figures(result.candidates, result.chosen, result.learned),
        layers=tuple(layer_figures(entry) for entry in layers),
        seconds=0.0,
    )
    return Reported(layers=layers, figures=figures)

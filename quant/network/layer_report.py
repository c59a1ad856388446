"""After quantization: what each layer costs, and how far it is from the float model's."""

import dataclasses
from collections import Counter

import torch
from torch import Tensor

from ..frontend.folded_execution import run_folded
from ..graph.executor import execute
from ..graph.graph import Convolution, IntegerGraph
from .export import image_codes
from .fidelity import decibels
from .model import QuantizedNetwork, image_values

_BATCH = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerReport:
    """Figures of a layer of the integer graph.

    Members
    -------
    formats: filters by format.
    filter_formats: of every filter, in the model's order; () for a max pool.
    macs, weight_bytes, bit_operations: of one image; bit-operations are MACs × weight bits × activation bits.
    output_bits: of its output's codes.
    sqnr: signal to quantization noise of the output, 10·log10(Σ y² / Σ (ŷ − y)²) dB: y of the float model, ŷ of the
        integer graph with all errors of the layers before; infinite where they are equal.
    """

    name: str
    kind: str
    formats: dict[str, int]
    filter_formats: tuple[str, ...]
    macs: int
    weight_bytes: int
    bit_operations: int
    output_bits: int
    sqnr: float


def layer_reports(network: QuantizedNetwork, graph: IntegerGraph, images: Tensor) -> tuple[LayerReport, ...]:
    """Figures of every layer but concatenations, in order.

    Parameters
    ----------
    network: that the graph was exported from; its folded graph is the float model (as it was before fine-tuning).
    images: for the SQNR.
    """
    distances = _distances(network, graph, images)
    reports = []
    for layer in graph.computing:
        target = graph.tensors[layer.output]
        filter_formats: tuple[str, ...] = ()
        macs = weight_bits = weight_bytes = 0
        if isinstance(layer, Convolution):
            filter_formats = tuple(kind.name for kind in layer.formats)
            macs = layer.weight.size * target.height * target.width
            weight_bits, weight_bytes = layer.weight_bits, layer.weight_bytes
        report = LayerReport(
            name=layer.name, kind=layer.kind, formats=dict(Counter(filter_formats)), filter_formats=filter_formats,
            macs=macs, weight_bytes=weight_bytes,
            bit_operations=weight_bits * target.height * target.width * graph.tensors[layer.input].bits,
            output_bits=target.bits, sqnr=distances[layer.output],
        )  # fmt: skip
        reports.append(report)
    return tuple(reports)


@torch.no_grad()
def _distances(network: QuantizedNetwork, graph: IntegerGraph, images: Tensor) -> dict[str, float]:
    """The SQNR by tensor."""
    names = [layer.output for layer in graph.layers]
    power, noise = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for batch in images.split(_BATCH):
        expected = run_folded(network.graph, image_values(batch))
        found = execute(graph, image_codes(batch))
        for name in names:
            tensor, signal = graph.tensors[name], expected[name].double()
            value = (torch.from_numpy(found[name]).double() - tensor.zero_point) * tensor.scale
            power[name] += float(signal.square().sum())
            noise[name] += float((value - signal).square().sum())
    return {name: decibels(power[name], noise[name]) for name in names}

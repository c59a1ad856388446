"""Maps that are concatenated, brought to like ranges: they share one scale, in which a small one would keep few codes.

What makes a map may be multiplied by s > 0, and the weights that read its channels divided by s: a ReLU lets s through,
and so do pools. With R and W the largest values of the map and of the weights that read it, and R', W' those of the
maps beside it, s = √(R'/R · W/W'), within 1 … R'/R, makes the most of both: of the codes of the shared scale, and of
those of the filters that read it (cross-layer equalization, Nagel et al., ICCV 2019, for a concatenation).
"""

import math
from collections.abc import Mapping

from .folded import FoldedConcatenation, FoldedConvolution, FoldedGraph, FoldedPool

LEAST = 1.5
"""Maps are multiplied by this at least, or left."""


def balance_concatenations(graph: FoldedGraph, ranges: Mapping[str, float]) -> dict[str, float]:
    """Changes weights and biases so that maps of a concatenation have like ranges; the function stays the same.

    Parameters
    ----------
    graph: its layers are changed.
    ranges: the largest absolute value of every tensor, by name.

    Returns
    -------
    What maps were multiplied by, by the layer that makes them; those that were left are not in it.
    """
    factors = {}
    for layer in graph.convolutions:
        beside = [name for name, source in graph.sources.items() if source == graph.sources[layer.output]]
        readers = _Readers(graph, layer)
        largest = max(ranges[name] for name in beside)
        if len(beside) == 1 or not readers.linear or not ranges[layer.output]:
            continue
        most = largest / ranges[layer.output]
        factor = min(max(math.sqrt(most * readers.weights_against_others()), 1.0), most)
        if factor >= LEAST:
            layer.weight, layer.bias = layer.weight * factor, layer.bias * factor
            readers.divide(factor)
            factors[layer.name] = factor
    return factors


class _Readers:
    """The convolutions that read what a layer makes, through pools and concatenations, and the channels that are its.

    Members
    -------
    linear: whether it can be multiplied: nothing but these reads it, and there is a concatenation.
    """

    def __init__(self, graph: FoldedGraph, layer: FoldedConvolution) -> None:
        self.graph = graph
        self.found: list[tuple[FoldedConvolution, slice]] = []
        self.joined = False
        possible = layer.residual is None and not (layer.relu and math.isfinite(layer.ceiling))
        self.linear = possible and self._follow(layer.output, 0, layer.shape[0]) and self.joined

    def weights_against_others(self) -> float:
        """The largest weight of its channels against that of the others, the largest ratio of any reader."""
        ratios = []
        for reader, channels in self.found:
            if reader.groups == 1:
                weight = reader.weight.abs().amax(dim=(0, 2, 3))
                own, rest = float(weight[channels].max()), weight.clone()
                rest[channels] = 0
                if float(rest.max()) > 0:
                    ratios.append(own / float(rest.max()))
        return max(ratios, default=1.0)

    def divide(self, factor: float) -> None:
        for reader, channels in self.found:
            weight = reader.weight.clone()
            if reader.groups == 1:
                weight[:, channels] /= factor
            else:  # depthwise: the filters of these channels
                times = len(weight) // reader.groups
                weight[channels.start * times : channels.stop * times] /= factor
            reader.weight = weight

    def _follow(self, tensor: str, begin: int, end: int) -> bool:
        """Finds who reads channels begin … end − 1 of a tensor; whether all can be found."""
        if tensor in self.graph.outputs:
            return False
        for reader in self.graph.consumers(tensor):
            if isinstance(reader, FoldedConvolution):
                if reader.residual == tensor or (reader.border is not None):
                    return False
                self.found.append((reader, slice(begin, end)))
            elif isinstance(reader, FoldedPool):
                if not self._follow(reader.output, begin, end):
                    return False
            elif isinstance(reader, FoldedConcatenation):
                self.joined = True
                offset = 0
                for name in reader.inputs:
                    if name == tensor and not self._follow(reader.output, offset + begin, offset + end):
                        return False
                    offset += self.graph.shapes[name][0]
        return True

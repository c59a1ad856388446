"""The border of a network's input, laid around the image beforehand. NumPy only.

What reads the input then pads nothing: so a network with a border runs where no layer pads with anything but zeros.
"""

import dataclasses

import numpy as np

from .graph import Convolution, IntegerGraph, Layer, Padding, TensorType
from .layers.window import padded


def laid_border(graph: IntegerGraph) -> IntegerGraph:
    """The graph whose input is the image with its border around it, which `lay_border` makes; itself if it has none.

    The windows of the layers that read it become one size: the smaller kernels get weights 0 around them.
    """
    if not graph.tensors[graph.input].border:
        return graph
    padding, window = _padding(graph), _window(graph)
    image = graph.tensors[graph.input]
    rows = image.height + padding.top + padding.bottom
    columns = image.width + padding.left + padding.right
    larger = dataclasses.replace(image, height=rows, width=columns, border=())

    def laid(layer: Layer) -> Layer:
        if not isinstance(layer, Convolution) or layer.input != graph.input:
            return layer
        top, left = padding.top - layer.padding.top, padding.left - layer.padding.left
        weight = np.zeros((*layer.weight.shape[:2], *window), np.int64)
        weight[:, :, top : top + layer.kernel[0], left : left + layer.kernel[1]] = layer.weight
        return dataclasses.replace(layer, weight=weight, padding=Padding())

    layers = tuple(laid(layer) for layer in graph.layers)
    return dataclasses.replace(graph, tensors=graph.tensors | {graph.input: larger}, layers=layers)


def lay_border(graph: IntegerGraph, codes: np.ndarray) -> np.ndarray:
    """Images' codes, N × C × H × W, as `laid_border`'s graph takes them: those of the border around each."""
    border = graph.tensors[graph.input].border
    return padded(codes, _padding(graph), border) if border else codes


def reach(layer: Convolution, source: TensorType, target: TensorType) -> Padding:
    """The positions around its map, of type `source`, that a layer's windows reach."""
    last_row, last_column = (target.height - 1) * layer.stride[0], (target.width - 1) * layer.stride[1]
    bottom = last_row - layer.padding.top + layer.kernel[0] - source.height
    right = last_column - layer.padding.left + layer.kernel[1] - source.width
    return Padding(layer.padding.top, layer.padding.left, max(0, bottom), max(0, right))


def _readers(graph: IntegerGraph) -> list[Convolution]:
    return [layer for layer in graph.consumers(graph.input) if isinstance(layer, Convolution)]


def _window(graph: IntegerGraph) -> tuple[int, int]:
    """Rows and columns of the window that holds the windows of all that read the input."""
    readers, padding = _readers(graph), _padding(graph)
    rows = max(padding.top - layer.padding.top + layer.kernel[0] for layer in readers)
    columns = max(padding.left - layer.padding.left + layer.kernel[1] for layer in readers)
    return rows, columns


def _padding(graph: IntegerGraph) -> Padding:
    """As wide on each side as the windows of all that read the input reach."""
    image = graph.tensors[graph.input]
    reaches = [dataclasses.astuple(reach(it, image, graph.tensors[it.output])) for it in _readers(graph)]
    return Padding(*(max(side) for side in zip(*reaches, strict=True)))

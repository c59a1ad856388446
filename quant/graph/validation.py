"""Checks that an integer graph keeps the contract of docs/numbers.md. NumPy only."""

from collections.abc import Mapping, Sequence

from .layers import LAYER_TYPES, Convolution, GraphLayer, Layer
from .tensors import GraphError, TensorType, check_tensor


def validate(
    name: str, tensors: Mapping[str, TensorType], layers: Sequence[Layer], graph_input: str, outputs: Sequence[str]
) -> None:
    """Checks every tensor and every layer of a graph, given by its fields (see `graph.IntegerGraph`).

    Raises
    ------
    GraphError: something breaks the contract; the message names the layer (or tensor), the field, the reason and what
        would be legal.
    """
    if not layers:
        raise GraphError(f"graph {name!r}: layers must not be empty")
    for key, tensor in tensors.items():
        check_tensor(key, tensor)
    _check_names(layers)
    if graph_input not in tensors:
        raise GraphError(f"graph {name!r}: input {graph_input!r} is not a tensor of the graph")
    produced = _check_order(tensors, layers, graph_input)
    _check_outputs(name, outputs, produced - {graph_input})
    for layer in layers:
        layer.check(tensors)
    _check_borders(tensors, layers, graph_input)


def _check_names(layers: Sequence[Layer]) -> None:
    names: set[str] = set()
    for index, layer in enumerate(layers):
        if not isinstance(layer, GraphLayer):
            *others, last = (f"a {kind.__name__}" for kind in LAYER_TYPES)
            raise GraphError(f"layer {index}: must be {', '.join(others)} or {last}, not {type(layer).__name__}")
        if not isinstance(layer.name, str) or not layer.name:
            raise GraphError(f"layer {index}: name must be a string that is not empty, not {layer.name!r}")
        if layer.name in names:
            layer.refuse("name", "is used by two layers; layer names must be unique")
        names.add(layer.name)


def _check_order(tensors: Mapping[str, TensorType], layers: Sequence[Layer], graph_input: str) -> set[str]:
    """Checks that every tensor is made once, before it is read; returns the names of all."""
    produced = {graph_input}
    for layer in layers:
        for field, tensor in layer.reads():
            if tensor not in tensors:
                layer.refuse(field, f"{tensor!r} is not a tensor of the graph")
            if tensor not in produced:
                layer.refuse(field, f"{tensor!r} is produced later or never; layers must be in order of execution")
        if layer.output not in tensors:
            layer.refuse("output", f"{layer.output!r} is not a tensor of the graph")
        if layer.output in produced:
            what = "the graph's input" if layer.output == graph_input else "produced by an earlier layer"
            layer.refuse("output", f"{layer.output!r} is {what}; every tensor is produced once")
        produced.add(layer.output)
    if unused := [name for name in tensors if name not in produced]:
        raise GraphError(f"tensor {unused[0]!r}: no layer produces it; remove it, or add the layer that does")
    return produced


def _check_borders(tensors: Mapping[str, TensorType], layers: Sequence[Layer], graph_input: str) -> None:
    """Checks that only the input has a border, and that all that read it go over the image with it alike: the host lays
    it around the image once."""
    for key, tensor in tensors.items():
        if tensor.border and key != graph_input:
            raise GraphError(f"tensor {key!r}: border must be empty; only the graph's input {graph_input!r} has one")
    if not tensors[graph_input].border:
        return
    steps = set()
    for layer in (layer for layer in layers if graph_input in layer.inputs):
        if not isinstance(layer, Convolution) or layer.groups != 1 or layer.residual == graph_input:
            layer.refuse("input", f"{graph_input!r} has a border; only convolutions over all channels can read it")
        target = tensors[layer.output]
        steps.add((layer.stride, target.height, target.width))
        if len(steps) > 1:
            layer.refuse(
                "stride", f"and the size of the output must be those of the other layers that read {graph_input!r}, "
                "which has a border"
            )


def _check_outputs(name: str, outputs: Sequence[str], produced: set[str]) -> None:
    if not outputs:
        raise GraphError(f"graph {name!r}: outputs must name at least one tensor")
    for output in outputs:
        if output not in produced:
            raise GraphError(f"graph {name!r}: output {output!r} is not produced by a layer")
    if len(set(outputs)) != len(outputs):
        raise GraphError(f"graph {name!r}: outputs {outputs} name a tensor twice")

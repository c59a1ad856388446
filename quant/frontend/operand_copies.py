"""Copies of operands that cannot be concatenated as they are: for a quantizer, or a place in memory, of their own."""

import itertools
import math
from collections.abc import Collection

import torch

from ..graph.concatenation import Chains
from .folded import FoldedConcatenation, FoldedConvolution, FoldedLayer, FoldedPool, can_be_negative, code_sources


class OperandCopies:
    """Copies operands of concatenations, where they cannot do without.

    Parameters
    ----------
    layers: by the tensor that they make, in order of execution; copies are added.
    input_shape: of the network's input, the one tensor that no layer makes.
    taken: names that a copy must not have.
    """

    def __init__(
        self, layers: dict[str, FoldedLayer], input_shape: tuple[int, int, int], *, taken: Collection[str]
    ) -> None:
        self.layers, self.input_shape, self.taken = layers, input_shape, taken

    def added(self, layers: list[FoldedLayer]) -> tuple[FoldedLayer, ...]:
        """The layers that are needed, in order, and the copies among them. Concatenations then read the copies."""
        return self._by_address(self._one_quantizer(layers))

    def _one_quantizer(self, layers: list[FoldedLayer]) -> list[FoldedLayer]:
        """The layers, and copies of operands that cannot share the quantizer of their concatenations: those of the
        image, and those that were clipped at 0, or at a ceiling, where others are not. (A layer clips to its lowest and
        its highest code: a ReLU needs zero point 0, a ReLU6 a range that ends at 6.)"""
        readers = [layer for layer in layers if isinstance(layer, FoldedConcatenation)]
        while True:
            names = dict.fromkeys(name for layer in layers for name in (*layer.inputs, layer.output))
            sources = code_sources(names, layers)
            signed = {source for name, source in sources.items() if can_be_negative(name, self.layers)}
            ceilings: dict[str, float] = {}
            for layer in layers:
                if isinstance(layer, FoldedConvolution):
                    source, ceiling = sources[layer.output], layer.ceiling if layer.relu else math.inf
                    ceilings[source] = max(ceilings.get(source, 0.0), ceiling)
            misfits = [
                (reader, name)
                for reader in readers
                for name in reader.inputs
                if (maker := self._maker(name)) is None
                or (maker.relu and (sources[name] in signed or maker.ceiling < ceilings[sources[name]]))
            ]
            if not misfits:
                return layers
            first, source = misfits[0]
            copy = self._copy(first, source)
            layers.insert(layers.index(first), copy)
            for reader in readers:
                reader.inputs = tuple(copy.output if name == source else name for name in reader.inputs)

    def _by_address(self, layers: list[FoldedLayer]) -> tuple[FoldedLayer, ...]:
        """The layers, and copies of operands that cannot lie beside the others of a concatenation."""
        chains = Chains()
        result: list[FoldedLayer] = []
        for layer in layers:
            if isinstance(layer, FoldedConcatenation):
                while conflicts := chains.add(layer.inputs):
                    copies = {place: self._copy(layer, layer.inputs[place]) for place in conflicts}
                    result += copies.values()
                    layer.inputs = tuple(
                        copies[place].output if place in copies else name for place, name in enumerate(layer.inputs)
                    )
            result.append(layer)
        return tuple(result)

    def _maker(self, tensor: str) -> FoldedConvolution | None:
        """The convolution that made a tensor's codes; None if they are the image's."""
        layer = self.layers.get(tensor)
        if isinstance(layer, FoldedPool):
            return self._maker(layer.input)
        return layer if isinstance(layer, FoldedConvolution) else None

    def _copy(self, reader: FoldedConcatenation, source: str) -> FoldedConvolution:
        """A layer that copies an operand."""
        shape = self.layers[source].shape if source in self.layers else self.input_shape
        names = (f"{reader.name}.copy{number}" for number in itertools.count(1))
        name = next(name for name in names if name not in self.taken and name not in self.layers)
        self.layers[name] = layer = copy_layer(name, source, shape)
        return layer


def copy_layer(name: str, source: str, shape: tuple[int, int, int]) -> FoldedConvolution:
    """A layer that copies a tensor: for a quantizer, or a place in memory, of its own."""
    ones, zeros = torch.ones(shape[0], 1, 1, 1, dtype=torch.float64), torch.zeros(shape[0], dtype=torch.float64)
    return FoldedConvolution(
        name=name, input=source, output=name, shape=shape, groups=shape[0], exact=True, kind="copy", weight=ones,
        bias=zeros,
    )  # fmt: skip

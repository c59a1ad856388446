"""Blocks: parts of a folded graph that one tensor leads into and one tensor leads out of."""

import dataclasses

from ..frontend.folded import FoldedConvolution, FoldedGraph, FoldedLayer

CONVOLUTIONS = 3
"""Convolutions with weights to round that a block has at least, but for the last: an inverted residual has three."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """Layers that follow one another.

    Members
    -------
    input: the only tensor made before that they read.
    outputs: what is made of them: the only tensor that later layers read, and outputs of the network that they make.
    """

    layers: tuple[FoldedLayer, ...]
    input: str
    outputs: tuple[str, ...]

    @property
    def convolutions(self) -> tuple[FoldedConvolution, ...]:
        return tuple(layer for layer in self.layers if isinstance(layer, FoldedConvolution))


def blocks(graph: FoldedGraph, *, convolutions: int = CONVOLUTIONS) -> tuple[Block, ...]:
    """The graph in blocks, as small as they can be with so many convolutions; every layer is in one.

    A block ends where a single tensor is all that the rest of the network reads: behind an add, not beside it. So a
    block has whole branches, residuals and concatenations.
    """
    found: list[Block] = []
    layers: list[FoldedLayer] = []
    source = graph.input
    last_use = {name: index for index, layer in enumerate(graph.layers) for name in layer.inputs}
    for index, layer in enumerate(graph.layers):
        layers.append(layer)
        made = [source, *(it.output for it in layers)]
        read = [name for name in made if last_use.get(name, -1) > index]
        rounded = sum(isinstance(it, FoldedConvolution) and not it.exact for it in layers)
        if index + 1 < len(graph.layers) and (read != [layer.output] or rounded < convolutions):
            continue
        ends = dict.fromkeys([*read, *(name for name in made[1:] if name in graph.outputs)])
        found.append(Block(layers=tuple(layers), input=source, outputs=tuple(ends)))
        source, layers = layer.output, []
    return tuple(found)

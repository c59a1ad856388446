"""How many bits the codes of a network's tensors have.

8: the input image (codes 0 … 255, scale 1/255, zero point 0), a map that is only the image rescaled channel by channel,
the network's outputs, and tensors that are only residual operands, or only rescaled channel by channel (stand-alone
add, lone batch norm). `activation_bits`: every other map. What a max pool reads has `pooled_bits` at most: wider codes
lie in two digits, which have no maximum.
"""

from collections.abc import Mapping

from ..frontend.folded import FoldedConvolution, FoldedGraph, FoldedPool
from .quantizers import QuantizationError

IMAGE_BITS = 8
OUTPUT_BITS = 8


def bits_of_owners(
    graph: FoldedGraph, activation_bits: int, chosen: Mapping[str, int], *, pooled_bits: int = OUTPUT_BITS
) -> dict[str, int]:
    """Bits by owner of a quantizer (see `FoldedGraph.sources`).

    Parameters
    ----------
    activation_bits: of hidden maps.
    chosen: other bits for some tensors, by name.
    pooled_bits: of what a max pool reads or makes, at most.

    Raises
    ------
    QuantizationError: `chosen` names no tensor, or gives tensors of one quantizer different bits.
    """
    if unknown := [name for name in chosen if name not in graph.sources or name == graph.input]:
        known = ", ".join(name for name in graph.sources if name != graph.input)
        raise QuantizationError(f"tensor_bits names {unknown[0]!r}; the tensors that can be chosen are {known}")
    bits: dict[str, int] = {}
    for owner in dict.fromkeys(graph.sources.values()):
        members = [name for name, source in graph.sources.items() if source == owner]
        given = {chosen[name] for name in members if name in chosen}
        if len(given) > 1:
            raise QuantizationError(
                f"tensor_bits gives {members} different bits, but a max pool and a concatenation keep their input's"
            )
        if owner == graph.input:
            bits[owner] = IMAGE_BITS
        elif given:
            bits[owner] = given.pop()
        elif members == [owner] and _is_rescaled_image(graph, owner):
            bits[owner] = IMAGE_BITS
        elif any(name in graph.outputs for name in members) or not _is_multiplied(graph, members):
            bits[owner] = OUTPUT_BITS
        else:
            bits[owner] = activation_bits
        if not given and any(isinstance(layer, FoldedPool) and layer.input in members for layer in graph.layers):
            bits[owner] = min(bits[owner], pooled_bits)
    return bits


def _is_rescaled_image(graph: FoldedGraph, tensor: str) -> bool:
    layer = next(layer for layer in graph.layers if layer.output == tensor)
    exact = isinstance(layer, FoldedConvolution) and layer.exact and layer.weight[0].numel() == 1
    return exact and layer.inputs == (graph.input,)


def _is_multiplied(graph: FoldedGraph, members: list[str]) -> bool:
    """Whether a max pool reads one of the tensors, whose digits have no maximum, or a convolution that does more than
    rescale every channel."""
    for layer in graph.layers:
        if any(name in members for name in layer.inputs[:1]):
            if isinstance(layer, FoldedPool):
                return True
            if isinstance(layer, FoldedConvolution) and not (layer.exact and layer.weight[0].numel() == 1):
                return True
    return False

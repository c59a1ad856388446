"""A network whose maps have zero points other than 0, read in every way that a map can be."""

from intramix.quant.graph.graph import IntegerGraph, Padding
from intramix.quant.graph.random_graph import FormatMix
from intramix.quant.graph.random_graph.blocks import BlockBuilder
from intramix.quant.graph.tensors import TensorType


def signed_network(bits: int, *, seed: int = 1, pool: bool = True, size: tuple[int, int] = (9, 8)) -> IntegerGraph:
    """One map, "map0", is padded by a 3×3, a 5×5 of stride 2, a depthwise 3×3 and a max pool, and also read by a 1×1
    and an add; two of these are concatenated, and what they make is padded. All but the image have some zero point.

    Parameters
    ----------
    bits: of all maps but the image, which has 8.
    pool: whether there is a max pool, which geometries of narrower slots do not take.
    """
    builder = BlockBuilder(seed, FormatMix(1, 2, 1), (5, 11), bits, 0.0, signed_share=1.0)
    builder.begin(TensorType("image", 3, *size, 8))
    one = Padding(1, 1, 1, 1)
    shared = builder.convolve("image", channels=9, kernel=(3, 3), padding=one, name="shared")
    square = builder.convolve(shared, channels=6, kernel=(3, 3), padding=one, name="square")
    large = builder.convolve(
        shared, channels=5, kernel=(5, 5), stride=(2, 2), padding=Padding(2, 2, 2, 2), name="large"
    )
    channelwise = builder.convolve(shared, channels=9, groups=9, kernel=(3, 3), padding=one, name="channelwise")
    builder.convolve(channelwise, channels=9, kernel=(1, 1), residual=shared, name="added")
    beside = builder.convolve(builder.current, channels=7, kernel=(1, 1), beside=square, name="beside")
    joined = builder.join(square, beside)
    last = builder.convolve(joined, channels=8, kernel=(3, 2), padding=Padding(2, 0, 1, 1), name="last")
    outputs = [last, large, shared]
    if pool:
        builder.pool(shared, (3, 3), (2, 2), one)
        outputs.append(builder.convolve(builder.current, channels=4, kernel=(3, 3), padding=one, name="pooled"))
    graph = builder.graph(f"signed-{bits}")
    return IntegerGraph(graph.name, graph.tensors, graph.layers, graph.input, tuple(outputs))

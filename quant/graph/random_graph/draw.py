"""Random networks, single convolutions and their input codes: all that callers ask for."""

from collections.abc import Collection
from typing import Any

import numpy as np

from ..graph import IntegerGraph, Padding, TensorType
from ..tensors import UNPADDED
from .blocks import KINDS, BlockBuilder
from .format_mix import USUAL_MIX, FormatMix


def random_graph(
    seed: int,
    *,
    blocks: int = 6,
    kinds: Collection[str] = KINDS,
    size: tuple[int, int] = (12, 10),
    input_channels: int = 3,
    input_bits: int = 8,
    channels: tuple[int, int] = (4, 20),
    activation_bits: int = 5,
    output_bits: int = 8,
    wide_share: float = 0.0,
    signed_padding: bool = False,
    signed_share: float = 0.0,
    border: bool = False,
    mix: FormatMix = USUAL_MIX,
) -> IntegerGraph:
    """A random network; equal arguments make equal networks.

    Channels that meet in an addition, a depthwise layer, a max pool or a concatenation have the same format class.

    Parameters
    ----------
    blocks: blocks between stem and tail, each of one to four layers. Each kind occurs where there are as many blocks.
    kinds: a subset of KINDS.
    size: rows and columns of the input.
    channels: least and most channels of a hidden map.
    activation_bits, output_bits: bits of hidden maps and of the network's output.
    wide_share: share of hidden maps with 8 bits.
    signed_padding: whether maps with a zero point are padded; otherwise a 1×1 comes between.
    signed_share: share of maps with some zero point, whatever their block is; above 0, maps with one are padded, too.
    border: whether the stem, which must be of `kinds`, sees other codes than 0 around the image.
    mix: formats of every layer's filters.

    Raises
    ------
    ValueError: an unknown kind, or no layer results.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"kind {unknown[0]!r} is unknown; the kinds are {', '.join(KINDS)}")
    builder = BlockBuilder(seed, mix, channels, activation_bits, wide_share, signed_padding, signed_share)
    largest = (1 << input_bits) - 1
    codes = tuple((largest >> 1) + channel for channel in range(input_channels)) if border else ()
    builder.begin(TensorType("image", input_channels, *size, input_bits, 1 / largest, border=codes))
    if "stem" in kinds:
        builder.stem()
    middle = [kind for kind in KINDS[1:-2] if kind in kinds]
    order: list[str] = []
    while middle and len(order) < blocks:
        order.extend(builder.rng.permutation(middle))
    for kind in order[:blocks]:
        getattr(builder, kind)()
    if "average_pool" in kinds:
        builder.average_pool()
    if "linear" in kinds:
        builder.linear(output_bits)
    return builder.graph(f"random-{seed}")


def single_convolution(
    seed: int,
    *,
    channels: int = 8,
    filters: int = 8,
    size: tuple[int, int] = (6, 6),
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    padding: Padding = UNPADDED,
    depthwise: bool = False,
    residual_bits: int | None = None,
    input_bits: int = 5,
    output_bits: int = 5,
    zero_point: int = 0,
    border: tuple[int, ...] = (),
    mix: FormatMix = USUAL_MIX,
) -> IntegerGraph:
    """A network of one convolution of the given shape, calibrated; `depthwise` has `filters / channels` per channel.

    Its input has the zero point and the border given.
    With `residual_bits` a second convolution of the same shape, "shortcut", makes the residual before it.

    Raises
    ------
    GraphError: the shape is not legal.
    """
    builder = BlockBuilder(seed, mix, (filters, filters), output_bits, 0.0)
    builder.begin(TensorType("image", channels, *size, input_bits, zero_point=zero_point, border=border))
    shape: dict[str, Any] = {"channels": filters, "kernel": kernel, "stride": stride, "padding": padding}
    groups = channels if depthwise else 1
    residual = None
    if residual_bits is not None:
        residual = builder.convolve("image", groups=groups, bits=residual_bits, relu=False, name="shortcut", **shape)
    builder.convolve("image", groups=groups, bits=output_bits, residual=residual, name="convolution", **shape)
    return builder.graph(f"convolution-{seed}")


def random_codes(graph: IntegerGraph, seed: int, images: int | None = None) -> np.ndarray:
    """Random input codes for a graph, uint8: C × H × W, or `images` × C × H × W; every code is likely."""
    tensor = graph.tensors[graph.input]
    shape = tensor.shape if images is None else (images, *tensor.shape)
    return np.random.default_rng(seed).integers(0, tensor.maximum, shape, np.uint8, endpoint=True)

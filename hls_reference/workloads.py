"""What the C simulations run: the demo network, and representative layers of ResNet-18, ResNet-50 and MobileNet-V2."""

import dataclasses

from ..compiler.place.lanes import LUT_FORMATS
from ..quant.assignment.lane_mix import LaneMix
from ..quant.graph.graph import IntegerGraph, Padding
from ..quant.graph.random_graph import FormatMix, single_convolution
from .builds import HlsBuild
from .shapes import NETWORKS

REPRESENTATIVES: dict[str, tuple[str, ...]] = {
    "resnet18": ("conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.downsample", "layer4.0.conv1", "fc"),
    "resnet50": ("layer3.1.conv1", "layer3.1.conv3", "layer4.0.conv2", "fc"),
    "mobilenet_v2": (
        "features.0", "features.2.depthwise", "features.15.expand", "features.15.depthwise", "features.15.project",
        "fc",
    ),
}  # fmt: skip
"""One of every kind of layer: stem, 3×3, stride, 1×1, shortcut, residual, depthwise, linear."""

DEFAULT_CROP = 14
"""Most rows and columns of a representative layer's output: channels are the true ones, maps are cut to save time."""


@dataclasses.dataclass(frozen=True, eq=False)
class RepresentativeLayer:
    """A layer of a published network as a graph of its own, with seeded weights calibrated to use their codes."""

    name: str
    graph: IntegerGraph


def lane_mix(build: HlsBuild) -> LaneMix:
    """The filters of a tile, for the quantizer."""
    return LaneMix(build.eight_bit, build.dsp_four, build.lut_four, LUT_FORMATS[build.lut_scheme])


def representative_layer(network: str, layer: str, build: HlsBuild, *, crop: int = DEFAULT_CROP) -> RepresentativeLayer:
    """A layer at its true channel counts, on a map of at most `crop` × `crop` outputs."""
    shape = next(entry for entry in NETWORKS[network]() if entry.name == layer)
    pad = shape.kernel[0] // 2
    outputs = min(shape.output_rows, crop), min(shape.output_columns, crop)
    rows, columns = (
        (count - 1) * stride + kernel - 2 * pad for count, stride, kernel in zip(outputs, shape.stride, shape.kernel)
    )
    graph = single_convolution(
        sum(map(ord, network + layer)),
        channels=shape.channels,
        filters=shape.filters,
        size=(rows, columns),
        kernel=shape.kernel,
        stride=shape.stride,
        padding=Padding(pad, pad, pad, pad),
        depthwise=shape.depthwise,
        residual_bits=8 if shape.residual else None,
        input_bits=8 if shape.digits == 2 else build.activation_bits,
        output_bits=8 if layer == "fc" else build.activation_bits,
        mix=FormatMix(build.eight_bit, build.dsp_four, build.lut_four, LUT_FORMATS[build.lut_scheme]),
    )
    return RepresentativeLayer(f"{network}.{layer}", graph)

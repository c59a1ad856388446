"""Shapes of the layers of ResNet-18, ResNet-50 and MobileNet-V2 at 224 × 224, and of any integer graph."""

import dataclasses
from collections.abc import Callable

from ..quant.graph.graph import Convolution, IntegerGraph


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerShape:
    """A convolution or linear layer: what a performance model needs of it."""

    name: str
    channels: int
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    output_rows: int
    output_columns: int
    depthwise: bool = False
    residual: bool = False
    digits: int = 1

    @property
    def macs(self) -> int:
        depth = 1 if self.depthwise else self.channels
        return depth * self.filters * self.kernel[0] * self.kernel[1] * self.output_rows * self.output_columns


def shapes_of(graph: IntegerGraph, slot_bits: int) -> tuple[LayerShape, ...]:
    """The convolutions and linear layers of a graph, in order; maps wider than `slot_bits` are two digits."""
    return tuple(
        LayerShape(
            name=layer.name,
            channels=graph.tensors[layer.input].channels,
            filters=len(layer.weight),
            kernel=layer.kernel,
            stride=layer.stride,
            output_rows=graph.tensors[layer.output].height,
            output_columns=graph.tensors[layer.output].width,
            depthwise=layer.depthwise,
            residual=layer.residual is not None,
            digits=1 if graph.tensors[layer.input].bits <= slot_bits else 2,
        )
        for layer in graph.layers
        if isinstance(layer, Convolution)
    )


class _Shapes:
    """Appends layers one by one; `size` and `channels` are those of the last map."""

    def __init__(self) -> None:
        self.layers: list[LayerShape] = []
        self.size, self.channels = 224, 3

    def add(
        self, name: str, filters: int, kernel: int, stride: int = 1, *, depthwise: bool = False, residual: bool = False
    ) -> None:
        self.size = -(-self.size // stride)
        self.layers.append(LayerShape(
            name=name, channels=self.channels, filters=filters, kernel=(kernel, kernel), stride=(stride, stride),
            output_rows=self.size, output_columns=self.size, depthwise=depthwise, residual=residual,
            digits=1 if self.layers else 2,
        ))  # fmt: skip
        self.channels = filters

    def beside(self, name: str, filters: int, stride: int, size: int, channels: int) -> None:
        """A 1×1 on the shortcut, from the map that the block began with."""
        end = self.size, self.channels
        self.size, self.channels = size, channels
        self.add(name, filters, 1, stride)
        self.size, self.channels = end

    def linear(self, filters: int) -> None:
        self.size = 1
        self.add("fc", filters, 1)


def resnet18() -> tuple[LayerShape, ...]:
    """He et al., CVPR 2016, table 1."""
    shapes = _Shapes()
    shapes.add("conv1", 64, 7, 2)
    shapes.size //= 2
    for stage, filters in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            stride = 2 if stage > 1 and block == 0 else 1
            name, before = f"layer{stage}.{block}", (shapes.size, shapes.channels)
            shapes.add(f"{name}.conv1", filters, 3, stride)
            shapes.add(f"{name}.conv2", filters, 3, residual=True)
            if before[1] != filters:
                shapes.beside(f"{name}.downsample", filters, stride, *before)
    shapes.linear(1000)
    return tuple(shapes.layers)


def resnet50() -> tuple[LayerShape, ...]:
    """He et al., CVPR 2016, table 1, with the stride in the 3×3 as torchvision has it."""
    shapes = _Shapes()
    shapes.add("conv1", 64, 7, 2)
    shapes.size //= 2
    for stage, (filters, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            name, before = f"layer{stage}.{block}", (shapes.size, shapes.channels)
            shapes.add(f"{name}.conv1", filters, 1)
            shapes.add(f"{name}.conv2", filters, 3, stride)
            shapes.add(f"{name}.conv3", 4 * filters, 1, residual=True)
            if block == 0:
                shapes.beside(f"{name}.downsample", 4 * filters, stride, *before)
    shapes.linear(1000)
    return tuple(shapes.layers)


def mobilenet_v2() -> tuple[LayerShape, ...]:
    """Sandler et al., CVPR 2018, table 2."""
    shapes = _Shapes()
    shapes.add("features.0", 32, 3, 2)
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    number = 0
    for expansion, filters, repeats, first_stride in rows:
        for repeat in range(repeats):
            number += 1
            stride, inputs = first_stride if repeat == 0 else 1, shapes.channels
            name, hidden = f"features.{number}", inputs * expansion
            if expansion > 1:
                shapes.add(f"{name}.expand", hidden, 1)
            shapes.add(f"{name}.depthwise", hidden, 3, stride, depthwise=True)
            shapes.add(f"{name}.project", filters, 1, residual=stride == 1 and inputs == filters)
    shapes.add("features.18", 1280, 1)
    shapes.linear(1000)
    return tuple(shapes.layers)


NETWORKS: dict[str, Callable[[], tuple[LayerShape, ...]]] = {
    "resnet18": resnet18,
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
}

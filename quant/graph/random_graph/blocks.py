"""The blocks that random networks are built of: what is drawn of their shapes, and how their layers hang together."""

from typing import Any

import numpy as np

from ..graph import Padding, TensorType
from ..tensors import UNPADDED
from .builder import GraphBuilder

KINDS = (
    "stem",  # first only: a large kernel with stride 2 and padding
    "pointwise",
    "convolution3",
    "convolution5",
    "stride2",
    "asymmetric",  # a kernel that is not square, other strides and paddings on every side
    "depthwise",
    "residual",  # two 3×3 and the block's input, of hidden bits, added in the second
    "projection",  # the same with stride 2 and an 8-bit residual with a zero point through a 1×1
    "inverted",  # 1×1, depthwise, 1×1 without ReLU: an output with a zero point
    "add",  # an addition that stands alone
    "concatenation",  # 1×1 and 3×3 side by side, and a 3×3 of both beside them, as in DenseNet
    "max_pool",
    "average_pool",  # last but for a linear layer: over the whole map
    "linear",  # last
)
"""What `random_graph` builds networks of."""


class BlockBuilder(GraphBuilder):
    """Adds whole blocks at `current`: a method for each of `KINDS`."""

    def stem(self) -> None:
        size = int(self.rng.choice([3, 5, 7]))
        self._step(kernel=(size, size), stride=(2, 2), padding=_same(size))

    def pointwise(self) -> None:
        self._step(kernel=(1, 1))

    def convolution3(self) -> None:
        self._step(kernel=(3, 3), padding=_same(3))

    def convolution5(self) -> None:
        self._step(kernel=(5, 5), padding=_same(5))

    def stride2(self) -> None:
        if self.rng.random() < 0.5:
            self._step(kernel=(3, 3), stride=(2, 2), padding=_same(3))
        else:
            self._step(kernel=(1, 1), stride=(2, 2))

    def asymmetric(self) -> None:
        first, second = self.rng.permutation(4)[:2] + 1
        kernel = (int(first), int(second))
        stride = (int(self.rng.integers(1, 3)), int(self.rng.integers(1, 3)))
        top, left, bottom, right = (int(self.rng.integers(0, kernel[side % 2])) for side in range(4))
        source = self._tensor()
        bottom += max(0, kernel[0] - source.height - top - bottom)
        right += max(0, kernel[1] - source.width - left - right)
        self._step(kernel=kernel, stride=stride, padding=Padding(top, left, bottom, right))

    def depthwise(self) -> None:
        self._grouped()
        stride = int(self.rng.integers(1, 3))
        self._depthwise((3, 3), (stride, stride), _same(3))

    def residual(self) -> None:
        self._grouped()
        source = self.current
        self._step(kernel=(3, 3), padding=_same(3))
        self._step(kernel=(3, 3), padding=_same(3), channels=self.tensors[source].channels, residual=source)

    def projection(self) -> None:
        source, channels = self._settled(), self._draw_channels()
        shortcut = self.convolve(source, channels=channels, kernel=(1, 1), stride=(2, 2), bits=8, relu=False)
        self.current = self.convolve(source, channels=channels, kernel=(3, 3), stride=(2, 2), padding=_same(3))
        self._step(kernel=(3, 3), padding=_same(3), channels=channels, residual=shortcut)

    def inverted(self) -> None:
        source = self.current
        self._step(kernel=(1, 1), channels=2 * self._draw_channels())
        self._depthwise((3, 3), (1, 1), _same(3))
        adds = source in self.classes and self.rng.random() < 0.7
        channels = self.tensors[source].channels if adds else self._draw_channels()
        self._step(kernel=(1, 1), channels=channels, residual=source if adds else None, relu=False)

    def add(self) -> None:
        source, channels = self._settled(), self._draw_channels()
        left = self.convolve(source, channels=channels, kernel=(1, 1), relu=False)
        right = self.convolve(
            source, channels=channels, kernel=(3, 3), padding=_same(3), bits=8, relu=False, classes=self.classes[left]
        )
        ones = np.ones((channels, 1, 1, 1), np.int64)
        self._step(
            kernel=(1, 1), source=left, channels=channels, groups=channels, residual=right, weight=ones, kind="add"
        )

    def concatenation(self) -> None:
        source = self._settled()
        bits = 8 if self.rng.random() < self.wide_share else self.activation_bits
        first = self.convolve(source, channels=self._draw_channels(), kernel=(1, 1), bits=bits)
        second = self.convolve(
            source, channels=self._draw_channels(), kernel=(3, 3), padding=_same(3), bits=bits, beside=first
        )
        both = self.join(first, second)
        third = self.convolve(
            both, channels=self._draw_channels(), kernel=(3, 3), padding=_same(3), bits=bits, beside=first
        )
        if self.rng.random() < 0.5:
            self.join(both, third)
        else:
            self.join(first, second, third)

    def max_pool(self) -> None:
        source = self._tensor()
        if source.bits > self.activation_bits or source.name not in self.classes:
            self.pointwise()
            source = self._tensor()
        small = min(source.height, source.width) < 2 or self.rng.random() < 0.5
        kernel, padding = ((3, 3), _same(3)) if small else ((2, 2), Padding())
        self.pool(source.name, kernel, (2, 2), padding)

    def average_pool(self) -> None:
        source = self._tensor()
        kernel = (source.height, source.width)
        ones = np.ones((source.channels, 1, *kernel), np.int64)
        self._depthwise(kernel, (1, 1), Padding(), weight=ones, kind="average_pool", bits=source.bits)

    def linear(self, bits: int) -> None:
        source = self._tensor()
        self._step(kernel=(source.height, source.width), bits=bits, relu=False, kind="linear")

    # What blocks are made of ------------------------------------------------------------------------------------------

    def _step(
        self, *, source: str | None = None, channels: int | None = None, padding: Padding = UNPADDED, **shape: Any
    ) -> None:
        """A convolution of the current tensor, made fit for padding first, to a drawn number of channels."""
        if source is None:
            source = self._settled() if padding else self.current
        self.convolve(source, channels=channels or self._draw_channels(), padding=padding, **shape)

    def _depthwise(self, kernel: tuple[int, int], stride: tuple[int, int], padding: Padding, **others: Any) -> None:
        channels = self._tensor().channels
        self._step(kernel=kernel, stride=stride, padding=padding, channels=channels, groups=channels, **others)

    def _tensor(self) -> TensorType:
        return self.tensors[self.current]

    def _settled(self) -> str:
        """The current tensor, or a 1×1 of it where its zero point would be padded with and shall not be."""
        if self._tensor().zero_point and not self.signed_padding:
            self.pointwise()
        return self.current

    def _grouped(self) -> None:
        """Makes the current tensor one whose channels have format classes and may be padded."""
        if self.current not in self.classes:
            self.pointwise()
        self._settled()

    def _draw_channels(self) -> int:
        return int(self.rng.integers(self.channels[0], self.channels[1] + 1))


def _same(size: int) -> Padding:
    return Padding(*[size // 2] * 4)

"""Random integer graphs: seeded, sensible networks to test compilers, simulators and hardware with. NumPy only.

Every layer's M, B and S come from a run of the layers before it on random images, so that codes use their range: a few
filters have a negative M, a few clip most of their outputs, none is dead.
"""

import dataclasses
import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from .executor import accumulate, maximum_pool, requantize
from .formats import FIXED4, FIXED8, SP2_4, Scheme, WeightFormat
from .graph import (
    BIAS_BITS,
    MAXIMUM_SHIFT,
    MULTIPLIER_BITS,
    Concatenation,
    Convolution,
    GraphError,
    IntegerGraph,
    Layer,
    MaxPool,
    Padding,
    TensorType,
)
from .validation import output_size

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

UNPADDED = Padding()
_CALIBRATION_IMAGES = 4


@dataclasses.dataclass(frozen=True)
class FormatMix:
    """The share of weight formats in each layer, as the lanes of a tile would have it.

    Members
    -------
    fixed8, fixed4, lut: filters of each class among `fixed8 + fixed4 + lut`.
    lut_format: format of the third class.
    narrow: draw from fixed-5 … 8 and fixed-2 … 4 instead of fixed-8 and fixed-4 alone.
    """

    fixed8: int = 1
    fixed4: int = 3
    lut: int = 4
    lut_format: WeightFormat = SP2_4
    narrow: bool = False

    def __post_init__(self) -> None:
        if min(self.fixed8, self.fixed4, self.lut) < 0 or self.fixed8 + self.fixed4 + self.lut == 0:
            raise ValueError(f"a format mix needs shares of at least 0, not all 0: {self}")

    def classes(self, channels: int, rng: np.random.Generator) -> np.ndarray:
        """A class (0: fixed8, 1: fixed4, 2: lut) per channel in random order; counts by largest remainder."""
        shares = np.array([self.fixed8, self.fixed4, self.lut], np.float64)
        exact = shares / shares.sum() * channels
        counts = np.floor(exact).astype(int)
        for index in np.argsort(-(exact - counts), kind="stable")[: channels - counts.sum()]:
            counts[index] += 1
        return rng.permutation(np.repeat(np.arange(3), counts))

    def formats(self, classes: np.ndarray, rng: np.random.Generator) -> tuple[WeightFormat, ...]:
        """A format of each channel's class."""
        eight = [WeightFormat(Scheme.FIXED, bits) for bits in range(5, 9)] if self.narrow else [FIXED8]
        four = [WeightFormat(Scheme.FIXED, bits) for bits in range(2, 5)] if self.narrow else [FIXED4]
        choices = (eight, four, [self.lut_format])
        return tuple(choices[index][rng.integers(len(choices[index]))] for index in classes)


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
    mix: FormatMix = FormatMix(),
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
    mix: formats of every layer's filters.

    Raises
    ------
    ValueError: an unknown kind, or no layer results.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"kind {unknown[0]!r} is unknown; the kinds are {', '.join(KINDS)}")
    builder = _Builder(seed, mix, channels, activation_bits, wide_share)
    builder.begin(TensorType("image", input_channels, *size, input_bits, 1 / ((1 << input_bits) - 1)))
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
    mix: FormatMix = FormatMix(),
) -> IntegerGraph:
    """A network of one convolution of the given shape, calibrated; `depthwise` has `filters / channels` per channel.

    With `residual_bits` a second convolution of the same shape, "shortcut", makes the residual before it.

    Raises
    ------
    GraphError: the shape is not legal.
    """
    builder = _Builder(seed, mix, (filters, filters), output_bits, 0.0)
    builder.begin(TensorType("image", channels, *size, input_bits))
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


class _Builder:
    """Adds layers one by one at `current`, the network's last tensor, and runs each on the calibration images."""

    def __init__(
        self, seed: int, mix: FormatMix, channels: tuple[int, int], activation_bits: int, wide_share: float
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.mix, self.channels, self.activation_bits, self.wide_share = mix, channels, activation_bits, wide_share
        self.tensors: dict[str, TensorType] = {}
        self.layers: list[Layer] = []
        self.codes: dict[str, np.ndarray] = {}
        self.classes: dict[str, np.ndarray] = {}
        self.current = ""

    def begin(self, tensor: TensorType) -> None:
        self.tensors[tensor.name] = tensor
        shape = (_CALIBRATION_IMAGES, *tensor.shape)
        self.codes[tensor.name] = self.rng.integers(0, tensor.maximum, shape, np.uint8, endpoint=True)
        self.current = tensor.name

    def graph(self, name: str) -> IntegerGraph:
        first = next(iter(self.tensors))
        if not self.layers:
            raise ValueError("a random network needs at least one layer: raise blocks, or name more kinds")
        return IntegerGraph(name, self.tensors, tuple(self.layers), first, (self.current,))

    # Kinds ------------------------------------------------------------------------------------------------------------

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
        rows, columns = output_size((source.height, source.width), kernel, (2, 2), padding)
        layer = MaxPool(f"pool{len(self.layers)}", source.name, f"map{len(self.layers)}", kernel, (2, 2), padding)
        self.tensors[layer.output] = dataclasses.replace(source, name=layer.output, height=rows, width=columns)
        self.codes[layer.output] = maximum_pool(layer, self.codes[source.name])
        self.classes[layer.output] = self.classes[source.name]
        self.layers.append(layer)
        self.current = layer.output

    def average_pool(self) -> None:
        source = self._tensor()
        kernel = (source.height, source.width)
        ones = np.ones((source.channels, 1, *kernel), np.int64)
        self._depthwise(kernel, (1, 1), Padding(), weight=ones, kind="average_pool", bits=source.bits)

    def linear(self, bits: int) -> None:
        source = self._tensor()
        self._step(kernel=(source.height, source.width), bits=bits, relu=False, kind="linear")

    # Layers -----------------------------------------------------------------------------------------------------------

    def join(self, *operands: str) -> str:
        """Appends a concatenation; returns its output's name."""
        name, first = f"map{len(self.layers)}", self.tensors[operands[0]]
        channels = sum(self.tensors[operand].channels for operand in operands)
        self.layers.append(Concatenation(f"join{len(self.layers)}", operands, name))
        self.tensors[name] = dataclasses.replace(first, name=name, channels=channels)
        self.codes[name] = np.concatenate([self.codes[operand] for operand in operands], axis=1)
        self.classes[name] = np.concatenate([self.classes[operand] for operand in operands])
        self.current = name
        return name

    def convolve(
        self,
        source: str,
        *,
        channels: int,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        padding: Padding = UNPADDED,
        groups: int = 1,
        residual: str | None = None,
        bits: int | None = None,
        relu: bool = True,
        weight: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        beside: str | None = None,
        kind: str = "convolution",
        name: str | None = None,
    ) -> str:
        """Appends a calibrated convolution, its output of the scale of `beside`; returns its output's name."""
        tensor = self.tensors[source]
        name = name or f"{kind}{len(self.layers)}"
        if residual is not None:
            classes = self.classes.get(residual)
        elif groups > 1 and channels == groups:
            classes = self.classes.get(source)
        if classes is None:
            classes = self.mix.classes(channels, self.rng)
        formats = self.mix.formats(classes, self.rng)
        if weight is None:
            weight = self._weights(formats, (tensor.channels // groups, *kernel))
        rows, columns = output_size((tensor.height, tensor.width), kernel, stride, padding)
        if rows < 1 or columns < 1:
            raise GraphError(
                f"layer {name!r}: kernel {kernel[0]}×{kernel[1]} is larger than the padded map of {source!r}"
            )
        if bits is None:
            bits = 8 if self.rng.random() < self.wide_share else self.activation_bits
        zero_point = 0 if relu else 1 << (bits - 1)
        if kind == "average_pool":
            zero_point = tensor.zero_point
        scale = float(2 ** self.rng.uniform(-6, -3)) if beside is None else self.tensors[beside].scale
        output = TensorType(f"map{len(self.layers)}", channels, rows, columns, bits, scale, zero_point)
        blank = np.zeros(channels, np.int64)
        layer = Convolution(
            name, source, output.name, weight, formats, blank, blank, 0, stride, padding, groups, residual, 0, kind
        )
        layer = self._calibrated(layer, output)
        self.tensors[output.name], self.classes[output.name] = output, classes
        self.layers.append(layer)
        self.current = output.name
        return output.name

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
        """The current tensor, or a 1×1 of it where its zero point forbids padding."""
        if self._tensor().zero_point:
            self.pointwise()
        return self.current

    def _grouped(self) -> None:
        """Makes the current tensor one whose channels have format classes and may be padded."""
        if self.current not in self.classes:
            self.pointwise()
        self._settled()

    def _draw_channels(self) -> int:
        return int(self.rng.integers(self.channels[0], self.channels[1] + 1))

    def _weights(self, formats: Sequence[WeightFormat], shape: tuple[int, ...]) -> np.ndarray:
        weight = np.empty((len(formats), *shape), np.int64)
        for index, kind in enumerate(formats):
            middles = (kind.levels[1:] + kind.levels[:-1]) / 2
            drawn = self.rng.normal(0, kind.levels[-1] / 2.5, shape)
            drawn.flat[self.rng.integers(drawn.size)] = kind.levels[-1] * self.rng.choice([-1, 1])
            weight[index] = kind.levels[np.searchsorted(middles, drawn)]
        return weight

    def _calibrated(self, layer: Convolution, output: TensorType) -> Convolution:
        """The layer with M, R, B and S that map its accumulators on the calibration images to the output's range."""
        sums = accumulate(layer, self.codes[layer.input], self.tensors[layer.input].maximum)
        residual = None if layer.residual is None else self.codes[layer.residual]
        filters, span = sums.shape[1], output.maximum
        spread, mean = np.maximum(sums.std(axis=(0, 2, 3)), 1), sums.mean(axis=(0, 2, 3))
        if layer.kind == "average_pool":
            gain = np.full(filters, span / (self.tensors[layer.input].maximum * math.prod(layer.kernel)))
            offset = np.zeros(filters)
        else:
            gain = span / (spread * self.rng.uniform(2.5, 5, filters))
            centre = span * (self.rng.uniform(0.1, 0.45, filters) if output.zero_point == 0 else np.full(filters, 0.5))
            clipping = self.rng.random(filters) < 0.06
            centre = np.where(clipping, span * self.rng.uniform(-0.3, 1.3, filters), centre)
            if layer.kind != "add":
                gain *= np.where(self.rng.random(filters) < 0.1, -1, 1)
            offset = centre - gain * mean
        slope = 0.0
        if residual is not None:
            slope = span / (max(residual.std(), 1) * self.rng.uniform(4, 8)) * self.rng.choice([1, 1, 1, -1])
            offset -= slope * residual.mean()
        shift = _shift(np.append(gain, slope), offset) - int(self.rng.integers(0, 3))
        layer = dataclasses.replace(
            layer,
            multiplier=np.rint(gain * 2.0**shift).astype(np.int64),
            bias=np.rint(offset * 2.0**shift).astype(np.int64),
            shift=shift,
            residual_multiplier=round(slope * 2.0**shift),
        )
        self.codes[output.name] = requantize(
            sums,
            layer.multiplier,
            layer.bias,
            shift,
            span,
            residual=residual,
            residual_multiplier=layer.residual_multiplier,
        )
        return layer


def _same(size: int) -> Padding:
    return Padding(*[size // 2] * 4)


def _shift(slopes: np.ndarray, offset: np.ndarray) -> int:
    """The largest S at which all slopes fit M and R, and all offsets B + half."""
    room = (1 << (MULTIPLIER_BITS - 1)) - 1
    by_slope = math.log2(room / np.abs(slopes).max())
    by_offset = math.log2(((1 << (BIAS_BITS - 1)) - 1) / (np.abs(offset).max() + 1))
    return max(2, min(MAXIMUM_SHIFT, math.floor(by_slope), math.floor(by_offset)))

"""Builds a random graph layer by layer, and runs each on the calibration images."""

import dataclasses

import numpy as np

from ..graph import Concatenation, Convolution, GraphError, IntegerGraph, Layer, MaxPool, Padding, TensorType
from ..layers.window import output_size
from ..requantization import requantize
from ..tensors import UNPADDED
from .calibration import calibrated, draw_weights
from .format_mix import FormatMix

_CALIBRATION_IMAGES = 4


class GraphBuilder:
    """Adds layers one by one at `current`, the network's last tensor, and runs each on the calibration images."""

    def __init__(
        self, seed: int, mix: FormatMix, channels: tuple[int, int], activation_bits: int, wide_share: float,
        signed_padding: bool = False, signed_share: float = 0.0,
    ) -> None:  # fmt: skip
        self.rng = np.random.default_rng(seed)
        self.mix, self.channels, self.activation_bits, self.wide_share = mix, channels, activation_bits, wide_share
        self.signed_padding, self.signed_share = signed_padding or signed_share > 0, signed_share
        self.tensors: dict[str, TensorType] = {}
        self.layers: list[Layer] = []
        self.codes: dict[str, np.ndarray] = {}
        self.classes: dict[str, np.ndarray] = {}
        self.current = ""

    def begin(self, tensor: TensorType) -> None:
        """Makes a tensor the network's input, and draws its calibration images."""
        self.tensors[tensor.name] = tensor
        shape = (_CALIBRATION_IMAGES, *tensor.shape)
        self.codes[tensor.name] = self.rng.integers(0, tensor.maximum, shape, np.uint8, endpoint=True)
        self.current = tensor.name

    def graph(self, name: str) -> IntegerGraph:
        """The network as it is now.

        Raises
        ------
        ValueError: it has no layer.
        """
        first = next(iter(self.tensors))
        if not self.layers:
            raise ValueError("a random network needs at least one layer: raise blocks, or name more kinds")
        return IntegerGraph(name, self.tensors, tuple(self.layers), first, (self.current,))

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

    def pool(self, source: str, kernel: tuple[int, int], stride: tuple[int, int], padding: Padding) -> None:
        """Appends a max pool."""
        tensor, name = self.tensors[source], f"map{len(self.layers)}"
        rows, columns = output_size((tensor.height, tensor.width), kernel, stride, padding)
        layer = MaxPool(f"pool{len(self.layers)}", source, name, kernel, stride, padding)
        self.tensors[name] = dataclasses.replace(tensor, name=name, height=rows, width=columns)
        self.codes[name], self.classes[name] = layer.pool(self.codes[source]), self.classes[source]
        self.layers.append(layer)
        self.current = name

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
        """Appends a calibrated convolution, of the scale and zero point of `beside`; returns its output's name."""
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
            weight = draw_weights(formats, (tensor.channels // groups, *kernel), self.rng)
        rows, columns = output_size((tensor.height, tensor.width), kernel, stride, padding)
        if rows < 1 or columns < 1:
            raise GraphError(
                f"layer {name!r}: kernel {kernel[0]}×{kernel[1]} is larger than the padded map of {source!r}"
            )
        if bits is None:
            bits = 8 if self.rng.random() < self.wide_share else self.activation_bits
        zero_point = 0 if relu else 1 << (bits - 1)
        if beside is not None:
            zero_point = self.tensors[beside].zero_point
        elif self.signed_share and self.rng.random() < self.signed_share:
            zero_point = int(self.rng.integers(1, 1 << bits))
        if kind == "average_pool":
            zero_point = tensor.zero_point
        scale = float(2 ** self.rng.uniform(-6, -3)) if beside is None else self.tensors[beside].scale
        output = TensorType(f"map{len(self.layers)}", channels, rows, columns, bits, scale, zero_point)
        blank = np.zeros(channels, np.int64)
        layer = Convolution(
            name, source, output.name, weight, formats, blank, blank, 0, stride, padding, groups, residual, 0, kind
        )
        sums = layer.accumulate(self.codes[source], tensor)
        added = None if residual is None else self.codes[residual]
        layer = calibrated(layer, sums, added, source=tensor, target=output, rng=self.rng)
        self.codes[output.name] = requantize(
            sums, layer.multiplier, layer.bias, layer.shift, output.maximum, residual=added,
            residual_multiplier=layer.residual_multiplier,
        )  # fmt: skip
        self.tensors[output.name], self.classes[output.name] = output, classes
        self.layers.append(layer)
        self.current = output.name
        return output.name

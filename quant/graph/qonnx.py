"""Export to QONNX (Pappalardo et al., 2022, arXiv 2206.07527): an integer graph that other tools read, code for code.

Real values come in and go out; between them the tensors of the ONNX graph have the names of the integer graph's and
hold its codes, as floats. Each layer is

    Quant of the weights → Conv → (in double) · M, + r · R, + B + half, · 2^−S → Floor → Quant of the activations

The filters of one format have one Quant, and a Gather puts them in order (the `qonnx` package runs one bit width a
Quant). Fixed-b has b bits (narrow) and scale 2^−(b−1). SP2 and PoT weights, whose grids QONNX lacks, are the integers
of the grid (4-bit SP2 ±8 at most, PoT ±64) with the bits that these need and the scale of the grid's unit, so that the
levels are those of the papers, ±1 the largest. All scales are powers of two; what is left of a filter's scale is in the
multiplication behind, as in the accelerator. A layer that only scales (a stand-alone add, the batch norm of a
concatenation) has no Conv. A convolution in float32 is exact below 2^24: layers whose sums reach further are cut along
their input channels, and the parts are added in double.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .formats import WeightFormat
from .graph import Concatenation, Convolution, IntegerGraph, MaxPool, Padding

DOMAIN = "qonnx.custom_op.general"
"""Of the operator Quant."""
OPSET = 11
METADATA = "intramix"
"""Key of the model's metadata: JSON with scale and zero point of every tensor, formats of every layer's filters."""
EXACT_FLOAT = 1 << 24
"""Integers below are exact in float32."""
LARGEST_FILE = (1 << 31) - (1 << 20)


class QonnxError(ValueError):
    """A graph that cannot be written as QONNX; the message names the layer, the reason and a remedy."""


def export_qonnx(graph: IntegerGraph, path: "str | os.PathLike[str]", *, batch: int = 1) -> None:
    """Writes an integer graph as a QONNX model.

    Parameters
    ----------
    batch: images of one inference (the shapes of a QONNX graph are fixed).

    Raises
    ------
    QonnxError: `onnx` is not installed, or the graph cannot be expressed.
    OSError: the file cannot be written.
    """
    try:
        import onnx
    except ImportError:
        raise QonnxError("QONNX files are written with the package onnx: pip install 'onnx>=1.17'") from None
    weights = 4 * sum(layer.weight.size for layer in graph.layers if isinstance(layer, Convolution))
    if weights > LARGEST_FILE:
        raise QonnxError(f"graph {graph.name!r}: {weights:,} bytes of weights as floats; an ONNX file holds 2 GiB")
    model = _Writer(graph, batch).model()
    onnx.checker.check_model(model)
    onnx.save(model, os.fspath(path))


def quantizer_of(kind: WeightFormat) -> tuple[int, float]:
    """Bits and scale of the Quant that holds a format's integer levels; the scale is a power of two."""
    top = int(kind.levels[-1])
    if kind.scheme.uniform:
        return kind.bits, 2.0 ** -(kind.bits - 1)
    return top.bit_length() + 1, 2.0 ** -math.ceil(math.log2(top))


def channel_parts(layer: Convolution, maximum: int) -> list[tuple[int, int]]:
    """Ranges of a layer's input channels whose sums each stay below 2^24, as few as may be.

    Raises
    ------
    QonnxError: a single channel's do not.
    """
    if layer.depthwise:
        sums = np.abs(layer.weight).sum(axis=(1, 2, 3))[:, None] * maximum
    else:
        sums = np.abs(layer.weight).sum(axis=(2, 3)) * maximum
    if sums.max() >= EXACT_FLOAT:
        raise QonnxError(
            f"layer {layer.name!r}: the sums of one input channel reach {sums.max():,}; a convolution in float32 is "
            f"exact below {EXACT_FLOAT:,} only: use fewer bits, or a smaller kernel"
        )
    channels = layer.weight.shape[1]
    parts, begin = [], 0
    total = np.zeros(len(layer.weight), np.int64)
    for channel in range(channels):
        if (total + sums[:, channel]).max() >= EXACT_FLOAT:
            parts.append((begin, channel))
            begin, total = channel, np.zeros_like(total)
        total = total + sums[:, channel]
    return [*parts, (begin, channels)]


def _scales_only(layer: Convolution) -> bool:
    """Whether each sum is one code: a stand-alone add, or the batch norm of a concatenation."""
    window = (layer.kernel, layer.stride, layer.padding) == ((1, 1), (1, 1), Padding())
    return layer.depthwise and len(layer.weight) == layer.groups and window and bool((layer.weight == 1).all())


class _Writer:
    """Appends nodes, their constants and the shapes of what they make."""

    def __init__(self, graph: IntegerGraph, batch: int) -> None:
        from onnx import TensorProto, helper, numpy_helper

        self.helper, self.to_tensor = helper, numpy_helper.from_array
        self.float, self.double = TensorProto.FLOAT, TensorProto.DOUBLE
        self.graph, self.batch = graph, batch
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.infos: list[Any] = []
        self.results = {f"{name}/real" for name in graph.outputs}

    def model(self) -> Any:
        graph, helper = self.graph, self.helper
        source = graph.tensors[graph.input]
        real = helper.make_tensor_value_info(f"{source.name}/real", self.float, self._shape(source.name))
        self._input()
        for layer in graph.layers:
            LAYER_WRITERS[type(layer)](self, layer)
        outputs = [self._output(name) for name in graph.outputs]
        names = Counter([*(it.name for it in self.constants), *(node.output[0] for node in self.nodes)])
        if repeated := [name for name, count in names.items() if count > 1]:
            raise QonnxError(f"graph {graph.name!r}: two things would be named {repeated[0]!r}; rename layer or tensor")
        body = helper.make_graph(self.nodes, graph.name, [real], outputs, self.constants, value_info=self.infos)
        imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
        model = helper.make_model(body, producer_name="intramix", opset_imports=imports, ir_version=8)
        helper.set_model_props(model, {METADATA: json.dumps(self._metadata())})
        return model

    def _metadata(self) -> dict[str, Any]:
        convolutions = [layer for layer in self.graph.layers if isinstance(layer, Convolution)]
        return {
            "tensors": {
                name: {"bits": int(it.bits), "scale": float(it.scale), "zero_point": int(it.zero_point)}
                for name, it in self.graph.tensors.items()
            },
            "formats": {layer.name: [kind.name for kind in layer.formats] for layer in convolutions},
        }

    # Nodes ------------------------------------------------------------------------------------------------------------

    def _shape(self, tensor: str) -> tuple[int, ...]:
        return (self.batch, *self.graph.tensors[tensor].shape)

    def _node(
        self, operator: str, inputs: Sequence[str], output: str, shape: Sequence[int], *, double: bool = False,
        **attributes: Any,
    ) -> str:  # fmt: skip
        self.nodes.append(self.helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        kind = self.double if double else self.float
        if output not in self.results:
            self.infos.append(self.helper.make_tensor_value_info(output, kind, list(shape)))
        return output

    def _constant(self, name: str, values: Any, kind: Any = np.float32) -> str:
        self.constants.append(self.to_tensor(np.asarray(values, kind), name))
        return name

    def _quant(
        self, source: str, output: str, shape: Sequence[int], *, scale: Any, zero_point: Any, bits: Any, signed: int,
        rounding: str,
    ) -> str:  # fmt: skip
        parameters = [
            self._constant(f"{output}/{name}", value)
            for name, value in (("scale", scale), ("zero_point", zero_point), ("bits", bits))
        ]
        return self._node(
            "Quant", [source, *parameters], output, shape, domain=DOMAIN, signed=signed, narrow=signed,
            rounding_mode=rounding,
        )  # fmt: skip

    def _input(self) -> None:
        """Real values as codes: by a Quant, whose result over the scale is a whole number but for rounding."""
        tensor, name = self.graph.tensors[self.graph.input], self.graph.input
        shape = self._shape(name)
        value = self._quant(
            f"{name}/real", f"{name}/quantized", shape, scale=tensor.scale, zero_point=tensor.zero_point,
            bits=tensor.bits, signed=0, rounding="ROUND",
        )  # fmt: skip
        value = self._node("Div", [value, self._constant(f"{name}/unit", tensor.scale)], f"{name}/steps", shape)
        value = self._node("Round", [value], f"{name}/whole", shape)
        self._node("Add", [value, self._constant(f"{name}/zero", tensor.zero_point)], name, shape)

    def _output(self, name: str) -> Any:
        tensor = self.graph.tensors[name]
        shape = self._shape(name)
        vector = tensor.shape[1:] == (1, 1)
        value = self._node("Sub", [name, self._constant(f"{name}/zero", tensor.zero_point)], f"{name}/steps", shape)
        unit, result = self._constant(f"{name}/unit", tensor.scale), f"{name}/real"
        if vector:
            value = self._node("Mul", [value, unit], f"{name}/map", shape)
            shape = shape[:2]
            self._node("Flatten", [value], result, shape, axis=1)
        else:
            self._node("Mul", [value, unit], result, shape)
        return self.helper.make_tensor_value_info(result, self.float, list(shape))

    # Layers -----------------------------------------------------------------------------------------------------------

    def _concatenation(self, layer: Concatenation) -> None:
        self._node("Concat", layer.inputs, layer.output, self._shape(layer.output), axis=1)

    def _max_pool(self, layer: MaxPool) -> None:
        """Padding is code 0, which a Pad makes, because ONNX leaves a window without any pixel open."""
        source, shape, name = layer.input, self._shape(layer.input), layer.name
        if layer.padding:
            it = layer.padding
            shape = (*shape[:2], shape[2] + it.top + it.bottom, shape[3] + it.left + it.right)
            source = self._node("Pad", [source, self._pads(name, it)], f"{name}/padded", shape, mode="constant")
        self._node(
            "MaxPool", [source], layer.output, self._shape(layer.output), kernel_shape=layer.kernel,
            strides=layer.stride,
        )  # fmt: skip

    def _convolution(self, layer: Convolution) -> None:
        name, shape = layer.name, self._shape(layer.output)
        if _scales_only(layer):
            codes = self._node("Cast", [layer.input], f"{name}/exact", shape, double=True, to=self.double)
            self._requantize(layer, codes, np.ones(1), shape)
            return
        units = np.array([quantizer_of(kind)[1] for kind in layer.formats]).reshape(-1, 1, 1, 1)
        whole, it, (batch, _, *size) = self._padded_with_codes(layer)
        sums = ""
        for part, (begin, end) in enumerate(channel_parts(layer, self.graph.tensors[layer.input].maximum)):
            source, label = whole, name if part == 0 else f"{name}/part{part}"
            if (begin, end) != (0, layer.weight.shape[1]):
                ends = (("begin", begin), ("end", end), ("axis", 1))
                where = [self._constant(f"{label}/{key}", [value], np.int64) for key, value in ends]
                source = self._node("Slice", [source, *where], f"{label}/slice", (batch, end - begin, *size))
            quantized = self._weights(label, layer.formats, layer.weight[:, begin:end])
            value = self._node(
                "Conv", [source, quantized], f"{label}/sums", shape, group=layer.groups, kernel_shape=layer.kernel,
                strides=layer.stride, pads=[it.top, it.left, it.bottom, it.right],
            )  # fmt: skip
            value = self._node("Cast", [value], f"{label}/exact", shape, double=True, to=self.double)
            sums = value if part == 0 else self._node("Add", [sums, value], f"{label}/added", shape, double=True)
        self._requantize(layer, sums, units, shape)

    def _padded_with_codes(self, layer: Convolution) -> tuple[str, Padding, tuple[int, ...]]:
        """What a convolution reads, the zeros that are still to be put around it, and its shape: where it pads with
        other codes than 0, they are put around by a Pad of the difference from them."""
        source, shape, it, name = layer.input, self._shape(layer.input), layer.padding, layer.name
        codes = self.graph.tensors[layer.input].padding_codes
        if not it or not any(codes):
            return source, it, shape
        around = self._constant(f"{name}/around", np.array(codes).reshape(1, -1, 1, 1))
        value = self._node("Sub", [source, around], f"{name}/less_around", shape)
        shape = (*shape[:2], shape[2] + it.top + it.bottom, shape[3] + it.left + it.right)
        value = self._node("Pad", [value, self._pads(name, it)], f"{name}/padded", shape, mode="constant")
        return self._node("Add", [value, around], f"{name}/surrounded", shape), Padding(), shape

    def _pads(self, name: str, it: Padding) -> str:
        return self._constant(f"{name}/pads", [0, 0, it.top, it.left, 0, 0, it.bottom, it.right], np.int64)

    def _weights(self, label: str, formats: Sequence[WeightFormat], weight: np.ndarray) -> str:
        """The real weights of a layer: a Quant for each format, then all filters in their order."""
        quantized, rows = [], []
        kinds = dict.fromkeys(formats)
        for kind in kinds:
            chosen = [index for index, entry in enumerate(formats) if entry == kind]
            bits, unit = quantizer_of(kind)
            stored = self._constant(f"{label}/{kind.name}", weight[chosen] * unit)
            quantized.append(
                self._quant(
                    stored, f"{label}/{kind.name}/quantized", (len(chosen), *weight.shape[1:]), scale=unit,
                    zero_point=0.0, bits=bits, signed=1, rounding="ROUND",
                )
            )  # fmt: skip
            rows += chosen
        if len(kinds) == 1:
            return quantized[0]
        joined = self._node("Concat", quantized, f"{label}/weights_by_format", weight.shape, axis=0)
        order = self._constant(f"{label}/order", np.argsort(rows), np.int64)
        return self._node("Gather", [joined, order], f"{label}/weights", weight.shape, axis=0)

    def _requantize(self, layer: Convolution, sums: str, units: np.ndarray, shape: Sequence[int]) -> None:
        name, step = layer.name, 2.0**-layer.shift
        factors = layer.multiplier.reshape(1, -1, 1, 1) * step / units.reshape(1, -1, 1, 1)
        offsets = (layer.bias + ((1 << layer.shift) >> 1)).reshape(1, -1, 1, 1) * step

        def exact(operator: str, *operands: str, output: str, **attributes: Any) -> str:
            return self._node(operator, operands, f"{name}/{output}", shape, double=True, **attributes)

        value = exact("Mul", sums, self._constant(f"{name}/multiplier", factors, np.float64), output="scaled")
        value = exact("Add", value, self._constant(f"{name}/bias", offsets, np.float64), output="shifted")
        if layer.residual is not None:
            factor = self._constant(f"{name}/residual_multiplier", layer.residual_multiplier * step, np.float64)
            other = exact("Cast", layer.residual, output="residual", to=self.double)
            other = exact("Mul", other, factor, output="residual_scaled")
            value = exact("Add", value, other, output="together")
        value = exact("Floor", value, output="floor")
        value = self._node("Cast", [value], f"{name}/rounded", shape, to=self.float)
        target = self.graph.tensors[layer.output]
        self._quant(value, target.name, shape, scale=1.0, zero_point=0.0, bits=target.bits, signed=0, rounding="ROUND")


LAYER_WRITERS: dict[type, Callable[[_Writer, Any], None]] = {
    Convolution: _Writer._convolution,
    MaxPool: _Writer._max_pool,
    Concatenation: _Writer._concatenation,
}
"""How each layer type is written."""

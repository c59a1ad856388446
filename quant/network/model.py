"""The quantized network: a folded graph that runs with fake quantization, for calibration and fine-tuning.

Batch norms are folded with their running statistics before fine-tuning, so that the weights that are trained are those
that the accelerator multiplies by (the fine-tuning starts from a trained float model, as in FILM-QNN).

How many bits a tensor has, `tensor_bits.py` says. A tensor that can be negative has a zero point; one that is never
negative has zero point 0. A max pool keeps its input's codes. All operands of a concatenation share one quantizer,
calibrated on all their values: a convolution sums over all channels with one scale, and so nothing is requantized where
maps are only put side by side.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..frontend.folded import FoldedConvolution, FoldedGraph, FoldedLayer
from ..frontend.folded_execution import rearrange, run_folded
from .activation_quantizer import SAMPLES, ActivationQuantizer, sample
from .quantized_convolution import QuantizedConvolution
from .quantizers import Formats, QuantizationError
from .tensor_bits import bits_of_owners

IMAGE_MAXIMUM = 255
_BATCH = 16


class QuantizedNetwork(nn.Module):
    """A folded graph with a quantizer per tensor and a format per filter.

    Parameters
    ----------
    graph: the folded float model.
    activation_bits: of hidden maps, 2 … 8.
    tensor_bits: other bits for some tensors, by name.
    pooled_bits: of what a max pool reads, at most.
    scale_method: of weights, see `weight_scale`.

    Raises
    ------
    QuantizationError: `tensor_bits` names no tensor.
    ValueError: bits out of range.
    """

    def __init__(
        self,
        graph: FoldedGraph,
        *,
        activation_bits: int = 5,
        tensor_bits: Mapping[str, int] | None = None,
        pooled_bits: int = 8,
        scale_method: str = "maximum",
    ) -> None:
        super().__init__()
        self.graph = graph
        self.activation_bits = activation_bits
        self._convolutions = nn.ModuleList(QuantizedConvolution(layer, scale_method) for layer in graph.convolutions)
        self.convolutions: dict[str, QuantizedConvolution] = {
            layer.name: module  # type: ignore[misc]
            for layer, module in zip(graph.convolutions, self._convolutions)
        }
        self.source = graph.sources
        """By tensor, the tensor whose quantizer it has."""
        bits = bits_of_owners(graph, activation_bits, tensor_bits or {}, pooled_bits=pooled_bits)
        owners = list(dict.fromkeys(self.source.values()))
        ceilings = dict.fromkeys(owners, 0.0)
        self._made: dict[str, list[str]] = {graph.input: [graph.input]}
        """By owner of a quantizer, the tensors whose values it quantizes."""
        for layer in graph.convolutions:
            owner = self.source[layer.output]
            ceilings[owner] = max(ceilings[owner], layer.ceiling if layer.relu else math.inf)
            self._made.setdefault(owner, []).append(layer.output)
        self._quantizers = nn.ModuleList(
            ActivationQuantizer(name, bits[name], fixed_scale=1.0 / IMAGE_MAXIMUM)
            if name == graph.input
            else ActivationQuantizer(name, bits[name], signed=graph.signed[name], ceiling=ceilings[name])
            for name in owners
        )
        self._by_owner: dict[str, ActivationQuantizer] = dict(zip(owners, self._quantizers))  # type: ignore[arg-type]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(module.weight.device for module in self.convolutions.values())

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(module.weight.dtype for module in self.convolutions.values())

    def quantizer(self, tensor: str) -> ActivationQuantizer:
        """The quantizer of a tensor."""
        return self._by_owner[self.source[tensor]]

    def set_formats(self, formats: Mapping[str, Formats]) -> None:
        """Gives layers (by name) their filters' formats, and every filter the scale that fits."""
        for name, kinds in formats.items():
            module = self.convolutions[name]
            if len(kinds) != len(module.weight):
                raise QuantizationError(f"layer {name!r} has {len(module.weight)} filters, but {len(kinds)} formats")
            module.formats = module.assigned = tuple(kinds)
        self.update_scales()

    def update_scales(self) -> None:
        """Fits every filter's scale to its weights."""
        for module in self.convolutions.values():
            module.update_scale()

    @torch.no_grad()
    def calibrate(
        self, images: Tensor, *, method: str = "mse", progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Sets the range of every tensor from what the float model computes.

        Parameters
        ----------
        images: as for `forward`.
        method: see `ActivationQuantizer.initialise`.
        progress: called with (done, all) after every batch of images.

        Raises
        ------
        QuantizationError: a tensor is not finite.
        """
        samples: dict[str, list[Tensor]] = {name: [] for name in self._by_owner}
        batches = images.split(_BATCH)
        for number, batch in enumerate(batches, start=1):
            tensors = run_folded(self.graph, image_values(batch))
            for name, parts in samples.items():
                values = [tensors[made].flatten() for made in self._made[name]]
                parts.append(sample(torch.cat(values) if len(values) > 1 else values[0], SAMPLES // len(batches)))
            if progress is not None:
                progress(number, len(batches))
        for name, quantizer in self._by_owner.items():
            quantizer.initialise(torch.cat(samples[name]), method=method)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Outputs (dequantised; vectors are N × C) for images N × C × H × W: uint8, or float in 0 … 1."""
        tensors = self.tensors(images, keep=self.graph.outputs)
        outputs = tuple(as_vector(tensors[name]) for name in self.graph.outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def tensors(self, images: Tensor, *, keep: Collection[str] | None = None) -> dict[str, Tensor]:
        """Every tensor, dequantised, by name; with `keep`, only those (the others are dropped after their last use)."""
        if missing := [name for name, quantizer in self._by_owner.items() if not quantizer.calibrated]:
            raise QuantizationError(f"tensor {missing[0]!r} has no range yet; call calibrate before the network runs")
        tensors = {self.graph.input: self.quantizer(self.graph.input)(image_values(images).to(self.dtype))}
        self.run(self.graph.layers, tensors, keep=keep)
        return tensors

    def run(
        self, layers: Sequence[FoldedLayer], tensors: dict[str, Tensor], *, keep: Collection[str] | None = None
    ) -> None:
        """Runs some of the layers, which follow one another: adds their outputs to `tensors`, which has what they read.

        With `keep`, tensors that are not in it leave `tensors` after their last use.
        """
        last_use = {name: index for index, layer in enumerate(layers) for name in layer.inputs}
        for index, layer in enumerate(layers):
            if isinstance(layer, FoldedConvolution):
                module = self.convolutions[layer.name]
                result = module(tensors[layer.input])
                quantizer = self.quantizer(layer.output)
                # The quantizer clips to the ReLU's range by itself, unless it has other tensors' range too.
                clips = layer.relu and not quantizer.signed and quantizer.ceiling <= layer.ceiling
                if layer.residual is not None:
                    result = result + tensors[layer.residual] * module.residual_factor
                if layer.relu and not clips:
                    result = result.clamp(0.0, layer.ceiling)
                tensors[layer.output] = quantizer(result, relu=clips)
            else:
                tensors[layer.output] = rearrange(layer, tensors)
            if keep is not None:
                for name in set(layer.inputs) - set(keep):
                    if last_use[name] == index:
                        del tensors[name]

    @torch.no_grad()
    def codes(self, images: Tensor) -> dict[str, np.ndarray]:
        """Every tensor's codes (int64, N × C × H × W) as fake quantization computes them."""
        tensors = self.tensors(images)
        return {name: self.quantizer(name).codes(value).numpy() for name, value in tensors.items()}


def image_values(images: Tensor) -> Tensor:
    """Images as floats in 0 … 1: uint8 codes over 255, floats as they are."""
    return images.float() / IMAGE_MAXIMUM if images.dtype == torch.uint8 else images.float()


def as_vector(value: Tensor) -> Tensor:
    """N × C for maps of one position; other maps as they are."""
    return value.flatten(1) if value.shape[2:] == (1, 1) else value

"""Better rounding without training: weights rounded one input at a time, and biases corrected.

Rounding to the nearest level minimises ‖w − ŵ‖², but what matters is the layer's output, E‖(w − ŵ)·x‖² =
(w − ŵ)ᵀ H (w − ŵ) with H = E[x xᵀ] over the windows x that the layer sees (the objective of AdaRound, Nagel et al.,
2020, equation 13). It is approached as in GPTQ (Frantar et al., 2023, section 3.3): weights are rounded in turn, to any
grid of levels, and what each rounding costs is made up for by the weights still to come. Layers are done in order of
execution, each with the codes that the layers before it now make.

What then is left of the mean error goes into the bias (Nagel et al., 2019, section 4.2). A layer that is no nearer to
its exact sums then, on every eighth image, keeps the nearest levels and its bias.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..frontend.folded import FoldedConvolution
from ..frontend.folded_execution import convolve, finish, pad, rearrange
from ..graph.formats import WeightFormat
from .model import QuantizedNetwork, image_values
from .quantized_convolution import QuantizedConvolution
from .quantizers import QuantizationError, weight_codes

LARGEST_WINDOW = 8192
"""Layers with longer windows keep the nearest levels: H would take over 512 MiB."""
WINDOWS = 32768
"""Windows that H is averaged over, about."""
_DAMPING = 0.01
_BATCH = 16
_HELD_OUT = 8
"""Every so-manieth image only judges."""

LayerCallback = Callable[[int, int], None]
"""Called with (layers done, layers in all)."""


@torch.no_grad()
def refine(network: QuantizedNetwork, images: Tensor, *, progress: LayerCallback | None = None) -> None:
    """Rounds the weights of a calibrated network with formats, and corrects its biases, in place.

    The weights become levels times scales, so that their codes stay what was chosen as long as the scales do (until
    `update_scales`).

    Parameters
    ----------
    images: as for the network; 32 … 128 are enough.

    Raises
    ------
    QuantizationError: there are no images, or a layer's input is not finite.
    """
    if not len(images):
        raise QuantizationError("refinement needs at least one image")
    graph = network.graph
    start = image_values(images)
    exact = {graph.input: start}
    rounded = {graph.input: network.quantizer(graph.input)(start)}
    last_use = {name: index for index, layer in enumerate(graph.layers) for name in layer.inputs}
    for index, layer in enumerate(graph.layers):
        if isinstance(layer, FoldedConvolution):
            module = network.convolutions[layer.name]
            sums = _in_batches(functools.partial(_exact_sums, layer), exact[layer.input])
            if not layer.exact:
                _refine_layer(module, rounded[layer.input], sums)
            found = _in_batches(module, rounded[layer.input])
            exact[layer.output] = finish(layer, sums, exact)
            rounded[layer.output] = network.quantizer(layer.output)(finish(layer, found, rounded))
        else:
            exact[layer.output], rounded[layer.output] = (rearrange(layer, it) for it in (exact, rounded))
        for name in set(layer.inputs):
            if last_use[name] == index:
                del exact[name], rounded[name]
        if progress is not None:
            progress(index + 1, len(graph.layers))


def _refine_layer(module: QuantizedConvolution, value: Tensor, sums: Tensor) -> None:
    """Rounds a layer's weights and corrects its biases, if that brings it nearer to its exact sums on other images."""
    held_out = torch.arange(len(value)) % _HELD_OUT == 0
    seen = ~held_out if len(value) > 1 else held_out
    weight, bias, plain = module.weight.clone(), module.bias.clone(), _in_batches(module, value[held_out])
    _round_weights(module, value[seen])
    module.bias += (sums[seen] - _in_batches(module, value[seen])).mean(dim=(0, 2, 3))
    found, exact = _in_batches(module, value[held_out]), sums[held_out]
    if not (found - exact).square().sum() < (plain - exact).square().sum():
        module.weight.copy_(weight)
        module.bias.copy_(bias)


def round_compensated(weight: Tensor, moments: Tensor, scale: Tensor, formats: tuple[WeightFormat, ...]) -> Tensor:
    """Levels times scales near to the weights in the sense of the moments.

    Parameters
    ----------
    weight: filters × n.
    moments: H, n × n, or filters × n × n; symmetric, not negative.
    scale, formats: per filter.
    """
    size = weight.shape[1]
    stacked = moments if moments.ndim == 3 else moments[None]
    diagonal = stacked.diagonal(dim1=1, dim2=2)
    damping = (_DAMPING * diagonal.mean(dim=1)).clamp_min(1e-12)
    inverse = torch.linalg.inv(stacked + damping[:, None, None] * torch.eye(size, dtype=stacked.dtype))
    factor = torch.linalg.cholesky((inverse + inverse.mT) / 2).mT  # upper: inverse = factorᵀ · factor
    left, result = weight.to(stacked.dtype).clone(), torch.empty_like(weight)
    for column in range(size):
        codes = weight_codes(left[:, column].to(weight.dtype), scale, formats)
        result[:, column] = codes * scale
        error = (left[:, column] - result[:, column]) / factor[:, column, column]
        left[:, column:] -= error[:, None] * factor[:, column, column:]
    return result


def _round_weights(module: QuantizedConvolution, value: Tensor) -> None:
    layer, weight = module.layer, module.weight
    size = weight[0].numel()
    if size > LARGEST_WINDOW:
        return
    moments = _moments(layer, value)
    if not bool(torch.isfinite(moments).all()):
        raise QuantizationError(f"layer {layer.name!r}: its input is not finite; check the weights and the images")
    flat = round_compensated(weight.flatten(1), moments, module.scale, module.formats)
    module.weight.copy_(flat.reshape(weight.shape))


def _moments(layer: FoldedConvolution, value: Tensor) -> Tensor:
    """E[x xᵀ] over windows: n × n, or for a depthwise layer filters × n × n. Float64."""
    kernel = (layer.weight.shape[2], layer.weight.shape[3])
    filters, size = len(layer.weight), layer.weight[0].numel()
    total, count = torch.zeros(1, dtype=torch.float64), 0
    positions = layer.shape[1] * layer.shape[2]
    step = max(1, positions * len(value) // WINDOWS)
    for batch in value.split(_BATCH):
        windows = functional.unfold(pad(batch, layer.padding), kernel, stride=layer.stride)  # N × C·n × positions
        windows = windows.transpose(0, 1).flatten(1)
        windows = windows[:, torch.randperm(windows.shape[1], generator=torch.Generator().manual_seed(0))[::step]]
        count += windows.shape[1]
        if layer.groups > 1:
            each = windows.reshape(layer.groups, size, -1).repeat_interleave(filters // layer.groups, dim=0)
            total = total + (each @ each.mT).double()
        else:
            total = total + (windows @ windows.T).double()
    return total / count


def _exact_sums(layer: FoldedConvolution, value: Tensor) -> Tensor:
    return convolve(layer, value, layer.weight.float(), layer.bias.float())


def _in_batches(function: Callable[[Tensor], Tensor], value: Tensor) -> Tensor:
    return torch.cat([function(part) for part in value.split(_BATCH)])

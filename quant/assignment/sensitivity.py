"""Sensitivity: how much a filter matters, per filter of every convolution whose weights a format rounds.

`weight_variances`, `weight_errors`: of the weights alone. `output_errors`: of the output map (FILM-QNN, Algorithm 1).
`hessian_eigenvalues`, `hessian_traces`: of the loss. H is the Hessian of the mean cross entropy of the float network
with the weights as they are now, and a filter's block H_k the part of H between that filter's own weights.

Everything behind a layer (convolutions, ReLU, pools, adds) is piecewise linear, so the scores are a piecewise linear
function of one layer's weights, and the block is exactly

    H_k = 1/N Σ_n J_nkᵀ (diag(p_n) − p_n p_nᵀ) J_nk,     J_nk = ∂ scores_n / ∂ w_k,  p_n = softmax(scores_n)

wherever the loss has a Hessian at all (Schraudolph, Neural Computation 2002: here the Gauss-Newton matrix is no
approximation). It depends on no labels. J_nk u_k is the sum over positions of the scores' gradient at the layer's
output times the layer's convolution with u_k; so one convolution and one weight gradient multiply the blocks of *all*
filters of a layer by a vector each, and nothing of one filter leaks into another's.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional

from ..frontend.folded import FoldedConvolution
from ..frontend.folded_execution import convolve, finish, rearrange
from ..graph.formats import WeightFormat
from ..network.model import QuantizedNetwork, as_vector, image_values
from ..network.quantized_convolution import QuantizedConvolution
from ..network.quantizers import QuantizationError, fake_quantize_weight, weight_error, weight_scale

Progress = Callable[[int, int], None]
"""Called with (done, total) while a measure is taken."""


def untold(done: int, total: int) -> None:
    """Progress that nobody wants to know."""


Measures = dict[str, Tensor]
"""By layer, a number per filter; on the CPU, wherever the network is."""

EXACT_CLASSES = 16
"""Up to this many scores the sum over classes is exact; beyond it, classes are drawn from p."""
DRAWS = 4
"""Classes drawn for each image; the estimate of H is unbiased."""
_BATCH = 16
_SMALLEST_POWER = 1e-30


def trained(network: QuantizedNetwork) -> dict[str, QuantizedConvolution]:
    """The convolutions whose weights a format rounds; pseudo-layers are exact in every format."""
    return {name: module for name, module in network.convolutions.items() if not module.layer.exact}


def weight_variances(network: QuantizedNetwork) -> Measures:
    """The variance of every filter's weights (of the population)."""
    return {
        name: module.weight.detach().flatten(1).var(dim=1, correction=0).cpu()
        for name, module in trained(network).items()
    }


def weight_errors(network: QuantizedNetwork, kind: WeightFormat) -> Measures:
    """‖w − Q(w)‖² of every filter in one format, with the scale that the network would give it."""
    errors = {}
    for name, module in trained(network).items():
        weight, formats = module.weight.detach(), (kind,) * len(module.weight)
        scale = weight_scale(weight, formats, method=module.scale_method)
        errors[name] = weight_error(weight, scale, formats).cpu()
    return errors


@torch.no_grad()
def output_errors(
    network: QuantizedNetwork, images: Tensor, kinds: Iterable[WeightFormat]
) -> dict[WeightFormat, Measures]:
    """‖W_k·Â − Q(W_k)·Â‖² of every filter k, by format, over the power of its layer's whole map.

    The square of what FILM-QNN's Algorithm 1 compares, so in the same order; the division by the layer's power changes
    no order within a layer either, and lets layers be added. Â are the network's own activations, quantized.
    """
    kinds, modules = tuple(dict.fromkeys(kinds)), trained(network)
    differences = {}
    for name, module in modules.items():
        weight = module.weight.detach()
        for kind in kinds:
            formats = (kind,) * len(weight)
            scale = weight_scale(weight, formats, method=module.scale_method)
            differences[kind, name] = fake_quantize_weight(weight, scale, formats) - weight
    errors = {key: difference.new_zeros(len(difference)) for key, difference in differences.items()}
    power = dict.fromkeys(modules, _SMALLEST_POWER)
    for batch in images.to(network.device).split(_BATCH):
        tensors = network.tensors(batch)
        for name, module in modules.items():
            value, zero = tensors[module.layer.input], torch.zeros_like(module.bias)
            power[name] += convolve(module.layer, value, module.weight, zero).square().sum().item()
            for kind in kinds:
                error = convolve(module.layer, value, differences[kind, name], zero)
                errors[kind, name] += error.square().sum(dim=(0, 2, 3))
    return {kind: {name: (errors[kind, name] / power[name]).cpu() for name in modules} for kind in kinds}


# Hessian --------------------------------------------------------------------------------------------------------------


def hessian_eigenvalues(
    network: QuantizedNetwork, images: Tensor, *, iterations: int = 20, seed: int = 0, progress: Progress = untold
) -> Measures:
    """The largest eigenvalue of every filter's block, by power iteration (the Rayleigh quotient of the last vector).

    Parameters
    ----------
    images: as for the network; the gradients at all its maps are held at once.
    iterations: block-vector products, at least 1.
    seed: of the first vectors (and of classes that are drawn).
    progress: told after each iteration.

    Raises
    ------
    QuantizationError: the network has no scores to take a loss of, there are no images, or a result is not finite.
    ValueError: `iterations` is below 1.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, not {iterations}")
    generator = torch.Generator().manual_seed(seed)
    blocks = _Blocks(network, images, generator)
    vectors = {
        name: _unit(torch.randn(weight.shape, generator=generator, dtype=weight.dtype).to(weight.device))
        for name, weight in blocks.weights.items()
    }
    values: Measures = {}
    for done in range(1, iterations + 1):
        products = {name: blocks.product(name, vector) for name, vector in vectors.items()}
        values = {name: _dot(vectors[name], product) for name, product in products.items()}
        vectors = {name: _unit(product) for name, product in products.items()}
        progress(done, iterations)
    return _finite(values, "Hessian eigenvalue")


def hessian_traces(
    network: QuantizedNetwork, images: Tensor, *, samples: int = 16, seed: int = 0, progress: Progress = untold
) -> Measures:
    """The trace of every filter's block, by Hutchinson's estimator E[v·H_k v], v of random ±1 (HAWQ-V2, section 3.1).

    Unbiased; the error falls with the root of `samples`, and a block whose off-diagonal part is 0 has none.

    Parameters
    ----------
    images, seed: as for `hessian_eigenvalues`.
    samples: block-vector products, at least 1.
    progress: told after each sample.

    Raises
    ------
    QuantizationError: as `hessian_eigenvalues`.
    ValueError: `samples` is below 1.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    generator = torch.Generator().manual_seed(seed)
    blocks = _Blocks(network, images, generator)
    traces = {name: weight.new_zeros(len(weight)) for name, weight in blocks.weights.items()}
    for done in range(1, samples + 1):
        for name, weight in blocks.weights.items():
            vector = (torch.randint(0, 2, weight.shape, generator=generator) * 2 - 1).to(weight)
            traces[name] += _dot(vector, blocks.product(name, vector)) / samples
        progress(done, samples)
    return _finite(traces, "Hessian trace")


class _Blocks:
    """Products of all filters' blocks of one layer with a vector each, shaped like the layer's weight.

    For each image, M vectors s_m of scores with Σ_m s_m s_mᵀ = diag(p) − p pᵀ: √p_c (e_c − p) for every class c, or
    (e_c − p) / √M for M classes c drawn from p, where the equation holds on average.
    """

    def __init__(self, network: QuantizedNetwork, images: Tensor, generator: torch.Generator) -> None:
        if len(network.graph.outputs) != 1:
            raise QuantizationError(
                f"{network.graph.name} has {len(network.graph.outputs)} outputs, but a Hessian needs one, of scores; "
                "use a method without a Hessian"
            )
        if not len(images):
            raise QuantizationError("a Hessian needs at least one image")
        self.network, self.generator, self.count = network, generator, len(images)
        self.weights = {name: module.weight.detach() for name, module in trained(network).items()}
        self._parts = [self._gradients(part) for part in images.to(network.device).split(_BATCH)]

    def product(self, name: str, vector: Tensor) -> Tensor:
        """H_k · v_k for every filter k of a layer."""
        layer, total = self.network.convolutions[name].layer, torch.zeros_like(vector)
        zero = vector.new_zeros(len(vector))
        for values, gradients in self._parts:
            direction = vector.clone().requires_grad_()
            change = convolve(layer, values[layer.input], direction, zero)
            slopes = [(gradient * change.detach()).sum(dim=(2, 3), keepdim=True) for gradient in gradients[name]]
            weighted = torch.stack([slope * gradient for slope, gradient in zip(slopes, gradients[name])]).sum(dim=0)
            total += torch.autograd.grad(change, direction, weighted)[0]
        return total / self.count

    def _gradients(self, images: Tensor) -> tuple[dict[str, Tensor], dict[str, list[Tensor]]]:
        """The layers' inputs, and M gradients of s_m · scores at every layer's output, before residual and ReLU."""
        graph, dtype = self.network.graph, next(iter(self.weights.values())).dtype
        tensors, sums = {graph.input: image_values(images).to(dtype)}, {}
        for layer in graph.layers:
            if isinstance(layer, FoldedConvolution):
                value = tensors[layer.input]
                module = self.network.convolutions[layer.name]
                bias = module.bias.detach().clone().requires_grad_()
                sums[layer.name] = convolve(layer, value, module.weight.detach(), bias)
                tensors[layer.output] = finish(layer, sums[layer.name], tensors)
            else:
                tensors[layer.output] = rearrange(layer, tensors)
        scores = as_vector(tensors[graph.outputs[0]])
        if scores.ndim != 2:
            raise QuantizationError(
                f"output {graph.outputs[0]!r} is a map of shape {tuple(scores.shape[1:])}, but a Hessian needs scores "
                "N × classes; use a method without a Hessian"
            )
        if not bool(torch.isfinite(scores).all()):
            raise QuantizationError(
                f"{graph.name}: scores are not finite; check the weights and the images for NaN and infinity"
            )
        gradients: dict[str, list[Tensor]] = {name: [] for name in self.weights}
        outputs = [sums[name] for name in self.weights]
        for cotangent in self._cotangents(scores.detach()):
            found = torch.autograd.grad(scores, outputs, cotangent, retain_graph=True, materialize_grads=True)
            for name, gradient in zip(self.weights, found):
                gradients[name].append(gradient)
        inputs = {self.network.convolutions[name].layer.input for name in self.weights}
        return {name: tensors[name].detach() for name in inputs}, gradients

    def _cotangents(self, scores: Tensor) -> list[Tensor]:
        probabilities = functional.softmax(scores, dim=1)
        classes = scores.shape[1]
        if classes <= EXACT_CLASSES:
            units = torch.eye(classes).to(scores)
            return [probabilities[:, c : c + 1].sqrt() * (units[c] - probabilities) for c in range(classes)]
        drawn = torch.multinomial(probabilities.cpu(), DRAWS, replacement=True, generator=self.generator)
        drawn = drawn.to(scores.device)
        return [(functional.one_hot(drawn[:, m], classes) - probabilities) / DRAWS**0.5 for m in range(DRAWS)]


def _dot(left: Tensor, right: Tensor) -> Tensor:
    """The product of every filter's vectors."""
    return (left * right).flatten(1).sum(dim=1)


def _unit(vectors: Tensor) -> Tensor:
    """Every filter's vector over its norm; a vector of zeros stays."""
    return functional.normalize(vectors.flatten(1), dim=1, eps=_SMALLEST_POWER).reshape(vectors.shape)


def _finite(measures: Measures, what: str) -> Measures:
    for name, values in measures.items():
        if not bool(torch.isfinite(values).all()):
            raise QuantizationError(
                f"layer {name!r}: a {what} is not finite; check the weights and the images for NaN and infinity"
            )
    return {name: values.cpu() for name, values in measures.items()}

"""Which layers to give 8 bits first: those whose rounding makes the most noise, for the cycles that more bits take."""

import copy
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ..frontend.folded_execution import convolve, run_folded
from ..graph.formats import FIXED8
from ..network.accumulators import fit_accumulators
from ..network.export import export
from ..network.model import QuantizedNetwork, image_values
from ..network.quantizers import Formats, fake_quantize_weight, weight_scale
from .cost import CostOf, NetworkCost
from .sensitivity import trained

_BATCH = 16
_SMALLEST_POWER = 1e-30
_LEAST_SHARE = 1e-4
"""Of a frame's cycles: what a layer is taken to cost at least, where the model sees no cost."""


@torch.no_grad()
def rounding_noise(network: QuantizedNetwork, images: Tensor, formats: Mapping[str, Formats]) -> dict[str, float]:
    """By layer, the power of what the rounding of its weights adds to its map, over the power of the map (the residual
    included, before ReLU): of the float model's weights and maps, with each filter's scale that fits.

    Parameters
    ----------
    images: a batch, uint8, or floats in 0 … 1.
    """
    modules = trained(network)
    differences = {}
    for name, module in modules.items():
        weight, kinds = module.layer.weight.float(), formats[name]
        scale = weight_scale(weight, kinds, method=module.scale_method)
        differences[name] = fake_quantize_weight(weight, scale, kinds) - weight
    noise, power = dict.fromkeys(modules, 0.0), dict.fromkeys(modules, _SMALLEST_POWER)
    for batch in images.split(_BATCH):
        tensors = run_folded(network.graph, image_values(batch))
        for name, module in modules.items():
            layer, zero = module.layer, torch.zeros(len(module.bias))
            whole = convolve(layer, tensors[layer.input], layer.weight.float(), layer.bias.float())
            if layer.residual is not None:
                whole = whole + tensors[layer.residual]
            power[name] += whole.square().sum().item()
            noise[name] += convolve(layer, tensors[layer.input], differences[name], zero).square().sum().item()
    return {name: noise[name] / power[name] for name in modules}


def raised(formats: Mapping[str, Formats], layers: Iterable[str]) -> dict[str, Formats]:
    """The formats with 8 bits for all filters of some layers."""
    return dict(formats) | {name: (FIXED8,) * len(formats[name]) for name in layers}


class Variants:
    """A calibrated network with other formats of its filters, and what these cost. The network itself is left alone.

    Parameters
    ----------
    cost_of: what an integer graph costs.
    accumulator_bits: of the accelerator; None: any sum is taken.
    """

    def __init__(self, network: QuantizedNetwork, cost_of: CostOf, accumulator_bits: int | None) -> None:
        self.network = copy.deepcopy(network).cpu()
        self._cost_of, self._accumulator_bits = cost_of, accumulator_bits
        self._known: dict[tuple[tuple[str, Formats], ...], NetworkCost] = {}

    def take(self, formats: Mapping[str, Formats]) -> None:
        """Gives `network` the formats, with fewer bits where the accumulators take no more."""
        self.network.set_formats(formats)
        if self._accumulator_bits is not None:
            fit_accumulators(self.network, self._accumulator_bits)

    def cost(self, formats: Mapping[str, Formats]) -> NetworkCost:
        """What the network costs with the formats, which it takes; the same formats are not asked for twice.

        Raises
        ------
        ValueError: the accelerator cannot run it, in the words of `cost_of`.
        """
        self.take(formats)
        key = tuple(sorted(formats.items()))
        if key not in self._known:
            self._known[key] = self._cost_of(export(self.network))
        return self._known[key]

    def order(self, images: Tensor, formats: Mapping[str, Formats]) -> dict[str, float]:
        """The layers that 8 bits for all their filters would make less noisy, and by how much (`rounding_noise`): the
        most for every cycle that it costs first.

        A layer's cycles are those with 8 bits everywhere less those with the formats, of two runs of `cost_of`.
        """
        everything = raised(formats, trained(self.network))
        now, eight = (rounding_noise(self.network, images, kinds) for kinds in (formats, everything))
        gains = {name: noise - eight[name] for name, noise in now.items() if noise > eight[name]}
        before, after = self.cost(formats), self.cost(everything)
        least = _LEAST_SHARE * before.cycles
        costs = {
            name: max(least, after.layer_cycles.get(name, 0) - before.layer_cycles.get(name, 0)) for name in gains
        }
        return dict(sorted(gains.items(), key=lambda entry: -entry[1] / costs[entry[0]]))

"""Assignment: which filter of a layer gets which weight format, so that every tile has the accelerator's lane mix.

Two measures of a filter's sensitivity:

- `variance` (needs no data): the filters with the largest error ‖w − Q4(w)‖² get 8 bits (a stand-in, free of data, for
  the Hessian eigenvalue of ILMPQ); of the rest, those of small variance get the LUT lanes' scheme (Mix and Match).
- `output-error`: the filters with the largest error of the output map ‖W·Â − Q4(W)·Â‖₂ get 8 bits (FILM-QNN
  Algorithm 1); of the rest, those that lose least by the LUT lanes' scheme instead of Fixed-4 get it.

Channels that meet in an add or a max pool, and a depthwise layer with its input, share one order in the hardware: they
are assigned jointly, one class for each channel index, by the sum of the layers' relative sensitivities.
"""

import dataclasses

import torch
from torch import Tensor

from .fold import FoldedConvolution, FoldedGraph, convolve
from .formats import FIXED4, FIXED8, SP2_4, WeightFormat
from .model import QuantizedConvolution, QuantizedNetwork
from .quantizers import Formats, fake_quantize_weight, weight_error, weight_scale

_BATCH = 16
METHODS = ("variance", "output-error")


@dataclasses.dataclass(frozen=True)
class LaneMix:
    """The filter lanes of a tile by what weights they take.

    Parameters
    ----------
    fixed8, fixed4, lut: lanes for Fixed-8, Fixed-4 (on DSPs) and `lut_format`.
    lut_format: of the LUT lanes, 4 bits.

    Raises
    ------
    ValueError: a count is negative, all are 0, or the LUT lanes' format has not 4 bits.
    """

    fixed8: int
    fixed4: int
    lut: int
    lut_format: WeightFormat = SP2_4

    def __post_init__(self) -> None:
        for field in ("fixed8", "fixed4", "lut"):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"lane mix: {field} must be an integer of at least 0, not {value!r}")
        if not self.tile:
            raise ValueError("lane mix: at least one count must be above 0")
        if self.lut_format.bits != 4:
            raise ValueError(f"lane mix: lut_format must have 4 bits, not {self.lut_format.name}")

    @classmethod
    def parse(cls, text: str, lut_format: WeightFormat = SP2_4) -> "LaneMix":
        """`2:8:22` as fixed8 : fixed4 : lut."""
        parts = text.split(":")
        if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
            raise ValueError(f"lane mix must be fixed-8:fixed-4:LUT, for example 2:8:22, not {text!r}")
        fixed8, fixed4, lut = (int(part) for part in parts)
        return cls(fixed8, fixed4, lut, lut_format)

    @property
    def tile(self) -> int:
        """Filters of a tile."""
        return self.fixed8 + self.fixed4 + self.lut

    def counts(self, filters: int) -> tuple[int, int, int]:
        """Fixed-8, Fixed-4 and LUT filters of a layer: in proportion to the tile, by largest remainder.

        They always fit in the tiles that the layer needs anyway: no count exceeds ⌈filters / tile⌉ times its lanes.
        """
        lanes = (self.fixed8, self.fixed4, self.lut)
        whole = [filters * count // self.tile for count in lanes]
        order = sorted(range(3), key=lambda index: (-(filters * lanes[index] % self.tile), index))
        for index in order[: filters - sum(whole)]:
            whole[index] += 1
        return whole[0], whole[1], whole[2]


@dataclasses.dataclass(frozen=True)
class JointGroup:
    """Layers whose output channels share one order.

    Members
    -------
    layers: names of the convolutions.
    channels: of each of their outputs.
    """

    layers: tuple[str, ...]
    channels: int


def joint_groups(graph: FoldedGraph) -> tuple[JointGroup, ...]:
    """The convolutions of a graph in groups whose channels share one order, each layer in exactly one group.

    A depthwise layer with several filters per channel cannot share its input's order, and stands alone.
    """
    parent = {name: name for name in graph.shapes}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for layer in graph.layers:
        tied = [layer.output]
        if not isinstance(layer, FoldedConvolution) or layer.groups == len(layer.weight) > 1:
            tied.append(layer.input)
        if isinstance(layer, FoldedConvolution) and layer.residual is not None:
            tied.append(layer.residual)
        for name in tied[1:]:
            parent[root(name)] = root(layer.output)
    groups: dict[str, list[FoldedConvolution]] = {}
    for layer in graph.convolutions:
        groups.setdefault(root(layer.output), []).append(layer)
    return tuple(
        JointGroup(tuple(layer.name for layer in members), len(members[0].weight)) for members in groups.values()
    )


def assign(
    network: QuantizedNetwork, mix: LaneMix, *, method: str = "variance", images: Tensor | None = None
) -> dict[str, Formats]:
    """A format for every filter of every convolution, by layer name; `QuantizedNetwork.set_formats` takes it.

    Parameters
    ----------
    images: a batch, for `output-error`; the activations are the network's own, quantized.

    Raises
    ------
    ValueError: `method` is unknown, or needs images.
    """
    if method not in METHODS:
        raise ValueError(f"assignment method must be one of {', '.join(METHODS)}, not {method!r}")
    if method == "variance":
        measures = {name: _variance_measures(module, mix) for name, module in _trained(network).items()}
    elif images is None:
        raise ValueError("assignment by output-error needs images; use variance where there are none")
    else:
        measures = _output_measures(network, mix, images)
    result: dict[str, Formats] = {}
    for group in joint_groups(network.graph):
        wide, narrow = torch.zeros(group.channels), torch.zeros(group.channels)
        for name in group.layers:
            if name in measures:
                wide, narrow = wide + measures[name][0], narrow + measures[name][1]
        formats = _choose(wide, narrow, mix)
        result.update(dict.fromkeys(group.layers, formats))
    return result


def _trained(network: QuantizedNetwork) -> dict[str, QuantizedConvolution]:
    """The convolutions whose weights a format rounds; pseudo-layers are exact in every format."""
    return {name: module for name, module in network.convolutions.items() if not module.layer.exact}


def _choose(wide: Tensor, narrow: Tensor, mix: LaneMix) -> Formats:
    """Fixed-8 for the largest `wide`; of the rest Fixed-4 for the largest `narrow`, the LUT format for the others."""
    channels = len(wide)
    fixed8, fixed4, _ = mix.counts(channels)
    by_need = torch.argsort(wide, descending=True, stable=True).tolist()
    eight = set(by_need[:fixed8])
    rest = [index for index in torch.argsort(narrow, descending=True, stable=True).tolist() if index not in eight]
    four = set(rest[:fixed4])
    return tuple(FIXED8 if index in eight else FIXED4 if index in four else mix.lut_format for index in range(channels))


def _four_bits(mix: LaneMix) -> WeightFormat:
    """The 4-bit format against which the need for 8 bits is measured."""
    return FIXED4 if mix.fixed4 else mix.lut_format


def _variance_measures(module: QuantizedConvolution, mix: LaneMix) -> tuple[Tensor, Tensor]:
    weight = module.weight.detach()
    formats = (_four_bits(mix),) * len(weight)
    error = weight_error(weight, weight_scale(weight, formats, method=module.scale_method), formats)
    variance = weight.flatten(1).var(dim=1, correction=0)
    return _relative(error), _relative(variance)


@torch.no_grad()
def _output_measures(network: QuantizedNetwork, mix: LaneMix, images: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Squared errors of the output maps, over the power of the layer's whole map."""
    kinds = dict.fromkeys((_four_bits(mix), FIXED4, mix.lut_format))
    modules = _trained(network)
    differences: dict[tuple[str, WeightFormat], Tensor] = {}
    for name, module in modules.items():
        weight = module.weight.detach()
        for kind in kinds:
            formats = (kind,) * len(weight)
            scale = weight_scale(weight, formats, method=module.scale_method)
            differences[name, kind] = fake_quantize_weight(weight, scale, formats) - weight
    errors = {key: torch.zeros(len(difference)) for key, difference in differences.items()}
    power = dict.fromkeys(modules, 1e-30)
    for batch in images.split(_BATCH):
        tensors = network.tensors(batch)
        for name, module in modules.items():
            value, zero = tensors[module.layer.input], torch.zeros_like(module.bias)
            power[name] += convolve(module.layer, value, module.weight, zero).square().sum().item()
            for kind in kinds:
                error = convolve(module.layer, value, differences[name, kind], zero)
                errors[name, kind] += error.square().sum(dim=(0, 2, 3))
    return {
        name: (
            errors[name, _four_bits(mix)] / power[name],
            (errors[name, mix.lut_format] - errors[name, FIXED4]) / power[name],
        )
        for name in modules
    }


def _relative(measure: Tensor) -> Tensor:
    """Over the layer's mean, so that layers of a group weigh alike."""
    return measure / measure.mean().clamp_min(1e-30)

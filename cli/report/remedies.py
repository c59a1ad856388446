"""What to try where a quantized model is hardly of use, and what that would cost on the board."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

from ...cost import cost_of
from ...hdl.geometry import Geometry
from ...lanes import scheme_of
from ...model import QuantizedModel
from ...platforms.boards import Board
from ...quant.assignment.cost import NetworkCost
from ...quant.assignment.raising import Variants, raised
from ...quant.assignment.sensitivity import trained
from ...quant.network.export import export
from ...quant.network.model import QuantizedNetwork
from ...quant.network.quantizers import Formats
from ...quant.network.tensor_bits import bits_of_owners
from ..figures.models import RemedyFigures

EIGHT_BITS = "fixed-8"
"""The method that gives all weights 8 bits."""
_MOST_BITS = 8
_SHARE = 0.5
"""Of the noise that 8 bits everywhere would remove: what the layers that are named make together."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tried:
    """What a person has asked for already.

    Members
    -------
    method: of the assignment.
    reconstructed, trained: whether the network was.
    bits: of hidden activations.
    """

    method: str
    reconstructed: bool
    trained: bool
    bits: int


def remedies(
    model: QuantizedModel, images: Tensor, tried: Tried, now: NetworkCost, told: Callable[[str], None]
) -> tuple[RemedyFigures, ...]:
    """What would help, what costs nothing on the board first; what the board cannot run is left out.

    Parameters
    ----------
    model: as it was quantized.
    images: a batch, to see where the noise comes from.
    now: what the model costs as it is.
    told: what is being estimated.
    """
    found = []
    if not tried.reconstructed and not tried.trained:
        found.append(_remedy("--reconstruct", "learns rounding without labels, in minutes to an hour", now))
    found += _costed(model, images, tried, told)
    if not tried.trained:
        found.append(_remedy("--epochs 8", "trains, with labels", now))
    found.append(_remedy("more images", "of what the model will see", now))
    return tuple(found)


def _costed(
    model: QuantizedModel, images: Tensor, tried: Tried, told: Callable[[str], None]
) -> Iterator[RemedyFigures]:
    """What costs frames or bytes."""
    result, geometry = model.quantization, model.geometry
    assert result is not None
    variants = _variants(result.network, model)

    def remedy(
        option: str, meaning: str, formats: Mapping[str, Formats], lanes: Geometry = geometry
    ) -> Iterator[RemedyFigures]:
        told(option.partition(",")[0])
        try:
            cost = variants.cost(formats) if lanes == geometry else _cost(variants, formats, model.board, lanes)
        except ValueError:  # beyond the board: not to be advised
            return
        yield _remedy(option, meaning, cost)

    told("which layers lose most")
    if layers := _noisiest(variants, images, result.formats):
        meaning = "the layers whose rounding costs most, for what 8 bits take"
        yield from remedy(f"--keep 8:{','.join(layers)}", meaning, raised(result.formats, layers))
    if tried.method != EIGHT_BITS:
        everything = raised(result.formats, trained(variants.network))
        lanes = scheme_of(EIGHT_BITS, model.board, geometry)
        yield from remedy(f"--method {EIGHT_BITS}", "8 bits for all weights", everything, lanes)
    if tried.bits < _MOST_BITS:
        meaning = "activations in two passes of the accelerator"
        variants = _wider(result.network, model)
        yield from remedy(f"--bits {_MOST_BITS}", meaning, result.formats)


def _cost(variants: Variants, formats: Mapping[str, Formats], board: Board, lanes: Geometry) -> NetworkCost:
    """With other LUT lanes. Raises ValueError where the board cannot run it."""
    variants.take(formats)
    return cost_of(export(variants.network), board, lanes)


def _variants(network: QuantizedNetwork, model: QuantizedModel) -> Variants:
    geometry = model.geometry
    return Variants(
        network, functools.partial(cost_of, board=model.board, geometry=geometry), geometry.accumulator_bits
    )


def _wider(network: QuantizedNetwork, model: QuantizedModel) -> Variants:
    """With as many bits as can be for all hidden maps; the ranges stay, since they cost nothing."""
    variants = _variants(network, model)
    bits = bits_of_owners(network.graph, _MOST_BITS, {}, pooled_bits=model.geometry.activation_bits)
    for owner, count in bits.items():
        variants.network.quantizer(owner).bits = count
    return variants


def _noisiest(variants: Variants, images: Tensor, formats: Mapping[str, Formats]) -> list[str]:
    """The first layers of `Variants.order` that make a share of the noise that 8 bits would remove."""
    try:
        gains = variants.order(images, formats)
    except ValueError:  # 8 bits everywhere are beyond the board
        return []
    layers, left = [], _SHARE * sum(gains.values())
    for name, gain in gains.items():
        if left <= 0:
            break
        layers.append(name)
        left -= gain
    return layers


def _remedy(option: str, meaning: str, cost: NetworkCost) -> RemedyFigures:
    return RemedyFigures(
        option=option, meaning=meaning, model_frames_per_second=cost.frames_per_second, weight_bytes=cost.weight_bytes
    )

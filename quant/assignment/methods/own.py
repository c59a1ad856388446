"""The board's own mix, by two measures, and the baselines of one format that methods are compared with."""

from collections.abc import Callable

from ...graph.formats import FIXED4, FIXED8, POT_4, SP2_4, WeightFormat
from ...network.quantizers import Formats
from ..lane_mix import LaneMix, assign_lanes, relative
from ..sensitivity import output_errors, weight_errors, weight_variances
from .method import Method, Request


def by_variance(request: Request) -> dict[str, Formats]:
    """Every lane class of the board, without data.

    8 bits for the filters with the largest ‖w − Q4(w)‖² (a stand-in, free of data, for ILMPQ's Hessian eigenvalue); of
    the rest, those of small variance get the LUT lanes' scheme (Mix and Match).
    """
    network, mix = request.network, request.mix
    wide = relative(weight_errors(network, _four_bits(mix)))
    return assign_lanes(network, mix, wide, relative(weight_variances(network)))


def by_output_error(request: Request) -> dict[str, Formats]:
    """Every lane class of the board, by the error of the output map.

    8 bits for the filters with the largest ‖W·Â − Q4(W)·Â‖₂ (FILM-QNN, Algorithm 1); of the rest, those that lose least
    by the LUT lanes' scheme instead of Fixed-4 get it.
    """
    network, mix = request.network, request.mix
    assert request.images is not None
    errors = output_errors(network, request.images, [_four_bits(mix), FIXED4, mix.lut_format])
    narrow = {name: errors[mix.lut_format][name] - errors[FIXED4][name] for name in errors[FIXED4]}
    return assign_lanes(network, mix, errors[_four_bits(mix)], narrow)


def uniform(kind: WeightFormat) -> Callable[[Request], dict[str, Formats]]:
    """A baseline: one format for every filter of the network."""

    def assign_one(request: Request) -> dict[str, Formats]:
        return {name: (kind,) * len(module.weight) for name, module in request.network.convolutions.items()}

    return assign_one


def _four_bits(mix: LaneMix) -> WeightFormat:
    """The 4-bit format against which the need for 8 bits is measured."""
    return FIXED4 if mix.fixed4 else mix.lut_format


VARIANCE = Method(name="variance", assign=by_variance, period=1, assigned_share=2 / 3)
OUTPUT_ERROR = Method(name="output-error", assign=by_output_error, needs_images=True, period=1, assigned_share=2 / 3)
BASELINES = (
    Method(name="fixed-4", assign=uniform(FIXED4), lut_format=FIXED4),
    Method(name="fixed-8", assign=uniform(FIXED8), lut_format=FIXED4),
    Method(name="sp2-4", assign=uniform(SP2_4), lut_format=SP2_4),
    Method(name="pot-4", assign=uniform(POT_4), lut_format=POT_4),
)

"""Mix and Match: SP2 for rows of small variance."""

import dataclasses

from ...graph.formats import SP2_4
from ...network.quantizers import Formats
from ..lane_mix import assign_lanes, relative
from ..sensitivity import weight_variances
from .method import Method, MethodError, Request


def msq(request: Request) -> dict[str, Formats]:
    """Mix and Match (Chang et al., HPCA 2021, arXiv 2012.04240, section IV): SP2-4 and Fixed-4 by row variance.

    In every layer the rows (filters) of the smallest variance get SP2, in the share of the LUT lanes; the others
    Fixed-4, on DSP lanes (a Fixed-8 lane holds a Fixed-4 filter too, and counts as one). Chosen where the paper is
    ambiguous or this tool differs: the variance is that of the raw weights of the row; the share is the same in every
    layer, the first and the last included; the straight-through estimator trains, without the paper's ADMM term; the
    partition follows the weights before each epoch.
    """
    mix = dataclasses.replace(request.mix, fixed8=0, fixed4=request.mix.fixed8 + request.mix.fixed4)
    if not mix.lut:
        raise MethodError("method 'msq' needs LUT lanes for sp2-4, and the tile has none; use method fixed-4")
    variances = relative(weight_variances(request.network))
    return assign_lanes(request.network, mix, variances, variances)


MSQ = Method(name="msq", assign=msq, lut_format=SP2_4, period=1)

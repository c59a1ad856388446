"""Hierarchical Bit Programming: bits per channel by an integer program."""

from ...graph.formats import FIXED4
from ...network.quantizers import Formats
from ..channel_bits import bits_per_channel, lane_mix_latency, lane_mix_size
from ..sensitivity import hessian_traces
from .hessian_images import hessian_images
from .method import Method, Request

LEAST_TRACE = 0.3
"""Of the mean of its layer: what the trace of a filter is taken to be at least."""


def hbp(request: Request) -> dict[str, Formats]:
    """Hierarchical Bit Programming (Wang, He, Zhao, IEEE TETCI 2024, doi 10.1109/tetci.2024.3510295): 2 … 8 bits.

    Bits per channel by an integer program over groups of channels, refined inside the groups. The paper's equations
    were not available: this is built from its abstract and HAWQ-V2/V3's sensitivity, see `bits_per_channel`. Chosen:
    groups of 8 channels, sorted by sensitivity; the assignment is made once, before training; without a budget the
    size of the lanes' own mix, in no more tiles than the mix needs, so that it is as fast. Traces come from few images,
    on which a filter may be dead that others need: each counts as 0.3 of its layer's mean at least.
    """
    network, mix = request.network, request.mix
    budgets = request.budgets or (lane_mix_size(network, mix), lane_mix_latency(network, mix))
    found = hessian_traces(network, hessian_images(request), progress=request.progress)
    traces = {name: it.clamp_min(LEAST_TRACE * max(it.mean().item(), 0.0)) for name, it in found.items()}
    return bits_per_channel(network, traces, budgets, mix)


HBP = Method(name="hbp", assign=hbp, lut_format=FIXED4, needs_images=True, takes_budget=True)

"""HAWQ-V3: one precision per layer by an integer program."""

from ...graph.formats import FIXED4
from ...network.quantizers import Formats
from ..channel_bits import bits_per_layer, lane_mix_size
from ..sensitivity import hessian_traces
from .hessian_images import hessian_images
from .method import Method, Request


def hawq_v3(request: Request) -> dict[str, Formats]:
    """One precision per layer, 4 or 8 bits, by Hessian trace (HAWQ-V3, Yao et al., ICML 2021, section 3.3).

    The integer program minimises Σ tr(H_l)/n_l · ‖Q_b(W_l) − W_l‖² under the budget. Differs from the paper: layers
    that meet in an add get one precision; the first and the last layer are not kept at 8 bits; weights alone vary.
    """
    budgets = request.budgets or (lane_mix_size(request.network, request.mix),)
    traces = hessian_traces(request.network, hessian_images(request), progress=request.progress)
    return bits_per_layer(request.network, traces, budgets, request.mix)


HAWQ_V3 = Method(name="hawq-v3", assign=hawq_v3, lut_format=FIXED4, needs_images=True, takes_budget=True)

"""ILMPQ: 8 bits by the Hessian, PoT by variance."""

from ...graph.formats import POT_4
from ...network.quantizers import Formats
from ..lane_mix import assign_lanes, relative
from ..sensitivity import hessian_eigenvalues, weight_variances
from .hessian_images import hessian_images
from .method import Method, Request


def ilmpq(request: Request) -> dict[str, Formats]:
    """ILMPQ (Sun et al., arXiv 2111.00155; the method of RMSMP, ICCV 2021, arXiv 2111.00153): PoT-4, Fixed-4, Fixed-8.

    The rows with the largest Hessian eigenvalue get 8 bits (5 % in the paper); of the rest, those of small variance get
    PoT, the others Fixed-4. The same ratio in every layer, first and last included, that of the tile's lanes (the
    paper's are 60:35:5 and 65:30:5). Chosen where the paper is ambiguous: the eigenvalue is that of the row's own block
    of the float network's loss, exactly, by power iteration; the assignment is renewed every 10 epochs to the end.
    """
    network = request.network
    eigenvalues = hessian_eigenvalues(network, hessian_images(request), progress=request.progress)
    return assign_lanes(network, request.mix, relative(eigenvalues), relative(weight_variances(network)))


ILMPQ = Method(name="ilmpq", assign=ilmpq, lut_format=POT_4, needs_images=True, period=10)

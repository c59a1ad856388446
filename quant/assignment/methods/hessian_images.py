"""The images that methods by the Hessian look at."""

import math

from torch import Tensor

from ..sensitivity import DRAWS, EXACT_CLASSES
from .method import Request

HESSIAN_IMAGES = 64
HESSIAN_VALUES = 1 << 27
"""Gradients held at once, at most (512 MiB); large maps get fewer images."""


def hessian_images(request: Request) -> Tensor:
    """So many of the images that the gradients at all maps fit in memory: 64 at most, 4 at least."""
    assert request.images is not None
    graph = request.network.graph
    classes = math.prod(graph.shapes[graph.outputs[0]])
    vectors = classes if classes <= EXACT_CLASSES else DRAWS
    values = (1 + vectors) * sum(math.prod(layer.shape) for layer in graph.layers)
    return request.images[: min(HESSIAN_IMAGES, max(4, HESSIAN_VALUES // values))]

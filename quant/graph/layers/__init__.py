"""The layer types of the integer graph, a file each; what is listed here is checked, executed, saved and loaded.

A new type is a class derived from `GraphLayer`, and a place in `Layer`: mypy then names what else must know it.
"""

import typing

from .concatenation import Concatenation
from .convolution import Convolution
from .layer import GraphLayer
from .max_pool import MaxPool

Layer = Convolution | MaxPool | Concatenation
LAYER_TYPES: tuple[type[Layer], ...] = typing.get_args(Layer)
OPERATORS: dict[str, type[Layer]] = {kind.OPERATOR: kind for kind in LAYER_TYPES}
"""Layer types by their name in files."""

__all__ = ["LAYER_TYPES", "OPERATORS", "Concatenation", "Convolution", "GraphLayer", "Layer", "MaxPool"]

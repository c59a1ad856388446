"""Models: the zoo, and models of the user's own.

A model is an ordinary `nn.Module` that maps float images (N × C × H × W, 0 … 1) to scores. To add one to the zoo, write
a function of (channels, classes) and name it in `ZOO`.
"""

from .errors import ModelError, WeightsError
from .load import ZOO, load_model
from .normalised import Normalisation, Normalised, own_model
from .small import Demo
from .weights import load_weights

__all__ = [
    "ZOO", "Demo", "ModelError", "Normalisation", "Normalised", "WeightsError", "load_model", "load_weights",
    "own_model",
]  # fmt: skip

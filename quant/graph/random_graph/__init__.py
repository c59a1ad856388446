"""Random integer graphs: seeded, sensible networks to test compilers, simulators and hardware with. NumPy only.

Every layer's M, B and S come from a run of the layers before it on random images, so that codes use their range: a few
filters have a negative M, a few clip most of their outputs, none is dead.

Most who call this are tests. It is part of the package all the same, because `intramix hls` makes the layers that it
runs its kernels on from it (`hls_reference/workloads.py`), and because a model of one random convolution is what the
benchmarks measure; tests, kernels and benchmarks are to see the same graphs for the same seed.
"""

from .blocks import KINDS
from .draw import random_codes, random_graph, single_convolution
from .format_mix import FormatMix

__all__ = ["KINDS", "FormatMix", "random_codes", "random_graph", "single_convolution"]

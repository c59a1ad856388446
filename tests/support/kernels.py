"""What the kernels run, for tests that draw networks at random."""

from intramix.quant.graph.random_graph import KINDS

KERNEL_KINDS = frozenset(KINDS) - {"concatenation"}
"""Kinds of `random_graph`'s blocks."""

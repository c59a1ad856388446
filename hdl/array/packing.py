"""The packing plan: how one DSP48 multiplies two filters by two pixels, and its golden functions.

Two unsigned 4-bit weights a, b share the wide port as b · 2^(2s) + a, two unsigned activations x0, x1 the narrow one as
x1 · 2^s + x0; their product holds a·x0, a·x1, b·x0, b·x1 in fields of s bits from bit 0 up. Every operand is
non-negative, so no field borrows from the next and extraction is wiring, for sums of products too as long as each sum
is below 2^s.
"""

from dataclasses import dataclass

import numpy as np

from ..geometry import Dsp, GeometryError
from .dsp48 import B_PORT_BITS, a_port_bits

FILTERS = 2
PIXELS = 2
FIELDS = FILTERS * PIXELS
WEIGHT_BITS = 4
"""Bits of a packed weight; wider weights are two of them."""


@dataclass(frozen=True)
class PackingPlan:
    """How operands lie in a multiplier.

    Members
    -------
    spacing: s, bits of a field.
    cascade: n, products that a field can sum without overflow, rounded down to a power of two.
    """

    dsp: Dsp
    weight_bits: int
    activation_bits: int
    spacing: int
    cascade: int

    @property
    def largest_product(self) -> int:
        return ((1 << self.weight_bits) - 1) * ((1 << self.activation_bits) - 1)

    @property
    def a_bits(self) -> int:
        """Signed bits of the wide port that the weights need."""
        return 2 * self.spacing + self.weight_bits + 1

    @property
    def b_bits(self) -> int:
        """Signed bits of the narrow port that the activations need."""
        return self.spacing + self.activation_bits + 1

    @property
    def result_bits(self) -> int:
        """Low bits of the result that hold the fields."""
        return FIELDS * self.spacing

    # Golden -------------------------------------------------------------------------------------------------------

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Values of the wide port (int64) from unsigned weights, … × 2."""
        weights = weights.astype(np.int64)
        return weights[..., 0] | weights[..., 1] << 2 * self.spacing

    def pack_activations(self, activations: np.ndarray) -> np.ndarray:
        """Values of the narrow port (int64) from codes, … × 2."""
        activations = activations.astype(np.int64)
        return activations[..., 0] | activations[..., 1] << self.spacing

    def extract(self, result: np.ndarray) -> np.ndarray:
        """Fields of a result: … × 2 filters × 2 pixels."""
        shifts = self.spacing * np.arange(FIELDS).reshape(FILTERS, PIXELS)
        return result[..., None, None] >> shifts & ((1 << self.spacing) - 1)


def packing_plan(dsp: Dsp, weight_bits: int, activation_bits: int) -> PackingPlan:
    """The plan with the widest fields that the multiplier's ports allow.

    Raises
    ------
    GeometryError: not even one product fits in a field.
    """
    wide, narrow = a_port_bits(dsp) - 1, B_PORT_BITS - 1
    spacing = min((wide - weight_bits) // 2, narrow - activation_bits)
    largest = ((1 << weight_bits) - 1) * ((1 << activation_bits) - 1)
    products = ((1 << max(spacing, 0)) - 1) // largest
    if products < 1:
        raise GeometryError(
            f"{weight_bits}-bit weights and {activation_bits}-bit activations do not fit two filters by two pixels in "
            f"a {dsp.value} multiplier: a field of {spacing} bits cannot hold {largest}; use fewer activation bits"
        )
    return PackingPlan(dsp, weight_bits, activation_bits, spacing, 1 << (products.bit_length() - 1))

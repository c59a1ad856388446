"""Digit passes: how wide operands are computed digit by digit."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Passes:
    """The digit passes of a convolution (docs/architecture.md, table of usual passes)."""

    activation_digit: tuple[int, ...]
    shift_mask: int
    count_mask: int
    weight_digit_mask: int
    final_mask: int


PASSES = {
    # (activation digits, weight digits); bit p of a mask is pass p.
    (1, 1): Passes((0,), 0b0, 0b1, 0b0, 0b1),
    (2, 1): Passes((0, 1), 0b10, 0b11, 0b00, 0b10),
    (1, 2): Passes((0, 0), 0b10, 0b10, 0b10, 0b11),
    (2, 2): Passes((0, 1, 0, 1), 0b1010, 0b1100, 0b1100, 0b1010),
}

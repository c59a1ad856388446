"""Fixed-3 cells: three bit planes instead of Fixed-4's four, the top one of negative weight."""

from amaranth.hdl import Cat, Module, Value

from ..arithmetic import Term, add_shifted, delay, register
from .fixed import FixedCell


class Fixed3Cell(FixedCell):
    """Two's-complement weights of 3 bits: Σ w · code, signed.

    Offset binary, as Fixed-4 has it, would owe 4 · Σq, which the requantizer cannot pay back.
    """

    _tail = 2

    def _weighted(self, m: Module, planes: list[Term]) -> Value:
        ones, twos, fours = planes
        positive = register(m, add_shifted(ones, twos, 1))
        negative = register(m, fours)
        upper = (negative.maximum - 1).bit_length() + 1  # signed: −negative … positive / 4, which is less
        difference = (positive.value[2:] - negative.value)[:upper]
        return delay(m, Cat(positive.value[:2], difference), 1).as_signed()

"""Cells of LUT lanes, one file a number scheme; `CELLS` has the one of every class of lanes."""

from collections.abc import Callable, Mapping

from ...lane_classes import LaneClass
from .cell import LutCell
from .fixed import FixedCell
from .fixed3 import Fixed3Cell
from .pot import PotCell
from .sp2 import Sp2Cell

CELLS: Mapping[LaneClass, Callable[..., LutCell]] = {
    LaneClass.FIXED8: FixedCell,
    LaneClass.FIXED4: FixedCell,
    LaneClass.LUT_FIXED4: FixedCell,
    LaneClass.LUT_SP2: Sp2Cell,
    LaneClass.LUT_POT: PotCell,
    LaneClass.LUT_FIXED3: Fixed3Cell,
}
"""Called with the class, `channels` (Ti), `bits` (A) and `accumulator_bits`. Fixed-8 and Fixed-4 lanes are made of LUTs
where a geometry has no DSPs."""

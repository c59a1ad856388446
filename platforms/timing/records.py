"""The clocks that whole accelerators were found to allow, so that a build can be told without minutes of synthesis."""

import dataclasses

from ...hdl.geometry import Geometry
from ..boards import Part
from .delays import speed_grade


@dataclasses.dataclass(frozen=True)
class AnalysedClock:
    """What `intramix timing` found for a geometry.

    Members
    -------
    grade: name of the speed grade that its delays were of.
    worst_ns: the longest path between two registers.
    """

    grade: str
    worst_ns: float

    @property
    def clock_hz(self) -> float:
        return 1e9 / self.worst_ns


def analysed_clock(geometry: Geometry, part: Part | None) -> AnalysedClock | None:
    """What the analysis found for a geometry on a part; None where it was not made for its fabric and speed grade."""
    found = ANALYSED.get(geometry.signature)
    return found if found is not None and found.grade == speed_grade(part).name else None


ANALYSED: dict[int, AnalysedClock] = {
    0x2986326B: AnalysedClock("7-series, Artix fabric, -1", 6.58),  # pynq-z2
    0x9D98F43D: AnalysedClock("7-series, Artix fabric, -1", 6.58),  # pynq-z2 --activation-bits 4
    0x3444FEDE: AnalysedClock("7-series, Artix fabric, -1", 6.59),  # small
    0x691B50D2: AnalysedClock("UltraScale+, -2", 3.77),  # zcu102
}
"""Whole accelerators by signature: `intramix timing`, yosys 0.70, hierarchy kept, neither placed nor routed."""

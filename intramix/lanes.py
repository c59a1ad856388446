"""What a geometry's lanes mean for the quantizer, which knows no hardware."""

from typing import Any

from .compiler.place.lanes import LUT_FORMATS
from .hdl.geometry import Geometry
from .platforms.boards import Board
from .quant.assignment.lane_mix import LaneMix
from .quant.assignment.methods import find_method
from .quant.plan import QuantizationPlan

LUT_SCHEMES = {kind.name: lane for lane, kind in LUT_FORMATS.items()}
"""Classes of LUT lanes by the name of the weight format they are made for."""


def lane_mix(geometry: Geometry) -> LaneMix:
    """The filters of a tile by the weights their lanes take."""
    return LaneMix(geometry.fixed8_lanes, geometry.fixed4_lanes, geometry.lut_lanes, LUT_FORMATS[geometry.lut_scheme])


def scheme_of(method: str, board: Board, geometry: Geometry) -> Geometry:
    """The board's geometry with LUT lanes for the number scheme of a method of assignment; `geometry`, one of the
    board's, if it has such lanes already, or the method takes any.

    Raises
    ------
    ValueError: there is no such method.
    """
    kind = find_method(method).lut_format
    if kind is None or LUT_FORMATS[geometry.lut_scheme] == kind:
        return geometry
    return board.geometry_for(activation_bits=geometry.activation_bits, lut_scheme=LUT_SCHEMES[kind.name])


def is_of(board: Board, geometry: Geometry) -> bool:
    """Whether a geometry is the board's, in any variant of slots and LUT lanes that commands offer."""
    return geometry == board.geometry_for(activation_bits=geometry.activation_bits, lut_scheme=geometry.lut_scheme)


def plan_for(
    geometry: Geometry, *, ratio: LaneMix | None = None, activation_bits: int | None = None, **choices: Any
) -> QuantizationPlan:
    """A plan of quantization for an accelerator: its lanes, slots and accumulators.

    Parameters
    ----------
    ratio: of formats, instead of that of the lanes.
    activation_bits: of hidden maps; None: those of a slot.
    choices: further members of the plan.

    Raises
    ------
    ValueError: see `QuantizationPlan`.
    """
    return QuantizationPlan(
        lane_mix=ratio or lane_mix(geometry), activation_bits=activation_bits or geometry.activation_bits,
        pooled_bits=geometry.activation_bits, accumulator_bits=geometry.accumulator_bits, **choices,
    )  # fmt: skip

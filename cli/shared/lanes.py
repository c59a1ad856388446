"""What a geometry's lanes mean for the quantizer: `quant/` knows no hardware."""

from ...compiler.place.lanes import LUT_FORMATS
from ...hdl.geometry import Geometry
from ...quant.assignment.lane_mix import LaneMix


def lane_mix(geometry: Geometry) -> LaneMix:
    """The filters of a tile by the weights their lanes take."""
    return LaneMix(geometry.fixed8_lanes, geometry.fixed4_lanes, geometry.lut_lanes, LUT_FORMATS[geometry.lut_scheme])

"""What a geometry's lanes mean for the quantizer: `quant/` knows no hardware."""

from ..hdl.geometry import Geometry, LaneClass
from ..quant.assign import LaneMix
from ..quant.formats import FIXED4, POT_4, SP2_4

LUT_FORMATS = {LaneClass.LUT_FIXED4: FIXED4, LaneClass.LUT_SP2: SP2_4, LaneClass.LUT_POT: POT_4}


def lane_mix(geometry: Geometry) -> LaneMix:
    """The filters of a tile by the weights their lanes take."""
    return LaneMix(geometry.fixed8_lanes, geometry.fixed4_lanes, geometry.lut_lanes, LUT_FORMATS[geometry.lut_scheme])

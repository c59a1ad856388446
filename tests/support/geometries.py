"""Small geometries that reach every corner: odd lane mixes, one pixel lane, memories that force cuts."""

import dataclasses

from intramix.hdl.geometry import Geometry, LaneClass

SMALL = {
    "plain": Geometry(
        word_channels=8, pixel_lanes=2, fixed8_lanes=2, fixed4_lanes=6, lut_lanes=8, lut_scheme=LaneClass.LUT_SP2
    ),
    "one-lane": Geometry(
        word_channels=8,
        pixel_lanes=1,
        fixed8_lanes=1,
        fixed4_lanes=3,
        lut_lanes=4,
        lut_scheme=LaneClass.LUT_POT,
        activation_depth=512,
        output_depth=64,
        residual_depth=64,
    ),
    "narrow": Geometry(
        word_channels=4,
        pixel_lanes=2,
        fixed8_lanes=1,
        fixed4_lanes=3,
        lut_lanes=4,
        activation_bits=4,
        activation_depth=256,
        residual_depth=32,
        output_depth=32,
        weight_depth=256,
        constant_tiles=2,
        weight_ports=2,
    ),
    "wide-tile": Geometry(
        word_channels=4,
        pixel_lanes=4,
        fixed8_lanes=3,
        fixed4_lanes=5,
        lut_lanes=8,
        lut_scheme=LaneClass.LUT_SP2,
        activation_bits=6,
        activation_depth=512,
        residual_depth=128,
        output_depth=128,
        weight_depth=512,
        weight_ports=4,
    ),
    "board": Geometry(
        word_channels=16,
        pixel_lanes=4,
        fixed8_lanes=2,
        fixed4_lanes=8,
        lut_lanes=22,
        lut_scheme=LaneClass.LUT_SP2,
        activation_depth=6144,
        weight_ports=2,
    ),
}
"""By name; "board" is the starting point of the PYNQ-Z2."""
SMALL |= {f"{name}-two-ports": dataclasses.replace(SMALL[name], maps_ports=2) for name in ("narrow", "wide-tile")}

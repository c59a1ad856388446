import dataclasses

import pytest

from intramix.hdl.geometry import Dsp, Geometry, GeometryError, LaneClass

PYNQ = Geometry(word_channels=16, pixel_lanes=4, fixed8_lanes=2, fixed4_lanes=8, lut_lanes=22)


def test_derived_numbers_of_the_pynq_geometry():
    assert PYNQ.tile_filters == 32
    assert PYNQ.tile_words == PYNQ.post_units == 2
    assert PYNQ.word_bytes == 10
    assert PYNQ.weight_payload_bits == PYNQ.weight_word_bits == 16 * (2 * 8 + 30 * 4)
    assert PYNQ.drain_cycles == 16
    assert PYNQ.macs_per_cycle == 2048
    assert PYNQ.lanes == (LaneClass.FIXED8,) * 2 + (LaneClass.FIXED4,) * 8 + (LaneClass.LUT_FIXED4,) * 22


def test_weight_words_are_whole_beats_of_every_port():
    geometry = dataclasses.replace(PYNQ, weight_ports=4)
    assert geometry.weight_slice_bits == 576
    assert geometry.weight_word_bits == 4 * 576


@pytest.mark.parametrize("geometry", [PYNQ, dataclasses.replace(PYNQ, dsp=Dsp.DSP48E2, lut_scheme=LaneClass.LUT_POT)])
def test_dictionary_round_trip(geometry):
    assert Geometry.from_dict(geometry.to_dict()) == geometry


def test_signature_tells_every_field():
    signatures = {PYNQ.signature}
    for change in ({"activation_bits": 4}, {"weight_ports": 2}, {"output_depth": 512}, {"dsp": Dsp.DSP48E2}):
        signatures.add(dataclasses.replace(PYNQ, **change).signature)
    assert len(signatures) == 5


def test_groups_of_pixel_lanes():
    geometry = dataclasses.replace(PYNQ, maps_ports=2)
    assert (PYNQ.group_lanes, PYNQ.group) == (4, PYNQ)
    assert (geometry.group_lanes, geometry.group) == (2, dataclasses.replace(PYNQ, pixel_lanes=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"word_channels": 5}, "word_channels = 5: must be 4, 8, 16, 32 or 64"),
        ({"pixel_lanes": 3}, "pixel_lanes = 3: must be 1, 2, 4, 8 or 16"),
        ({"fixed4_lanes": 9}, "fixed4_lanes = 9: fixed8_lanes \\+ fixed4_lanes \\+ lut_lanes = 33 must be a multiple"),
        ({"activation_bits": 7}, "activation_bits = 7: a slot must be 4 … 6 bits"),
        ({"lut_scheme": LaneClass.FIXED4}, "lut_scheme"),
        ({"weight_depth": 1000}, "weight_depth = 1000: must be a power of two"),
        ({"post_units": 3}, "post_units = 3: must be a multiple of the 2 output words"),
        ({"logic_addends": 3}, "logic_addends = 3: must be at most post_units = 2"),
        ({"accumulator_bits": 26}, "accumulator_bits = 26: must be 16 … 25"),
        ({"maps_bus_bits": 48}, "maps_bus_bits = 48"),
        ({"weight_ports": 3}, "weight_ports = 3"),
        ({"maps_ports": 3}, "maps_ports = 3: must be 1 or 2"),
        ({"maps_ports": 2, "pixel_lanes": 1}, "maps_ports = 2: must be at most pixel_lanes = 1"),
        ({"pixel_lanes": -1}, "pixel_lanes must be a non-negative integer, not -1"),
        ({"activation_depth": 1 << 17}, "activation_depth = 131072: must be 16 … 65536"),
    ],
)
def test_illegal_geometry_names_the_field(change, message):
    with pytest.raises(GeometryError, match=message):
        dataclasses.replace(PYNQ, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dsp": "dsp48e2"}, "dsp must be one of Dsp.DSP48E1, Dsp.DSP48E2, Dsp.NONE, not 'dsp48e2'"),
        ({"lut_scheme": "lut-sp2-4"}, "lut_scheme must be one of LaneClass.LUT_FIXED4, .*, not 'lut-sp2-4'"),
        ({"lut_scheme": Dsp.NONE}, "lut_scheme must be one of .*, not <Dsp.NONE: 'none'>"),
    ],
)
def test_name_in_place_of_an_enumeration_s_member(change, message):
    """Such a geometry had the signature of the one that was meant, and other limits."""
    with pytest.raises(GeometryError, match=f"^geometry field {message}$"):
        dataclasses.replace(PYNQ, **change)


def test_dictionary_with_an_unknown_field():
    with pytest.raises(GeometryError, match="geometry field 'lanes' is unknown"):
        Geometry.from_dict({**PYNQ.to_dict(), "lanes": 3})


def test_dictionary_with_an_unknown_scheme():
    with pytest.raises(GeometryError, match="lut_scheme must be one of"):
        Geometry.from_dict({**PYNQ.to_dict(), "lut_scheme": "float"})

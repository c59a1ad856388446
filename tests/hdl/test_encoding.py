import numpy as np
import pytest

from intramix.hdl.encoding import code_table, encode_weights, offset_code, pack_weight_words, weight_of
from intramix.hdl.geometry import Geometry, LaneClass
from intramix.hdl.isa import OffsetCode
from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4


@pytest.mark.parametrize(
    ("lane", "levels"),
    [
        (LaneClass.FIXED8, FIXED8.levels),
        (LaneClass.FIXED4, FIXED4.levels),
        (LaneClass.LUT_FIXED4, FIXED4.levels),
        (LaneClass.LUT_SP2, SP2_4.levels),
        (LaneClass.LUT_POT, POT_4.levels),
        (LaneClass.FIXED8, SP2_4.levels),
        (LaneClass.FIXED8, POT_4.levels),
    ],
)
def test_lane_holds_its_scheme(lane, levels):
    codes = encode_weights(lane, levels)
    assert [weight_of(lane, int(code)) for code in codes] == levels.tolist()


def test_weight_that_a_lane_cannot_hold():
    with pytest.raises(ValueError, match="a lut-sp2-4 lane cannot hold the weight 3"):
        encode_weights(LaneClass.LUT_SP2, np.array([1, 3]))


@pytest.mark.parametrize("lane", [LaneClass.FIXED8, LaneClass.FIXED4, LaneClass.LUT_FIXED4, LaneClass.LUT_SP2])
def test_offset_makes_stored_weights_non_negative(lane):
    offset = {OffsetCode.EIGHT: 8, OffsetCode.ONE_HUNDRED_TWENTY_EIGHT: 128}[offset_code(lane)]
    assert min(code_table(lane)) + offset >= 0


def test_digits_owe_128_whatever_the_lane():
    assert {offset_code(lane, digits=True) for lane in LaneClass} == {OffsetCode.ONE_HUNDRED_TWENTY_EIGHT}


def test_words_are_lane_major_and_least_significant_first():
    geometry = Geometry(word_channels=4, pixel_lanes=1, fixed8_lanes=1, fixed4_lanes=2, lut_lanes=1, activation_bits=4)
    codes = np.zeros((1, 4, 4), np.uint8)
    codes[0, 0] = [0x11, 0x22, 0x33, 0x44]
    codes[0, 1] = [1, 2, 3, 4]
    codes[0, 3] = [9, 10, 11, 12]
    word = int.from_bytes(pack_weight_words(geometry, codes)[0].tobytes(), "little")
    assert word == 0xCBA9_0000_4321_44332211
    assert geometry.weight_word_bits == 128

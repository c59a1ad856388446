"""The compute engine against docs/architecture.md, and its pace."""

import itertools

import numpy as np
import pytest
import torch

from intramix.hdl.array.array import Array
from intramix.hdl.geometry import Dsp, LaneClass
from tests.support.compute.layers import convolution_case, random_case, small

pytestmark = pytest.mark.slow


def check(case, **options):
    reference = case.expected()
    result = case.run(**options)
    assert not result.errors
    assert result.idle
    written = reference.outputs >= 0
    assert (result.outputs[written] == reference.outputs[written]).all()
    assert (result.outputs[~written] == 0).all()
    assert len(result.steps) == reference.steps
    assert result.weights_released == reference.released
    assert result.tiles_released == reference.tiles_released
    given = [token for _, mask in result.signals for token in range(8) if mask >> token & 1]
    asked = [token for fields in case.instructions for token in range(8) if fields["signal"] >> token & 1]
    assert sorted(given) == sorted(asked)
    return result


@pytest.mark.parametrize("seed", range(4))
def test_random_instructions_everything_at_hand(seed):
    check(random_case(seed, small(), count=5))


@pytest.mark.parametrize("seed", range(4))
def test_random_instructions_with_stalls(seed):
    check(random_case(100 + seed, small(), count=5), random=np.random.default_rng(seed))


def test_steps_of_consecutive_instructions_follow_without_a_gap():
    # 18 steps a group, more than the drain needs: nothing ever waits.
    case = convolution_case(small(output_depth=256), channels=2, outputs=(3, 4), instructions=3)
    result = check(case)
    assert result.timing.spacing <= 18
    assert len(result.steps) == 3 * 12 * 18
    assert result.steps[-1] - result.steps[0] + 1 == len(result.steps)
    assert result.waits == {"weights": 0, "drain": 0, "constants": 0}


def test_a_run_takes_its_steps_and_a_small_constant():
    case = convolution_case(small(), channels=2, outputs=(3, 4))
    result = check(case)
    timing = result.timing
    # The last token comes when the last group has drained, and the array's last step is the last but that.
    assert result.signals[-1][0] - result.steps[-1] <= timing.written + 2
    assert result.steps[-1] - result.steps[0] + 1 == 12 * 18


def test_short_groups_run_at_the_pace_of_the_drain():
    case = convolution_case(small(), kernel=(1, 1), channels=2, outputs=(3, 4))
    result = check(case, latency=9, hold=9)
    # Every group but the first waits for the one before: spacing is the drain's rows, or its words and their fetches.
    g = case.geometry
    assert result.timing.spacing == max(g.drain_cycles, 2 * g.tile_words + 3)
    lasts = result.steps[1::2]
    assert [b - a for a, b in itertools.pairwise(lasts)] == [result.timing.spacing] * 11
    assert result.waits["drain"] == 11 * (result.timing.spacing - 2)


def test_the_drain_of_many_filters_runs_at_one_group_per_drain_cycles():
    g = small(word_channels=16, pixel_lanes=1, fixed8_lanes=0, fixed4_lanes=16, lut_lanes=0)
    case = convolution_case(g, kernel=(1, 1), channels=1, outputs=(2, 3))
    result = check(case, latency=9, hold=9)
    assert [b - a for a, b in itertools.pairwise(result.steps)] == [g.drain_cycles] * 5


@pytest.mark.parametrize(("latency", "hold"), [(1, 1), (3, 1), (6, 2), (20, 5), (31, 31)])
def test_any_array_latency(latency, hold):
    check(random_case(7, small(), count=4), latency=latency, hold=hold)


GEOMETRIES = {
    "a5": {"word_channels": 8, "fixed8_lanes": 1, "fixed4_lanes": 4, "lut_lanes": 3, "activation_bits": 5},
    "sp2": {"lut_scheme": LaneClass.LUT_SP2},
    "pot": {"lut_scheme": LaneClass.LUT_POT, "pixel_lanes": 1},
    "four units": {"post_units": 4, "logic_addends": 1},
    "all units": {"post_units": 8},
    "four words": {"fixed4_lanes": 8, "lut_lanes": 7, "pixel_lanes": 1, "constant_tiles": 8},
    "three words": {"fixed4_lanes": 8, "lut_lanes": 3, "pixel_lanes": 1},
    "odd depths": {"activation_depth": 147, "output_depth": 91, "residual_depth": 53},
    "short words": {"accumulator_bits": 20, "pixel_lanes": 4, "lut_lanes": 0, "fixed4_lanes": 7},
    "two groups of two lanes": {"pixel_lanes": 4, "maps_ports": 2},
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_geometries(name):
    g = small(**GEOMETRIES[name])
    check(random_case(11, g, count=4), random=np.random.default_rng(1))


def test_a_filter_larger_than_the_ring_streams_through_it():
    g = small(weight_depth=8)
    case = convolution_case(g, channels=2, outputs=(1, 1), instructions=3)
    check(case, random=np.random.default_rng(3))


def test_the_same_weights_and_constants_without_release():
    g = small()
    case = convolution_case(g, instructions=2, channels=1, release=0, release_constants=0)
    for fields in case.instructions[1:]:
        fields |= {"release": 1, "release_constants": 1}
    case.weights, case.constants = case.weights[:9], case.constants[:1]
    check(case)


def test_equals_a_direct_convolution():
    g = small()
    case = convolution_case(g, channels=2, outputs=(3, 4), shift=0, maximum=255, output_digits=1)
    multiplier = 1
    # y = acc + 100, within 0 … 255 thanks to small weights.
    random = np.random.default_rng(5)
    weights = random.integers(-1, 2, (g.tile_filters, 8, 3, 3))
    steps = weights.reshape(g.tile_filters, 2, 4, 3, 3).transpose(3, 4, 1, 0, 2).reshape(18, g.tile_filters, 4)
    case.weights = np.stack([steps[:, f] + (1 << lane.weight_bits - 1) for f, lane in enumerate(g.lanes)], axis=1)
    case.constants = [[(multiplier, 2 if lane is LaneClass.FIXED8 else 1, 100) for lane in g.lanes]]
    result = check(case)
    for lane in range(g.pixel_lanes):
        planes = case.activations[lane, : 2 * 5 * 4].reshape(2, 5, 4, 4).transpose(0, 3, 1, 2).reshape(1, 8, 5, 4)
        padded = torch.nn.functional.pad(torch.tensor(planes).float(), (1, 1))
        expected = (torch.nn.functional.conv2d(padded, torch.tensor(weights).float()) + 100).clamp(0, 255).int().numpy()
        assert len(np.unique(expected)) > 30
        words = result.outputs[lane, : 4 * 12].reshape(2, 2, 12, 4)
        codes = (16 * words[0] + words[1]).transpose(0, 2, 1).reshape(8, 3, 4)
        assert (codes == expected[0]).all()


@pytest.mark.parametrize(
    "fields",
    [{}, {"dsp": Dsp.DSP48E2, "lut_scheme": LaneClass.LUT_SP2}, {"dsp": Dsp.NONE, "lut_scheme": LaneClass.LUT_POT}],
)
def test_with_the_array(fields):
    g = small(**fields)
    check(random_case(21, g, count=4, pooling=False), array=Array(g), random=np.random.default_rng(2))

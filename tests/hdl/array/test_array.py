"""The whole array in Amaranth's simulator: against the golden function, and against signed dot products."""

import dataclasses

import numpy as np
import pytest
from amaranth.sim import Simulator

from intramix.hdl.array.array import Array
from intramix.hdl.array.golden import StepOperands, array_group, random_step
from intramix.hdl.encoding import encode_weights, offset_code, pack_weight_words, weight_of
from intramix.hdl.geometry import Dsp, Geometry, LaneClass

pytestmark = pytest.mark.slow

SMALL = Geometry(word_channels=4, pixel_lanes=2, fixed8_lanes=1, fixed4_lanes=3, lut_lanes=4, activation_bits=4)


def simulate(geometry: Geometry, groups: list[list[StepOperands]], gaps: float = 0.3):
    """Results (accumulators, sums) of every group, read in the cycle of `captured` and again when last guaranteed."""
    array = Array(geometry)
    g = geometry
    random = np.random.default_rng(7)
    captured: list[tuple[np.ndarray, np.ndarray]] = []
    lasts: list[int] = []
    cycle = 0

    async def bench(ctx):
        nonlocal cycle

        def read():
            accumulators = [[ctx.get(total) for total in lane] for lane in array.accumulators]
            return np.array(accumulators), np.array([ctx.get(array.sums[p]) for p in range(g.pixel_lanes)])

        async def tick():
            nonlocal cycle
            if ctx.get(array.captured):
                # A group's results come LATENCY cycles after its last step …
                assert cycle - lasts[len(captured)] == array.LATENCY
                captured.append(read())
            elif captured and len(lasts) > len(captured) and cycle == lasts[len(captured)] + array.HOLD - 1:
                # … and stay until HOLD cycles after the next group's.
                for now, then in zip(read(), captured[-1], strict=True):
                    np.testing.assert_array_equal(now, then)
            await ctx.tick()
            cycle += 1

        def drive(step: StepOperands, **flags: bool):
            for p in range(g.pixel_lanes):
                ctx.set(array.activations[p], [int(code) for code in step.activations[p]])
            word = pack_weight_words(g, step.weights[None].astype(np.uint8))[0].tobytes()
            ctx.set(array.weights, int.from_bytes(word, "little"))
            for name, value in flags.items():
                ctx.set(array.step[name], value)

        for group in groups:
            for index, step in enumerate(group):
                while random.random() < gaps:
                    # Whatever the other inputs are, a step that is not valid does nothing.
                    junk = {name: bool(random.integers(2)) for name in ("clear", "shift", "count", "last")}
                    drive(random_step(g, random), valid=False, **junk)
                    await tick()
                ctx.set(array.step.valid, 0)
                last = index == len(group) - 1
                while last and lasts and cycle <= lasts[-1] + array.LATENCY - array.HOLD:
                    await tick()
                drive(step, valid=True, clear=index == 0, shift=step.shift, count=step.count, last=last)
                if last:
                    lasts.append(cycle)
                await tick()
        ctx.set(array.step.valid, 0)
        for _ in range(array.LATENCY + 1):
            await tick()

    simulator = Simulator(array)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return captured


GEOMETRIES = {
    "e1-a4": SMALL,
    "e1-a5-sp2-one-pixel": dataclasses.replace(
        SMALL, pixel_lanes=1, word_channels=8, activation_bits=5, lut_scheme=LaneClass.LUT_SP2
    ),
    "e1-a6-pot": dataclasses.replace(SMALL, activation_bits=6, lut_scheme=LaneClass.LUT_POT),
    "e2-a4-sp2": dataclasses.replace(SMALL, word_channels=8, dsp=Dsp.DSP48E2, lut_scheme=LaneClass.LUT_SP2),
    "e2-a5-pot": dataclasses.replace(
        SMALL, word_channels=8, activation_bits=5, dsp=Dsp.DSP48E2, lut_scheme=LaneClass.LUT_POT
    ),
    "e2-a6": dataclasses.replace(SMALL, activation_bits=6, dsp=Dsp.DSP48E2),
    "none-a4-sp2": dataclasses.replace(SMALL, dsp=Dsp.NONE, lut_scheme=LaneClass.LUT_SP2),
    "none-a5-pot": dataclasses.replace(
        SMALL, word_channels=8, activation_bits=5, dsp=Dsp.NONE, lut_scheme=LaneClass.LUT_POT
    ),
    "e1-a5-fixed3": dataclasses.replace(
        SMALL, word_channels=8, activation_bits=5, lut_scheme=LaneClass.LUT_FIXED3
    ),
    "lut-only-fixed3-wide-word": dataclasses.replace(
        SMALL, pixel_lanes=1, word_channels=32, activation_bits=6, fixed8_lanes=0, fixed4_lanes=0, lut_lanes=32,
        lut_scheme=LaneClass.LUT_FIXED3,
    ),
    "dsp-only-wide-word": dataclasses.replace(SMALL, word_channels=16, fixed8_lanes=1, fixed4_lanes=15, lut_lanes=0),
    "fixed8-only": dataclasses.replace(SMALL, fixed8_lanes=4, fixed4_lanes=0, lut_lanes=0),
    "lut-only-wide-word": dataclasses.replace(
        SMALL, pixel_lanes=1, word_channels=32, fixed8_lanes=0, fixed4_lanes=0, lut_lanes=32
    ),
    "narrow-accumulator": dataclasses.replace(SMALL, accumulator_bits=16),
}  # fmt: skip


@pytest.mark.parametrize("name", GEOMETRIES)
def test_groups_equal_golden(name):
    geometry = GEOMETRIES[name]
    random = np.random.default_rng(len(name))
    groups = []
    for length in (1, 5, 1, 12, 7, 3):
        steps = [
            random_step(geometry, random, shift=bool(i and random.random() < 0.2), count=bool(random.random() < 0.7))
            for i in range(length)
        ]
        groups.append(steps)
    results = simulate(geometry, groups)
    assert len(results) == len(groups)
    for group, (accumulators, sums) in zip(groups, results, strict=True):
        expected, expected_sums = array_group(geometry, group)
        np.testing.assert_array_equal(accumulators, expected)
        np.testing.assert_array_equal(sums, expected_sums)


@pytest.mark.parametrize("scheme", [lane for lane in LaneClass if lane.is_lut])
def test_signed_dot_products(scheme):
    """Offset correction of the array's results gives the plain integer dot product of signed weights."""
    g = dataclasses.replace(SMALL, lut_scheme=scheme)
    random = np.random.default_rng(1)
    steps, length = [], 9
    codes = random.integers(0, 16, (length, g.pixel_lanes, g.word_channels))
    weights = np.empty((length, g.tile_filters, g.word_channels), np.int64)
    for f, lane in enumerate(g.lanes):
        grid = sorted({weight_of(lane, code) for code in range(1 << lane.weight_bits)})
        weights[:, f] = random.choice(grid, (length, g.word_channels))
    for k in range(length):
        stored = np.stack([encode_weights(lane, weights[k, f]) for f, lane in enumerate(g.lanes)])
        steps.append(StepOperands(activations=codes[k], weights=stored))
    [(accumulators, sums)] = simulate(g, [steps])
    offsets = np.array([(0, 8, 128)[offset_code(lane)] for lane in g.lanes])
    corrected = accumulators - offsets * sums[:, None]
    bits = g.accumulator_bits
    corrected = (corrected + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
    np.testing.assert_array_equal(corrected, np.einsum("kpc,kfc->pf", codes, weights))


def test_digits():
    """8-bit codes by 8-bit weights, as two digits each, in every fixed-point lane."""
    g = SMALL
    random = np.random.default_rng(2)
    length = 3
    codes = random.integers(0, 256, (length, g.pixel_lanes, g.word_channels))
    weights = random.integers(-127, 128, (length, g.tile_filters, g.word_channels))
    group = []
    # The passes of docs/architecture.md: shifts of the activation and the weight digit, shift, count.
    passes = [(4, 4, False, False), (0, 4, True, False), (4, 0, False, True), (0, 0, True, True)]
    for code_digit, weight_digit, shift, count in passes:
        group += [
            StepOperands(
                activations=codes[k] >> code_digit & 15,
                weights=(weights[k] + 128) >> weight_digit & 15,
                shift=shift and k == 0,
                count=count,
            )
            for k in range(length)
        ]
    [(accumulators, sums)] = simulate(g, [group])
    np.testing.assert_array_equal(sums, codes.sum(axis=(0, 2)))
    np.testing.assert_array_equal(accumulators - 128 * sums[:, None], np.einsum("kpc,kfc->pf", codes, weights))

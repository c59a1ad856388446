"""The requantizer: golden against Python's integers, RTL against golden."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from intramix.hdl.compute.golden import output_words, requantize, wrap
from intramix.hdl.compute.requantizer import Requantizer
from intramix.hdl.geometry import Dsp, Geometry

pytestmark = pytest.mark.slow


def geometry(**fields):
    return Geometry(**{
        "word_channels": 4, "pixel_lanes": 1, "fixed8_lanes": 0, "fixed4_lanes": 4, "lut_lanes": 0,
        "activation_bits": 4, **fields,
    })  # fmt: skip


CASES = st.fixed_dictionaries({
    "accumulator": st.integers(0, 2**25 - 1),
    "sum": st.integers(0, 2**25 - 1),
    "multiplier": st.integers(-(2**17), 2**17 - 1),
    "offset": st.integers(0, 2),
    "bias": st.integers(-(2**43), 2**43 - 1),
    "residual": st.integers(0, 255),
    "residual_scale": st.integers(-(2**17), 2**17 - 1),
    "shift": st.integers(0, 47),
    "maximum": st.integers(1, 255),
})


def exact(case, bits=25):
    """The same in Python's unbounded integers, with divisions instead of shifts."""
    a = (case["accumulator"] - {0: 0, 1: 8, 2: 128}[case["offset"]] * case["sum"]) % 2**bits
    a -= 2**bits if a >= 2 ** (bits - 1) else 0
    total = a * case["multiplier"] + case["residual"] * case["residual_scale"] + case["bias"]
    assert -(2**47) <= total < 2**47
    return min(max(total // 2 ** case["shift"], 0), case["maximum"])


def golden(case, bits=25):
    return int(
        requantize(
            np.array(case["accumulator"]),
            np.array(case["sum"]),
            multiplier=np.array(case["multiplier"]),
            offset=np.array(case["offset"]),
            bias=np.array(case["bias"]),
            residual=case["residual"],
            residual_scale=case["residual_scale"],
            shift=case["shift"],
            maximum=case["maximum"],
            accumulator_bits=bits,
        )
    )


@given(CASES)
@settings(max_examples=500, deadline=None)
def test_golden_equals_unbounded_integers(case):
    assert golden(case) == exact(case)


def test_wrap_is_twos_complement():
    assert wrap(np.arange(-20, 20), 4).tolist() == [(v + 8) % 16 - 8 for v in range(-20, 20)]


def test_output_words_one_digit_and_two():
    g = geometry(fixed4_lanes=8)
    codes = np.arange(16, 24, dtype=np.uint8) * 5
    assert output_words(g, codes % 16, 1).tolist() == [(codes % 16)[:4].tolist(), (codes % 16)[4:].tolist()]
    upper, lower = output_words(g, codes, 2).reshape(2, 8).astype(int)
    assert (upper * 16 + lower).tolist() == codes.tolist()


def corners():
    """Every pair of extremes, and totals on both sides of every clipping limit."""
    extreme = {
        "accumulator": (0, 1, 2**24 - 1, 2**24, 2**25 - 1),
        "multiplier": (-(2**17), -1, 0, 1, 2**17 - 1),
        "bias": (-(2**43), 0, 2**43 - 1),
        "shift": (0, 1, 15, 16, 31, 32, 47),
    }
    for accumulator in extreme["accumulator"]:
        for multiplier in extreme["multiplier"]:
            for bias in extreme["bias"]:
                for shift in extreme["shift"]:
                    yield {
                        "accumulator": accumulator, "sum": 3, "multiplier": multiplier, "offset": 0, "bias": bias,
                        "residual": 255, "residual_scale": -(2**17), "shift": shift, "maximum": 255,
                    }  # fmt: skip
    for shift in range(48):
        for maximum in (1, 15, 31, 200, 255):
            for code in (-1, 0, 1, maximum - 1, maximum, maximum + 1, 255, 256, 2 * maximum + 2, 4095):
                for bias in (code << shift, ((code + 1) << shift) - 1):
                    if -(2**43) <= bias < 2**43:
                        yield {
                            "accumulator": 0, "sum": 0, "multiplier": 0, "offset": 0, "bias": bias, "residual": 0,
                            "residual_scale": 0, "shift": shift, "maximum": maximum,
                        }  # fmt: skip


def rtl(cases, g, *, logic_addend=False):
    """The codes of `cases`, given to one requantizer in consecutive cycles."""
    dut = Requantizer(g, logic_addend=logic_addend)
    shift_lag, latency = dut.SHIFT_LAG, dut.LATENCY
    codes = []

    async def testbench(ctx):
        for cycle in range(len(cases) + latency):
            if cycle < len(cases):
                case = cases[cycle]
                ctx.set(dut.accumulator, case["accumulator"])
                ctx.set(dut.sum, case["sum"])
                ctx.set(dut.constants, {name: case[name] for name in ("multiplier", "offset", "bias")})
                ctx.set(dut.residual, case["residual"])
                ctx.set(dut.residual_scale, case["residual_scale"])
            if 0 <= cycle - shift_lag < len(cases):
                ctx.set(dut.shift, cases[cycle - shift_lag]["shift"])
                ctx.set(dut.maximum, cases[cycle - shift_lag]["maximum"])
            if cycle >= latency:
                codes.append(ctx.get(dut.code))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    return codes


@pytest.mark.parametrize("logic_addend", [False, True])
def test_rtl_corners(logic_addend):
    cases = list(corners())
    assert rtl(cases, geometry(), logic_addend=logic_addend) == [exact(case) for case in cases]


@pytest.mark.parametrize("dsp", list(Dsp))
@pytest.mark.parametrize("bits", [16, 25])
def test_rtl_random(dsp, bits):
    random = np.random.default_rng(7)

    def spread(bits):
        """Signed, of any magnitude alike."""
        return int(random.integers(-(2**62), 2**62) >> int(random.integers(63 - bits, 63)))

    cases = [
        {
            "accumulator": spread(bits) % 2**bits,
            "sum": int(random.integers(0, 2**12)),
            "multiplier": spread(18),
            "offset": int(random.integers(0, 3)),
            "bias": spread(44),
            "residual": int(random.integers(0, 256)),
            "residual_scale": spread(18),
            "shift": int(random.integers(0, 48)),
            "maximum": int(random.integers(1, 256)),
        }
        for _ in range(1500)
    ]
    expected = [exact(case, bits) for case in cases]
    assert len(set(expected)) > 100
    assert [golden(case, bits) for case in cases] == expected
    for logic_addend in (False, True):
        assert rtl(cases, geometry(dsp=dsp, accumulator_bits=bits), logic_addend=logic_addend) == expected

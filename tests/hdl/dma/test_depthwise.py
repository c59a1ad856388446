"""The depthwise unit: golden against plain loops and torch's convolution, RTL against golden."""

import itertools

import numpy as np
import pytest
import torch
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from intramix.hdl import isa
from intramix.hdl.dma.depthwise import DepthwiseUnit
from intramix.hdl.dma.depthwise_golden import depthwise_plane
from intramix.hdl.encoding import kernel_words
from intramix.hdl.geometry import Dsp
from tests.support.dma.depthwise_cases import (
    BORDERS,
    all_rows,
    all_words,
    every_small_load,
    expected_words,
    geometry,
    random_load,
)

pytestmark = pytest.mark.slow


def by_loops(codes, weights, *, multiplier, bias, borders, stride, shift, maximum):
    """As docs/architecture.md says it, in Python's integers."""
    top, bottom, left, right = borders
    rows, columns, channels = codes.shape

    def code(y, x, c):
        inside = top <= y < top + rows and left <= x < left + columns
        return int(codes[y - top, x - left, c]) if inside else 0

    result = []
    for y in range(0, rows + top + bottom - 2, stride):
        for x in range(0, columns + left + right - 2, stride):
            for c in range(channels):
                acc = sum(int(weights[ky, kx, c]) * code(y + ky, x + kx, c) for ky in range(3) for kx in range(3))
                total = acc * int(multiplier[c]) + int(bias[c])
                result.append(min(max(total // 2**shift, 0), maximum))
    return result


def test_golden_is_the_sum_over_the_window():
    random = np.random.default_rng(1)
    g = geometry(4, 4, 4)
    for borders, stride, rows, columns in itertools.product(BORDERS, (1, 2), range(1, 5), range(1, 5)):
        if rows + borders[0] + borders[1] >= 3 and columns + borders[2] + borders[3] >= 3:
            load = random_load(g, random, shape=(rows, columns), borders=borders, stride=stride)
            constants = {"multiplier": load.multiplier[0], "bias": load.bias[0], "borders": borders, "stride": stride,
                         "shift": load.shift, "maximum": load.maximum}  # fmt: skip
            golden = depthwise_plane(load.codes[0], load.weights[0], **constants)
            assert golden.reshape(-1).tolist() == by_loops(load.codes[0], load.weights[0], **constants)


@given(
    seed=st.integers(0, 2**32), rows=st.integers(3, 9), columns=st.integers(3, 9), borders=st.sampled_from(BORDERS),
    stride=st.integers(1, 2), usual=st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_golden_is_torchs_convolution(seed, rows, columns, borders, stride, usual):
    random = np.random.default_rng(seed)
    load = random_load(geometry(8, 5, 8), random, shape=(rows, columns), borders=borders, stride=stride, usual=usual)
    top, bottom, left, right = borders
    image = torch.tensor(load.codes[0], dtype=torch.float64).permute(2, 0, 1)[None]
    kernel = torch.tensor(load.weights[0], dtype=torch.float64).permute(2, 0, 1)[:, None]
    padded = torch.nn.functional.pad(image, (left, right, top, bottom))
    sums = torch.nn.functional.conv2d(padded, kernel, stride=stride, groups=8)[0].permute(1, 2, 0).long()
    total = sums * torch.tensor(load.multiplier[0]) + torch.tensor(load.bias[0])
    codes = (total >> load.shift).clamp(0, load.maximum)
    golden = depthwise_plane(
        load.codes[0], load.weights[0], multiplier=load.multiplier[0], bias=load.bias[0], borders=borders,
        stride=stride, shift=load.shift, maximum=load.maximum,
    )  # fmt: skip
    assert golden.tolist() == codes.tolist()


def test_kernel_words_are_digits_of_the_layout():
    g = geometry(8, 5, 4)
    load = random_load(g, np.random.default_rng(2), shape=(3, 3), borders=(0, 0, 0, 0), stride=1, usual=False)
    words = kernel_words(load.weights[0], load.multiplier[0], load.bias[0])
    assert words.shape == (34, 8)
    assert words.max() < 16
    for channel in range(8):
        bits = "".join(f"{int(digit):04b}" for digit in words[::-1, channel])
        fields = isa.unpack(isa.KERNEL_LAYOUT, int(bits, 2))
        assert [fields[f"weight_{tap}"] for tap in range(9)] == load.weights[0, :, :, channel].reshape(-1).tolist()
        assert (fields["multiplier"], fields["bias"]) == (load.multiplier[0, channel], load.bias[0, channel])
        assert fields["offset"] == isa.OffsetCode.NONE


class Bench:
    """A unit that is given the words of loads; stalls on every stream."""

    def __init__(self, g, loads, *, stall=0.0, seed=0):
        self.g, self.loads, self.stall = g, loads, stall
        self.random = np.random.default_rng(seed)
        self.dut = DepthwiseUnit(g)
        self.expected = [word for load in loads for word in expected_words(g, load)]
        self.seen = []
        self.wrong = []
        self.cycles = 0

    def pauses(self):
        return self.random.random() < self.stall

    async def give(self, ctx, stream, payload):
        while self.pauses():
            await ctx.tick()
        ctx.set(stream.p, payload)
        ctx.set(stream.valid, 1)
        await ctx.tick().until(stream.ready)
        ctx.set(stream.valid, 0)

    async def give_rows(self, ctx):
        for rows in all_rows(self.loads):
            await self.give(ctx, self.dut.rows, rows)

    async def give_words(self, ctx):
        for word in all_words(self.g, self.loads, self.random):
            await self.give(ctx, self.dut.words, word)

    async def take(self, ctx):
        dut, still = self.dut, 0
        while (len(self.seen) < len(self.expected) or not ctx.get(dut.idle)) and still < 500 and not self.wrong:
            ready = not self.pauses()
            ctx.set(dut.results.ready, ready)
            _, _, valid, word, wrong, layer, active = await ctx.tick().sample(
                dut.results.valid, dut.results.p, dut.wrong, dut.layer, dut.active)  # fmt: skip
            self.cycles += 1
            still = 0 if active else still + 1
            if valid and ready:
                end = word.last and word.tag.plane_end
                self.seen.append((word.data, bool(end), bool(end and word.tag.final)))
            if wrong:
                self.wrong.append(layer)

    def run(self):
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self.take)
        simulator.add_testbench(self.give_rows, background=True)
        simulator.add_testbench(self.give_words, background=True)
        simulator.run()


@pytest.mark.parametrize(
    ("g", "stall"),
    [(geometry(4, 4, 4), 0.0), (geometry(4, 4, 4), 0.4), (geometry(4, 6, 1), 0.4), (geometry(8, 5, 4, Dsp.NONE), 0.2)],
    ids=["all, no stalls", "all", "one", "half"],
)
def test_small_planes_with_all_borders(g, stall):
    bench = Bench(g, list(every_small_load(g, np.random.default_rng(3))), stall=stall, seed=4)
    assert len({word for word, _, _ in bench.expected}) > 150
    bench.run()
    assert bench.seen == bench.expected
    assert bench.wrong == []


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("phases", [1, 2, 4])
def test_a_window_takes_as_many_cycles_as_it_has_phases_and_a_position_one(phases, stride):
    g = geometry(4, 4, 4 // phases)
    loads = [random_load(g, np.random.default_rng(5), shape=(12, 15), borders=(1, 1, 1, 1), stride=stride, planes=3)]
    bench = Bench(g, loads)
    bench.run()
    assert bench.seen == bench.expected
    windows, rows = -(-15 // stride), 12 // stride  # in a row, and rows that have them, of 14 × 17 positions
    plane = (14 - rows) * 17 + rows * max(17, windows * phases + 2)
    assert bench.cycles <= 3 * isa.KERNEL_WORDS + 3 * (plane + 20) + 60  # kernels are written before


def test_other_words_pass_without_a_gap():
    g = geometry(4, 4, 2)
    loads = list(every_small_load(g, np.random.default_rng(6)))
    loads = [load for load in loads if load.weights is None]
    bench = Bench(g, loads)
    bench.run()
    assert len(loads) > 4
    assert bench.seen == bench.expected
    assert bench.cycles <= len(bench.expected) + 5


@pytest.mark.parametrize(
    ("shape", "borders", "columns"),
    [((4, 5), (1, 1, 0, 0), 6), ((4, 5), (1, 1, 1, 1), 7), ((3, 6), (0, 0, 1, 0), 7), ((2, 4), (0, 0, 1, 1), 4),
     ((1, 4), (0, 1, 0, 0), 4)],
)  # fmt: skip
def test_planes_without_windows_or_whole_rows_are_reported(shape, borders, columns):
    g = geometry(4, 4, 2)
    random = np.random.default_rng(7)
    sound = random_load(g, random, shape=(3, 3), borders=(0, 0, 0, 0), stride=1)
    wide = random_load(g, random, shape=(3, columns), borders=borders, stride=1)
    bench = Bench(g, [sound, wide])
    rows = list(all_rows(bench.loads))
    wide.codes = random.integers(0, 16, (1, *shape, 4))  # the rows are told another width

    async def give_rows(ctx):
        for fields in rows:
            await bench.give(ctx, bench.dut.rows, fields)

    bench.give_rows = give_rows
    bench.run()
    assert bench.wrong == [1]
    assert bench.seen[:1] == bench.expected[:1]

"""The depthwise unit's Verilog, with the models of the DSP primitives, in Verilator: against the golden function."""

import shutil
import subprocess

import numpy as np
import pytest
from amaranth.hdl import Shape

from intramix.hdl.dma.depthwise import DepthwiseUnit
from intramix.hdl.geometry import Dsp
from intramix.hdl.isa import DEPTHWISE_COLUMNS
from tests.support.dma.depthwise_cases import BORDERS, Load, all_rows, all_words, expected_words, geometry, random_load
from tests.support.verilated import build

pytestmark = pytest.mark.simulator

MAIN = r"""
// Plays the payloads of two streams, with pauses, and writes the payloads of the third.
#include "Vunit.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#define PORT(stream, member) top->stream##___05F##member  // Verilator's name of stream__member
static uint32_t dice = 1;
static bool pauses(int share) {
    dice = dice * 1664525u + 1013904223u;
    return int(dice >> 24) < share;
}
template <class Payload> struct Source {
    FILE *file;
    bool valid = false;
    void offer(Payload &payload, int share) {
        if (!valid && !pauses(share)) valid = fread(&payload, 1, sizeof payload, file) == sizeof payload;
    }
};
int main(int, char **argv) {
    auto *top = new Vunit;
    Source<std::remove_reference_t<decltype(PORT(rows, payload))>> rows{fopen(argv[1], "rb")};
    Source<std::remove_reference_t<decltype(PORT(words, payload))>> words{fopen(argv[2], "rb")};
    FILE *out = fopen(argv[3], "wb");
    const int expected = atoi(argv[4]), share = atoi(argv[5]);
    int seen = 0, still = 0;
    bool wrong = false;
    while (seen < expected && still < 1000 && !wrong) {
        rows.offer(PORT(rows, payload), share);
        words.offer(PORT(words, payload), share);
        PORT(rows, valid) = rows.valid;
        PORT(words, valid) = words.valid;
        PORT(results, ready) = !pauses(share);
        top->clk = 0;
        top->eval();
        if (PORT(rows, ready)) rows.valid = false;
        if (PORT(words, ready)) words.valid = false;
        if (PORT(results, valid) && PORT(results, ready)) {
            fwrite(&PORT(results, payload), 1, sizeof PORT(results, payload), out);
            ++seen;
        }
        still = top->active ? 0 : still + 1;
        wrong = top->wrong;
        top->clk = 1;
        top->eval();
    }
    fclose(out);
    return seen < expected;
}
"""


def port_bytes(bits: int) -> int:
    """Bytes of a Verilator port of more than 16 bits."""
    return 4 * -(-bits // 32) if bits <= 32 or bits > 64 else 8


def payloads(shape, values) -> bytes:
    """Payloads of a stream as Verilator holds them."""
    size = port_bytes(Shape.cast(shape).width)
    return b"".join(shape.const(value).as_bits().to_bytes(size, "little") for value in values)


def loads_of_many_sizes(g, random) -> list[Load]:
    loads = []
    for number in range(40):
        borders = BORDERS[int(random.integers(len(BORDERS)))]
        if number % 7 == 3:
            shape = (2, int(random.integers(1, 30)), int(random.integers(1, 30)), g.word_channels)
            loads.append(Load(random.integers(0, 1 << g.activation_bits, shape)))
            continue
        widest = DEPTHWISE_COLUMNS - borders[2] - borders[3]
        columns = widest if number % 20 == 5 else int(random.integers(3, 40))
        loads.append(random_load(
            g, random, shape=(int(random.integers(3, 12)), columns), borders=borders, stride=int(random.integers(1, 3)),
            planes=int(random.integers(1, 4)), usual=number % 3 > 0,
        ))  # fmt: skip
    return loads


@pytest.mark.skipif(shutil.which("make") is None or shutil.which("g++") is None, reason="Verilator needs make and g++")
@pytest.mark.parametrize(
    "g",
    [geometry(16, 5, 8, Dsp.DSP48E1), geometry(4, 6, 4, Dsp.DSP48E2)],
    ids=["16 by 8, A5, DSP48E1", "4, A6, DSP48E2"],
)
def test_verilated_unit(g, tmp_path):
    unit = DepthwiseUnit(g)
    random = np.random.default_rng(8)
    loads = loads_of_many_sizes(g, random)
    expected = [word for load in loads for word in expected_words(g, load)]
    executable = build(unit, "unit", MAIN, tmp_path)
    rows = payloads(unit.rows.p.shape(), all_rows(loads))
    words = payloads(unit.words.p.shape(), all_words(g, loads, random))
    (tmp_path / "rows").write_bytes(rows)
    (tmp_path / "words").write_bytes(words)
    result = unit.results.p.shape()
    size = port_bytes(result.size)
    for share in (0, 100):
        arguments = ["rows", "words", "results", str(len(expected)), str(share)]
        subprocess.run([executable, *arguments], cwd=tmp_path, check=True)
        content = (tmp_path / "results").read_bytes()
        seen = []
        for start in range(0, len(content), size):
            word = result.from_bits(int.from_bytes(content[start : start + size], "little") & (1 << result.size) - 1)
            end = bool(word.last and word.tag.plane_end)
            seen.append((word.data, end, bool(end and word.tag.final)))
        assert seen == expected

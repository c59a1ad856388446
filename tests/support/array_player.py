"""Plays steps into an array's Verilog, Verilated: every group's results against the golden function."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from intramix.hdl.array.array import Array
from intramix.hdl.array.golden import StepOperands, array_group, random_step
from intramix.hdl.encoding import pack_weight_words
from intramix.hdl.geometry import Geometry

from .verilated import build_verilog

MAIN = r"""
// Plays a file of input vectors, one a clock cycle, and writes the results of every group.
#include "Varray.h"
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>
int main(int, char **argv) {
    auto *top = new Varray;
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    const size_t activations = STEP_BYTES, weights = activations + ACTIVATION_BYTES, size = weights + WEIGHT_BYTES;
    std::vector<uint8_t> vector(size + 8);
    while (fread(vector.data(), 1, size, in) == size) {
        memcpy(&top->step, vector.data(), 1);
        memcpy(&top->activations, vector.data() + activations, sizeof top->activations);
        memcpy(&top->weights, vector.data() + weights, sizeof top->weights);
        top->clk = 0;
        top->eval();
        if (top->captured) {
            fwrite(&top->accumulators, 1, sizeof top->accumulators, out);
            fwrite(&top->sums, 1, sizeof top->sums, out);
        }
        top->clk = 1;
        top->eval();
    }
    fclose(out);
    return 0;
}
"""
STEP_BYTES = 4
FLAGS = ("valid", "clear", "shift", "count", "last")


def words(bits: int) -> int:
    """Bytes of a Verilator port of more than 16 bits."""
    return 4 * -(-bits // 32)


def vectors(geometry: Geometry, group: list[StepOperands], idle: int, random: np.random.Generator) -> bytes:
    """Input vectors of a group with gaps, and `idle` cycles at its end."""
    g = geometry
    result = bytearray()

    def vector(step: StepOperands, flags: int) -> None:
        bits = (step.activations[..., None] >> np.arange(g.activation_bits) & 1).astype(np.uint8).reshape(-1)
        activations = np.packbits(bits, bitorder="little").tobytes()
        weights = pack_weight_words(g, step.weights[None].astype(np.uint8))[0].tobytes()
        result.extend(flags.to_bytes(STEP_BYTES, "little"))
        result.extend(activations.ljust(words(g.pixel_lanes * g.word_bits), b"\0"))
        result.extend(weights.ljust(words(g.weight_word_bits), b"\0"))

    def gap() -> None:
        vector(random_step(g, random), int(random.integers(16)) << 1)

    for index, step in enumerate(group):
        while random.random() < 0.2:
            gap()
        values = (True, index == 0, step.shift, step.count, index == len(group) - 1)
        vector(step, sum(value << bit for bit, value in enumerate(values)))
    for _ in range(idle):
        gap()
    return bytes(result)


def build_player(verilog: str, geometry: Geometry, folder: Path) -> Path:
    """The player's executable, of a Verilog text whose module `array` is the array, with its primitives."""
    g = geometry
    defines = (
        f"-DSTEP_BYTES={STEP_BYTES} -DACTIVATION_BYTES={words(g.pixel_lanes * g.word_bits)} "
        f"-DWEIGHT_BYTES={words(g.weight_word_bits)}"
    )
    return build_verilog(verilog, "array", MAIN, folder, defines=defines)


def check_groups(player: Path, geometry: Geometry, folder: Path, *, groups: int = 40, seed: int = 3) -> None:
    """Random groups of random steps: every accumulator and sum is the golden function's."""
    g, latency = geometry, Array(geometry).LATENCY
    random = np.random.default_rng(seed)
    steps = [
        [random_step(g, random, shift=bool(i and random.random() < 0.1)) for i in range(int(random.integers(1, 40)))]
        for _ in range(groups)
    ]
    stimulus = b"".join(vectors(g, group, latency, random) for group in steps)
    (folder / "vectors").write_bytes(stimulus + vectors(g, [], latency + 1, random))
    subprocess.run([player, "vectors", "results"], cwd=folder, check=True)
    results = (folder / "results").read_bytes()

    sizes = [words(g.accumulator_bits * g.pixel_lanes * g.tile_filters), words(g.accumulator_bits * g.pixel_lanes)]
    assert len(results) == len(steps) * sum(sizes)
    mask = (1 << g.accumulator_bits) - 1
    for index, group in enumerate(steps):
        start = index * sum(sizes)
        accumulators = int.from_bytes(results[start : start + sizes[0]], sys.byteorder)
        sums = int.from_bytes(results[start + sizes[0] : start + sum(sizes)], sys.byteorder)
        expected, expected_sums = array_group(g, group)
        found = np.array([accumulators >> g.accumulator_bits * i & mask for i in range(expected.size)])
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)
        assert [sums >> g.accumulator_bits * i & mask for i in range(g.pixel_lanes)] == expected_sums.tolist()

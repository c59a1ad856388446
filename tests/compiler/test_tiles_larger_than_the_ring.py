"""Depthwise layers and average pools with a tile whose weights do not fit the ring, over one block and over several."""

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.interpreter.interpret import run_codes
from intramix.hdl.instructions import Compute, LoadWeights
from intramix.platforms.boards import board
from intramix.quant.graph.executor import execute
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph, single_convolution


def check(graph, geometry, batch=1):
    """Compiles, interprets and compares every map of every image; returns the program."""
    program = compile_graph(graph, geometry, batch=batch)
    codes = random_codes(graph, 0, images=batch)
    found = run_codes(program, codes.reshape(program.input.shape))
    for number, image in enumerate(codes):
        expected = execute(graph, image)
        for name, maps in found.items():
            np.testing.assert_array_equal(maps if batch == 1 else maps[number], expected[name], err_msg=name)
    return program


def windows(channels, size, kernel):
    """A depthwise layer whose windows do not overlap."""
    return single_convolution(
        0, channels=channels, filters=channels, size=size, kernel=kernel, stride=kernel, depthwise=True
    )


@pytest.mark.parametrize(
    ("name", "channels", "size", "kernel"),
    [
        ("pynq-z2", 16, (320, 120), (40, 40)),
        ("small", 8, (96, 48), (24, 24)),
        ("small", 8, (48, 96), (24, 24)),
    ],
)
def test_window_larger_than_the_ring_over_several_blocks(name, channels, size, kernel):
    """The tile's words pass through the ring once for every group of every block."""
    geometry = board(name).geometry
    program = check(windows(channels, size, kernel), geometry)
    decoded = list(program.decoded())
    loads = [instruction.words for instruction in decoded if isinstance(instruction, LoadWeights)]
    assert loads == [instruction.weight_words for instruction in decoded if isinstance(instruction, Compute)]
    assert max(loads) > geometry.weight_depth


@pytest.mark.parametrize("batch", [1, 4, 5])
def test_global_pool_of_a_batch(batch):
    """A tile of 32 filters reads two channel words: 2 · 32 · 32 words, of which the ring holds half."""
    graph = random_graph(0, blocks=1, kinds=("pointwise", "average_pool"), size=(32, 32), channels=(32, 32))
    check(graph, board("pynq-z2").geometry, batch)


@pytest.mark.parametrize("batch", [1, 5])
def test_only_some_tiles_are_larger_than_the_ring(batch):
    """Filters for two kinds of lanes: the first tile reads one channel word, the second two."""
    graph = single_convolution(
        0, channels=32, filters=32, size=(32, 32), kernel=(32, 32), depthwise=True, mix=FormatMix(0, 1, 1)
    )
    check(graph, board("pynq-z2").geometry, batch)

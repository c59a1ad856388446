"""Programs of several images: every value of every image, tokens that order every access, and what a batch is for."""

import itertools

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.errors import CompileError
from intramix.compiler.interpreter.interpret import interpret, memory_for, run_codes
from intramix.compiler.program.log_records import expected_crcs
from intramix.compiler.program.traffic import read_bytes
from intramix.hdl.instructions import LoadWeights, Store
from intramix.quant.graph.executor import execute
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import random_codes, random_graph, single_convolution


def check(graph, program, seed):
    """Interprets a batch, which proves too that its tokens order every access, and compares image by image."""
    codes = random_codes(graph, seed, images=program.batch)
    found = run_codes(program, codes.reshape(program.input.shape))
    for number, image in enumerate(codes):
        expected = execute(graph, image)
        for name, maps in found.items():
            one = maps if program.batch == 1 else maps[number]
            np.testing.assert_array_equal(one, expected[name], err_msg=f"{name}, image {number}")


@pytest.mark.parametrize(("seed", "batch"), [(0, 2), (1, 3), (2, 5)])
def test_every_image_of_a_batch(geometry, seed, batch):
    """Batches below, at and above the number of lanes, of all kinds of layers; memory of maps is used again."""
    graph = random_graph(seed, blocks=5, activation_bits=min(5, geometry.activation_bits))
    program = compile_graph(graph, geometry, batch=batch, keep_maps=seed == 1)
    assert program.batch == batch
    check(graph, program, seed)


def test_images_share_the_stream_of_weights(geometries):
    """A lane for each image: where one image's few rows would leave lanes idle, and every image read all weights."""
    geometry = geometries["wide-tile"]
    graph = single_convolution(4, channels=24, filters=96, size=(3, 3), padding=Padding(1, 1, 1, 1))

    def figures(program):
        decoded = list(program.decoded())
        weights = sum(read_bytes(geometry, load) for load in decoded if isinstance(load, LoadWeights))
        return weights, sum(layer.steps for layer in program.layers)

    one, four = (compile_graph(graph, geometry, batch=batch) for batch in (1, 4))
    (weights, steps), (weights_of_four, steps_of_four) = figures(one), figures(four)
    assert weights_of_four == weights
    assert steps_of_four == 3 * steps  # one image: a row a lane, the last of four lanes idle; four: three rows a lane
    check(graph, four, 4)


def test_layers_of_a_batch_share_turns(geometries):
    """Side by side, the layers go through all images in one turn, and weights stay in the ring for all of them."""
    graph = random_graph(3, blocks=3, kinds=("pointwise", "convolution3"), size=(24, 10))
    program = compile_graph(graph, geometries["plain"], batch=3)
    layers = [store.layer for store in program.decoded() if isinstance(store, Store)]
    turns = [layer for layer, _ in itertools.groupby(layers)]
    assert len(turns) > 3 * len(program.layers)
    check(graph, program, 3)


def test_log_of_a_batch(geometries):
    """A record for each layer, of the words of all images."""
    graph = random_graph(5, blocks=3)
    program = compile_graph(graph, geometries["plain"], batch=2)
    codes = random_codes(graph, 5, images=2)
    memory = memory_for(program, codes)
    interpret(program, memory)
    maps = [execute(graph, image) for image in codes]
    expected = expected_crcs(program, {name: np.stack([each[name] for each in maps]) for name in maps[0]})
    records = np.frombuffer(memory["LOG"], "<u4").reshape(-1, 4)
    assert {number: (crc, words) for number, (crc, _, words, _) in enumerate(records.tolist())} == expected
    for layer in program.layers:
        layout = program.maps[layer.output]
        assert expected[layer.number][1] == 2 * layout.digits * layout.channel_words * layout.height * layout.width


def test_a_batch_of_nothing_is_refused(geometries):
    with pytest.raises(CompileError, match="batch"):
        compile_graph(random_graph(0), geometries["plain"], batch=0)

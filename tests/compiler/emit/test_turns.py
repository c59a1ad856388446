"""Layers side by side, and weight words that tiles share: the same values, fewer transfers."""

import dataclasses
import itertools

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.interpreter.interpret import interpret, memory_for, run_codes
from intramix.compiler.program.log_records import expected_crcs
from intramix.hdl.instructions import Compute, LoadMap, LoadWeights, Store
from intramix.quant.graph.executor import execute
from intramix.quant.graph.formats import FIXED4
from intramix.quant.graph.graph import MaxPool, Padding
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph, single_convolution


def pooled(seed, *, size, channels=4, filters, kernel, stride, padding):
    """A convolution and the max pool of its output; both maps are the network's outputs."""
    graph = single_convolution(seed, channels=channels, filters=filters, size=size, padding=Padding(1, 1, 1, 1))
    source = graph.tensors[graph.outputs[0]]
    around = Padding(padding, padding, padding, padding)
    target = dataclasses.replace(
        source,
        name="pooled",
        height=(source.height + 2 * padding - kernel) // stride + 1,
        width=(source.width + 2 * padding - kernel) // stride + 1,
    )
    pool = MaxPool("pool", source.name, "pooled", (kernel, kernel), (stride, stride), around)
    return dataclasses.replace(
        graph,
        tensors=graph.tensors | {"pooled": target},
        layers=(*graph.layers, pool),
        outputs=(source.name, "pooled"),
    )


def turns_of(program, kind):
    """Layers in the order in which they take turns at an engine."""
    layers = [instruction.layer for instruction in program.decoded() if isinstance(instruction, kind)]
    return [layer for layer, _ in itertools.groupby(layers)]


def logged(program, memory):
    """CRC-32 and words by layer: of the records of all groups of lanes, each of which stored something."""
    log = np.frombuffer(memory["LOG"], "<u4").reshape(-1, program.geometry.maps_ports, 4)
    assert (log[:, :, 1] == np.arange(len(log))[:, None]).all()
    crcs, words = np.bitwise_xor.reduce(log[:, :, 0], axis=1), log[:, :, 2].sum(axis=1)
    return {number: (int(crc), int(count)) for number, (crc, count) in enumerate(zip(crcs, words, strict=True))}


CASES = {
    "plain": {"size": (41, 36), "filters": 16, "kernel": 2, "stride": 2, "padding": 0},
    "wide-tile": {"size": (40, 21), "filters": 16, "kernel": 2, "stride": 2, "padding": 1},
    "board": {"size": (45, 30), "filters": 24, "kernel": 3, "stride": 2, "padding": 1},
    "wide-tile-two-ports": {"size": (40, 21), "filters": 16, "kernel": 2, "stride": 2, "padding": 1},
}


@pytest.mark.parametrize("keep_maps", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_a_pool_runs_on_rows_as_they_are_stored(geometries, name, keep_maps):
    graph = pooled(3, **CASES[name])
    program = compile_graph(graph, geometries[name], keep_maps=keep_maps)
    for kind in (Compute, Store, LoadMap):
        assert turns_of(program, kind)[:5] == [0, 1, 0, 1, 0]
    codes = random_codes(graph, 3)
    expected = execute(graph, codes)
    stored = run_codes(program, codes)  # which proves, too, that the tokens order every access
    for tensor in graph.outputs:
        np.testing.assert_array_equal(stored[tensor], expected[tensor], err_msg=tensor)


def test_records_of_layers_side_by_side(geometries):
    """Each layer has a CRC of its own, and its record."""
    graph = pooled(4, **CASES["plain"])
    program = compile_graph(graph, geometries["plain"])
    stores = [store for store in program.decoded() if isinstance(store, Store)]
    started = [store for store in stores if store.crc_start]
    assert [(store.layer, store.crc_register) for store in started] == [(0, 0), (1, 1)]
    assert all(store.crc_register == store.layer for store in stores)
    assert [store.layer for store in stores if store.crc_emit] == [0, 1]
    assert stores[-1].crc_emit
    codes = random_codes(graph, 4)
    memory = memory_for(program, codes)
    interpret(program, memory)
    crcs = expected_crcs(program, execute(graph, codes))
    assert logged(program, memory) == crcs
    words = [layout.bytes // layout.word_bytes for layout in program.maps.values()]
    assert [crcs[number][1] for number in range(2)] == words


def test_a_map_of_few_blocks_is_finished_first(geometries):
    program = compile_graph(pooled(3, **(CASES["plain"] | {"size": (6, 36)})), geometries["plain"])
    assert turns_of(program, Store) == [0, 1]


@pytest.mark.parametrize("kinds", [["inverted", "pointwise"], ["residual", "convolution3"], ["projection"],
                                   ["depthwise", "max_pool", "pointwise"], ["concatenation", "add"]])  # fmt: skip
@pytest.mark.parametrize("name", ["plain", "wide-tile", "wide-tile-two-ports"])
def test_several_layers_share_a_turn(geometries, name, kinds):
    """Networks whose maps have many rows, and a ring that holds many layers' weights."""
    graph = random_graph(7, blocks=len(kinds), kinds=kinds, size=(128, 12), activation_bits=4)
    geometry = dataclasses.replace(geometries[name], weight_depth=2048, activation_depth=4096)
    program = compile_graph(graph, geometry)
    order = turns_of(program, Store)
    assert len(order) > 2 * len(graph.layers), "the layers come one after the other"
    codes = random_codes(graph, 7)
    expected = execute(graph, codes)
    memory = memory_for(program, codes)
    interpret(program, memory)  # which proves, too, that the tokens order every access
    stored = run_codes(program, codes)
    for name, found in stored.items():
        np.testing.assert_array_equal(found, expected[name], err_msg=name)
    assert logged(program, memory) == expected_crcs(program, expected)


@pytest.mark.parametrize("depth", [2048, 64])
def test_tiles_of_equal_weights_share_them(geometries, depth):
    """As an average pool's; in one block and in several."""
    geometry = dataclasses.replace(geometries["plain"], activation_depth=depth)
    tiles = 3
    channels = tiles * (geometry.fixed8_lanes + geometry.fixed4_lanes)
    graph = single_convolution(
        5, channels=channels, filters=channels, size=(12, 10), depthwise=True, mix=FormatMix(0, 1, 0)
    )
    (layer,) = graph.layers
    assert set(layer.formats) == {FIXED4}

    def weight_words(network):
        program = compile_graph(network, geometry)
        codes = random_codes(network, 5)
        stored, expected = run_codes(program, codes), execute(network, codes)
        np.testing.assert_array_equal(stored[layer.output], expected[layer.output])
        return sum(load.words for load in program.decoded() if isinstance(load, LoadWeights))

    alike = dataclasses.replace(graph, layers=(dataclasses.replace(layer, weight=np.full_like(layer.weight, 3)),))
    assert weight_words(graph) == tiles * weight_words(alike)

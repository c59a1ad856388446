"""Maps that stay on the chip: every value as before, fewer bytes, and rows of a ring rather than whole maps."""

import dataclasses

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.interpreter.interpret import run_codes
from intramix.compiler.program.listing import listing
from intramix.compiler.program.traffic import bytes_by_region
from intramix.explore.bounds import bounds
from intramix.explore.cycles import estimate
from intramix.hdl.geometry import Geometry
from intramix.hdl.instructions import LoadMap, Store
from intramix.quant.graph.executor import execute
from intramix.quant.graph.random_graph import KINDS, random_graph

GEOMETRY = Geometry(
    word_channels=8, pixel_lanes=2, fixed8_lanes=1, fixed4_lanes=3, lut_lanes=4, activation_depth=512,
    residual_depth=128, output_depth=128, weight_depth=256, depthwise_channels=8,
)  # fmt: skip


def network(seed=0, kinds=KINDS, blocks=5, size=(24, 12)):
    return random_graph(
        seed, blocks=blocks, kinds=kinds, size=size, channels=(8, 24), activation_bits=GEOMETRY.activation_bits
    )


def moved(program, kind):
    return [instruction for instruction in program.decoded() if isinstance(instruction, kind)]


@pytest.mark.parametrize("keep_maps", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("ports", [1, 2])
@pytest.mark.parametrize("words", [64, 500, 6000])
def test_every_value(words, ports, batch, keep_maps):
    """Whatever fits: the interpreter checks every rule and hazard, and each code is the executor's."""
    geometry = dataclasses.replace(GEOMETRY, map_words=words, maps_ports=ports)
    graph = network(words + ports)
    program = compile_graph(graph, geometry, batch=batch, keep_maps=keep_maps)
    codes = np.random.default_rng(1).integers(0, 256, (batch, *execute_shape(graph))).astype(np.uint8)
    found = run_codes(program, codes.reshape(program.input.shape))
    for number, image in enumerate(codes):
        expected = execute(graph, image)
        for name, maps in found.items():
            np.testing.assert_array_equal(maps if batch == 1 else maps[number], expected[name])
    assert any(load.on_chip for load in moved(program, LoadMap) if not load.kernels)


def execute_shape(graph):
    tensor = graph.tensors[graph.input]
    return tensor.channels, tensor.height, tensor.width


def test_kept_maps_are_stored_once_and_read_where_they_were_stored():
    """In a program that keeps every map both memories are written, and one that does not leaves DDR alone; both read
    the chip."""
    geometry = dataclasses.replace(GEOMETRY, map_words=6000)
    graph = network(3, kinds=("convolution3", "residual", "inverted"))
    both, alone = (compile_graph(graph, geometry, keep_maps=keep) for keep in (True, False))
    for program, only in ((both, False), (alone, True)):
        stores, loads = moved(program, Store), moved(program, LoadMap)
        kept = {program.maps[layer.output].name for layer in program.layers
                if any(store.on_chip for store in stores if store.layer == layer.number)}  # fmt: skip
        assert all(store.chip_only is (only and store.on_chip) for store in stores)
        assert kept
        assert graph.outputs[0] not in kept
        assert any(load.on_chip for load in loads)
        assert not any(load.on_chip for load in loads if load.kernels)
    bytes_of = [sum(layer.read_bytes + layer.write_bytes for layer in program.layers) for program in (both, alone)]
    plain = compile_graph(graph, GEOMETRY, keep_maps=False)
    assert bytes_of[1] < bytes_of[0] < sum(layer.read_bytes + layer.write_bytes for layer in plain.layers)


def test_a_ring_holds_fewer_rows_than_the_map():
    """Layers that follow one another closely need some rows of the map between them, not all."""
    geometry = dataclasses.replace(GEOMETRY, map_words=2000)
    graph = network(1, kinds=("convolution3",), blocks=4, size=(64, 16))
    program = compile_graph(graph, geometry, keep_maps=False)
    maps = {layer.number: program.maps[layer.output] for layer in program.layers}
    rows = {
        store.layer: store.ring_words // (maps[store.layer].columns * maps[store.layer].channel_words)
        for store in moved(program, Store) if store.on_chip
    }
    assert rows
    assert any(count < maps[layer].rows / 2 for layer, count in rows.items())


def test_without_the_field_programs_are_those_of_before():
    """A geometry without map memory has the signature and the bytes that it had: no field of it is set."""
    program = compile_graph(network(), GEOMETRY)
    assert not any(transfer.on_chip or transfer.ring_end for transfer in moved(program, LoadMap | Store))
    assert GEOMETRY.signature != dataclasses.replace(GEOMETRY, map_words=64).signature


def test_bytes_by_region_are_those_of_the_layers():
    """All that layers read and write, and the instructions; of maps, only what does not stay on the chip."""
    graph = network(3, kinds=("convolution3", "residual", "inverted"))
    of_maps = []
    for words in (0, 500, 6000):
        program = compile_graph(graph, dataclasses.replace(GEOMETRY, map_words=words), keep_maps=False)
        moved = bytes_by_region(program)
        of_layers = sum(layer.read_bytes + layer.write_bytes for layer in program.layers)
        assert sum(moved.values()) == of_layers + len(program.instructions)
        assert moved["input"] > 0
        of_maps.append(moved["maps"])
    assert of_maps[0] > of_maps[1] > of_maps[2]


def test_the_listing_says_what_stays_on_the_chip():
    graph = network(3, kinds=("convolution3", "residual"))
    geometry = dataclasses.replace(GEOMETRY, map_words=6000)
    texts = [listing(compile_graph(graph, geometry, keep_maps=keep)) for keep in (True, False)]
    for text, both in zip(texts, (True, False)):
        stores = [line for line in text.splitlines() if " STORE " in line and "on chip@" in line]
        assert stores
        assert all(("and in DDR" in line) is both for line in stores)
        assert any(" LOAD_MAP " in line and "on chip@" in line for line in text.splitlines())


def test_the_cycle_model_knows_that_memory_is_spared():
    graph = network(3, kinds=("convolution3", "residual"))
    kept = dataclasses.replace(GEOMETRY, map_words=6000)
    slow = {"bytes_per_cycle": 1.0}
    before, after = (estimate(compile_graph(graph, g, keep_maps=False), **slow).cycles for g in (GEOMETRY, kept))
    assert after < 0.9 * before


def test_bounds_count_words_that_stay_on_the_chip():
    """A word a cycle through the map memory; nothing of the memory's rate."""
    graph = network(3, kinds=("convolution3",))
    programs = [
        compile_graph(graph, dataclasses.replace(GEOMETRY, map_words=words), keep_maps=False) for words in (0, 6000)
    ]
    without, with_memory = (bounds(program, bytes_per_cycle=2.0) for program in programs)
    assert sum(layer["memory"] for layer in with_memory.values()) < sum(layer["memory"] for layer in without.values())
    assert all(layer["maps"] > 0 for layer in with_memory.values() if "compute" in layer)

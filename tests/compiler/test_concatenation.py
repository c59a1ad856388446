"""Concatenation by address: operands lie side by side in DDR, nothing is copied, and every code is right."""

import dataclasses
import re

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.errors import CompileError
from intramix.compiler.interpreter.interpret import run_codes
from intramix.compiler.place.memory import memory_chains
from intramix.compiler.program.listing import listing
from intramix.compiler.program.map_layout import MapLayout
from intramix.quant.graph.executor import execute
from intramix.quant.graph.formats import POT_4, SP2_4
from intramix.quant.graph.graph import Concatenation, IntegerGraph
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph

KINDS = ("concatenation", "depthwise", "residual", "inverted")


def check(graph, geometry, *, keep_maps=True):
    program = compile_graph(graph, geometry, keep_maps=keep_maps)
    codes = random_codes(graph, 7)
    expected, found = execute(graph, codes), run_codes(program, codes)
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    return program


@pytest.mark.parametrize("seed", range(3))
def test_networks_of_concatenations(geometry, seed):
    """Through depthwise layers, adds and several concatenations of one map, of one digit and of two."""
    graph = random_graph(
        seed, blocks=3, kinds=(*KINDS, "max_pool") if seed == 1 else KINDS, size=(6, 5), channels=(3, 14),
        activation_bits=geometry.activation_bits, wide_share=0.5 * (seed != 1),
        mix=FormatMix(lut_format=(SP2_4, POT_4)[seed % 2]),
    )  # fmt: skip
    assert graph.concatenations
    check(graph, geometry, keep_maps=seed != 2)


@pytest.mark.parametrize("wide_share", [0.0, 1.0])
def test_no_byte_is_moved(geometries, wide_share):
    """A concatenation has no instruction; its planes are its operands', one after another in each digit."""
    geometry = geometries["plain"]
    graph = random_graph(5, blocks=1, kinds=("concatenation",), size=(6, 5), wide_share=wide_share)
    program = check(graph, geometry)
    assert [record.output for record in program.layers] == [layer.output for layer in graph.computing]
    for name, operands in graph.concatenations.items():
        whole, first = program.maps[name], 0
        for operand in operands:
            part = program.maps[operand]
            assert part.digits == whole.digits == 1 + int(wide_share)
            for digit in range(part.digits):
                place = part.offset + part.plane(digit, 0) * part.plane_bytes
                assert place == whole.offset + whole.plane(digit, first) * whole.plane_bytes
            first += part.channel_words
        assert first == whole.channel_words
    total = sum(program.maps[layer.output].channel_words for layer in graph.computing)
    planes = total * next(iter(program.maps.values())).plane_bytes * (1 + int(wide_share))
    stored = sum(program.sizes[region] for region in ("WORKSPACE", "OUTPUT"))
    assert stored < planes + 64 * (len(graph.layers) + 1), "each code has one place"


@pytest.mark.parametrize("wide_share", [0.0, 1.0])
def test_listing_names_the_operand_that_is_written(geometries, wide_share):
    graph = random_graph(5, blocks=1, kinds=("concatenation", "linear"), size=(6, 5), wide_share=wide_share)
    program = compile_graph(graph, geometries["plain"])
    stores = re.findall(r"^ *\d+ +(\d+) STORE .* → (\w+)\[", listing(program), re.MULTILINE)
    assert {int(number) for number, _ in stores} == set(range(len(program.layers)))
    assert all(program.layers[int(number)].output == name for number, name in stores)


def test_layout_with_digits_of_others_between():
    layout = MapLayout(
        name="part", region="WORKSPACE", offset=0, channels=5, height=2, width=3, bits=8,
        order=np.array([4, 0, 1, -1, 2, 3, -1, -1]), word_channels=4, slot_bits=4, pitch=7,
    )  # fmt: skip
    codes = np.random.default_rng(0).integers(0, 256, (5, 2, 3), np.uint8)
    data = layout.pack(codes)
    plane = 2 * 3 * 2
    assert len(data) == layout.bytes == (7 + 2) * plane
    assert not any(data[2 * plane : 7 * plane])
    assert data[:2] == bytes([codes[4, 0, 0] >> 4 | (codes[0, 0, 0] >> 4) << 4, codes[1, 0, 0] >> 4])
    np.testing.assert_array_equal(layout.unpack(data), codes)
    noise = np.frombuffer(data, np.uint8).copy()
    noise[2 * plane : 7 * plane] = 0xA5
    np.testing.assert_array_equal(layout.unpack(noise), codes)


def joining(graph: IntegerGraph, *inputs: str) -> IntegerGraph:
    """The graph with one more concatenation, as its output."""
    first = graph.tensors[inputs[0]]
    whole = dataclasses.replace(first, name="whole", channels=sum(graph.tensors[name].channels for name in inputs))
    layer = Concatenation("joining", inputs, "whole")
    return IntegerGraph(graph.name, graph.tensors | {"whole": whole}, (*graph.layers, layer), graph.input, ("whole",))


def test_output_that_is_concatenated(geometries):
    graph = random_graph(5, blocks=1, kinds=("concatenation",), size=(6, 5))
    first, second = next(iter(graph.concatenations.values()))
    program = check(joining(graph, first, second), geometries["plain"], keep_maps=False)
    assert [layout.name for layout in program.outputs] == ["whole"]
    assert program.maps[first].region == "OUTPUT"


def test_maps_that_cannot_lie_side_by_side_are_refused(geometries):
    graph = random_graph(5, blocks=1, kinds=("concatenation",), size=(6, 5))
    first, second = next(iter(graph.concatenations.values()))
    with pytest.raises(CompileError, match=r"layer 'joining': puts 'map\d', 'map\d' beside other maps .*; copy it by"):
        compile_graph(joining(graph, second, first), geometries["plain"])
    bits = graph.tensors[first].bits
    narrow = random_graph(5, blocks=1, kinds=("pointwise",), input_bits=bits)
    tensors = dict(narrow.tensors)
    tensors["image"] = dataclasses.replace(tensors["map0"], name="image", channels=3)
    same = dataclasses.replace(narrow, tensors=tensors)
    with pytest.raises(CompileError, match="layer 'joining': concatenates 'image', the network's input"):
        compile_graph(joining(same, "map0", "image"), geometries["plain"])


def test_chains_hold_every_stored_tensor_once():
    graph = random_graph(1, blocks=8)
    names = [name for chain in memory_chains(graph) for name in chain]
    assert sorted(names) == sorted({graph.input, *(layer.output for layer in graph.computing)})

"""Maps that are padded with another code than 0 lie in memory with a border: every code is right, and nothing but the
host writes it."""

import dataclasses
import itertools

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.interpreter.interpret import InterpreterError, interpret, memory_for, run_codes
from intramix.compiler.program.listing import listing
from intramix.compiler.program.map_border import MapBorder
from intramix.compiler.program.tensor_places import TensorPlaces
from intramix.hdl.instructions import LoadMap
from intramix.hdl.isa import Region
from intramix.quant.graph.executor import execute
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import random_codes, random_graph, single_convolution
from tests.support.signed_maps import signed_network


def check(graph, geometry, *, batch=1, keep_maps=True):
    """Compiles, interprets with every rule checked, compares all that is stored; the program."""
    program = compile_graph(graph, geometry, batch=batch, keep_maps=keep_maps)
    codes = random_codes(graph, 7, images=batch)
    found = run_codes(program, codes.reshape(program.input.shape))
    assert set(graph.outputs) <= set(found)
    for number, image in enumerate(codes):
        expected = execute(graph, image)
        for name, values in found.items():
            np.testing.assert_array_equal(values if batch == 1 else values[number], expected[name], err_msg=name)
    return program


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("unit", [False, True])
def test_every_kind_of_reader(geometry, bits, batch, unit):
    """Of one digit and of two, from the array and from the depthwise unit."""
    if unit:
        geometry = dataclasses.replace(geometry, depthwise_channels=geometry.word_channels)
    program = check(signed_network(bits, pool=bits == 4), geometry, batch=batch)
    assert program.fills
    assert any(record.on_load for record in program.layers) == (unit and bits == 4)


@pytest.mark.parametrize("seed", range(6))
def test_random_networks(geometry, seed):
    graph = random_graph(
        seed, blocks=5, size=(5 + seed, 9 - seed), channels=(4, 14), activation_bits=geometry.activation_bits,
        wide_share=0.3, signed_share=0.7,
        kinds=("stem", "convolution3", "asymmetric", "depthwise", "projection", "inverted", "add", "concatenation"),
    )  # fmt: skip
    assert check(graph, geometry, batch=1 + seed % 2, keep_maps=seed % 3 > 0).fills


def test_a_border_holds_those_of_all_readers(geometries):
    """Each reader loads as much of it as it pads with, and pads nothing; whoever pads nothing loads what is inside."""
    program = compile_graph(signed_network(5), geometries["plain"])
    shared = program.maps["map0"]
    # 3×3: 1 on every side; 5×5 of stride 2 over 9 rows and 8 columns: 2 rows and columns before, 2 and 1 after.
    assert shared.border == MapBorder(2, 2, 2, 1)
    assert (shared.image_rows, shared.columns) == (13, 11)
    records = {record.number: record.name for record in program.layers}
    sizes: dict[str, set] = {}
    for load in program.decoded():
        if isinstance(load, LoadMap) and TensorPlaces(program).of(load).startswith("map0["):
            sizes.setdefault(records[load.layer], set()).add(load.row_words)
            assert (load.pad_top, load.pad_bottom) == (0, 0) or records[load.layer] == "pool8"
    assert sizes == {"square": {10}, "large": {11}, "channelwise": {10}, "added": {8}, "pool8": {8}}
    joined = {program.maps[name].border for name in ("map1", "map5", "map6")}
    assert joined == {MapBorder(2, 0, 1, 1)}, "maps of a concatenation lie in planes that are alike"


def test_no_border_where_nothing_asks_for_one(geometries):
    """Padding that no window reaches, a zero point that nobody pads, and padding with 0."""
    unreached = single_convolution(1, size=(6, 6), kernel=(2, 2), stride=(2, 2), padding=Padding(0, 0, 1, 1),
                                   zero_point=3, depthwise=True)  # fmt: skip
    signed = random_graph(3, blocks=12)
    assert any(tensor.zero_point for tensor in signed.tensors.values())
    for graph in (unreached, signed):
        program = check(graph, geometries["plain"])
        assert not program.fills
        assert not program.input.border


@pytest.mark.parametrize("batch", [1, 2])
def test_the_input_has_its_border_with_every_image(geometry, batch):
    """A depthwise layer over the image, which no input rewrite takes."""
    padding = Padding(1, 2, 1, 0)
    graph = single_convolution(1, depthwise=True, padding=padding, zero_point=11)
    program = check(graph, geometry, batch=batch)
    assert program.input.border == MapBorder(1, 2, 1, 0)
    assert not program.fills


def test_memory_of_a_border_is_nobody_elses(geometries):
    graph = random_graph(4, blocks=12, signed_share=0.3, activation_bits=5)
    program = check(graph, geometries["plain"], keep_maps=False)
    spans = [
        (layout.region, layout.offset, layout.offset + layout.bytes, bool(layout.border))
        for layout in (program.maps[record.output] for record in program.layers)
    ]
    overlapping = [(one[3], two[3]) for one, two in itertools.combinations(spans, 2)
                   if one[0] == two[0] and one[1] < two[2] and two[1] < one[2]]  # fmt: skip
    assert overlapping, "maps without borders share memory"
    assert not any(map(any, overlapping))


def test_a_border_is_read(geometries):
    """With another code in it, the layers that pad compute something else, and the others the same."""
    graph = signed_network(5)
    program = compile_graph(graph, geometries["plain"])
    codes = random_codes(graph, 1)
    memory = memory_for(program, codes)
    for fill in program.fills:
        if fill.tensor == "map0":
            dataclasses.replace(fill, word=bytes(len(fill.word))).lay(np.frombuffer(memory[fill.region], np.uint8))
    interpret(program, memory)
    expected = execute(graph, codes)
    for name, same in (("map0", True), ("map1", False), ("map2", False), ("map8", True)):
        layout = program.maps[name]
        found = layout.unpack(bytes(memory[layout.region][layout.offset : layout.offset + layout.bytes]))
        assert np.array_equal(found, expected[name]) == same, name


def test_a_store_over_a_border_is_refused(geometries):
    program = compile_graph(signed_network(5), geometries["plain"])
    maps = dict(program.maps)
    maps["map0"] = dataclasses.replace(maps["map0"], border=MapBorder(3, 2, 1, 1))
    moved = dataclasses.replace(program, maps=maps)
    with pytest.raises(InterpreterError, match=r"STORE, layer 0.*byte \d+ of OUTPUT is of a border"):
        interpret(moved, memory_for(moved, random_codes(signed_network(5), 1)))


def test_a_border_that_nobody_lays_is_noticed(geometries):
    program = compile_graph(signed_network(5), geometries["plain"])
    maps = {name: dataclasses.replace(layout, border=MapBorder()) for name, layout in program.maps.items()}
    bare = dataclasses.replace(program, maps=maps)
    with pytest.raises(InterpreterError, match="is read, but no STORE has written it"):
        interpret(bare, memory_for(bare, random_codes(signed_network(5), 1)))


def test_listing_and_places_name_the_border(geometries):
    program = compile_graph(signed_network(5), geometries["plain"])
    layout, text = program.maps["map0"], listing(program)
    zero = format(layout.zero_point * sum(1 << 5 * slot for slot in range(8)), "010x")
    word = bytes.fromhex(zero)[::-1].hex()
    bytes_of = 2 * (13 * 11 - 9 * 8) * layout.word_bytes
    assert (
        f"border of map0 2 planes of 13 × 11: 2+2 rows, 2+1 columns of {word} from OUTPUT+{layout.offset:#x}, "
        f"{bytes_of} bytes\n"
    ) in text
    assert "map0[0, -2, -2] (border)" in text
    places = TensorPlaces(program)
    assert places.place(Region.OUTPUT.name, layout.address(0, 2, 2), 0) == "map0[0, 0, 0]"
    assert places.place(Region.OUTPUT.name, layout.address(1, 2 + 9, 2), 0) == "map0[1, 9, 0] (border)"
    assert program.border_bytes == sum(fill.bytes for fill in program.fills)

"""Depthwise layers that are computed on load: which are, and that the program stores what the executor computes."""

import dataclasses

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.interpreter.interpret import InterpreterError, interpret, memory_for, run_codes
from intramix.hdl.geometry import Geometry
from intramix.hdl.instructions import LoadMap
from intramix.hdl.isa import INSTRUCTION_BYTES
from intramix.quant.graph.executor import execute
from intramix.quant.graph.formats import FIXED4, POT_4, SP2_4
from intramix.quant.graph.graph import Convolution, IntegerGraph
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph


def with_unit(geometry: Geometry, *, cycles: int = 1) -> Geometry:
    return dataclasses.replace(geometry, depthwise_channels=geometry.word_channels // cycles)


def inverted(seed: int, geometry: Geometry, *, blocks: int = 3, **others) -> IntegerGraph:
    kinds = ("stem", "inverted", "depthwise", "linear")
    options = {"size": (9 + seed, 14 - seed), "channels": (4, 14), "kinds": kinds} | others
    mix = FormatMix(lut_format=(SP2_4, POT_4, FIXED4)[seed % 3])
    bits = min(geometry.activation_bits, 5)
    return random_graph(seed, blocks=blocks, activation_bits=bits, mix=mix, **options)


def check(graph: IntegerGraph, geometry: Geometry, seed: int = 1, *, keep_maps: bool = True):
    """Compiles, interprets, compares all that is stored; the program."""
    program = compile_graph(graph, geometry, keep_maps=keep_maps)
    codes = random_codes(graph, seed)
    expected, stored = execute(graph, codes), run_codes(program, codes)
    depthwise = {record.on_load for record in program.layers}
    left = {layer.output for layer in graph.layers if layer.name not in depthwise}
    assert set(stored) == (left if keep_maps else set(graph.outputs))
    for name, found in stored.items():
        np.testing.assert_array_equal(found, expected[name], err_msg=name)
    return program


def loads(program):
    return [load for load in program.decoded() if isinstance(load, LoadMap)]


@pytest.mark.parametrize("seed", range(5))
def test_random_networks(geometry, seed):
    unit = with_unit(geometry, cycles=1 << seed % 3)
    graph = inverted(seed, unit)
    program = check(graph, unit, seed, keep_maps=seed % 2 == 0)
    computed = [record for record in program.layers if record.on_load]
    assert computed
    assert any(load.depthwise for load in loads(program))
    assert sum(record.macs + record.on_load_macs for record in program.layers) == sum(
        layer.weight.size * graph.tensors[layer.output].height * graph.tensors[layer.output].width
        for layer in graph.layers if isinstance(layer, Convolution)
    )  # fmt: skip


def test_strides_and_sizes(geometries):
    """Both strides, on maps of odd and even sizes, down to one row and one column."""
    unit = with_unit(geometries["plain"])
    strides = set()
    for seed, size in enumerate([(2, 3), (3, 2), (5, 9), (8, 7), (16, 31), (31, 16)]):
        graph = inverted(10 + seed, unit, size=size, kinds=("stem", "depthwise", "pointwise", "linear"), blocks=6)
        program = check(graph, unit)
        strides |= {load.source_stride for load in loads(program) if load.depthwise}
    assert strides == {1, 2}


def test_blocks_and_turns(geometries):
    """Small memories: a map in many blocks of rows and columns; layers that take turns."""
    for name in ("narrow", "one-lane", "wide-tile", "narrow-two-ports", "wide-tile-two-ports"):
        unit = with_unit(geometries[name])
        kinds = ("stem", "inverted", "depthwise")
        program = check(inverted(3, unit, size=(26, 40), channels=(8, 12), kinds=kinds), unit)
        blocks = [load for load in loads(program) if load.depthwise]
        assert len(blocks) > len({load.layer for load in blocks})
        borders = {(load.source_top, load.source_bottom) for load in blocks}
        assert len(borders) > 1


def test_no_unit_changes_nothing(geometry):
    """Without the unit every layer is stored, and no LOAD_MAP convolves."""
    graph = inverted(1, geometry)
    program = compile_graph(graph, geometry)
    assert not any(record.on_load for record in program.layers)
    assert len(program.layers) == len(graph.computing)
    assert not any(load.depthwise or load.kernels for load in loads(program))


def test_kernels_are_loaded_once(geometries):
    unit = with_unit(geometries["narrow"])
    kinds = ("stem", "inverted", "depthwise")
    program = compile_graph(inverted(3, unit, size=(26, 40), channels=(8, 12), kinds=kinds), unit)
    computed = [record.number for record in program.layers if record.on_load]
    assert [load.layer for load in loads(program) if load.kernels] == computed


def test_too_many_kernels_are_left_to_the_array(geometries):
    """A layer with more channels than the unit has kernels for is computed as any other."""
    unit = with_unit(geometries["narrow"])
    graph = random_graph(0, blocks=1, kinds=("stem", "inverted"), size=(5, 5), channels=(130, 140), activation_bits=4,
                         mix=FormatMix(lut_format=FIXED4))  # fmt: skip
    program = check(graph, dataclasses.replace(unit, weight_depth=2048, activation_depth=4096, output_depth=512))
    assert not any(record.on_load for record in program.layers)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source_stride": 3}, "source_stride: must be 1 or 2, not 3"),
        ({"shift": 48}, "shift: must be 0 … 47, not 48"),
        ({"row_words": 2}, "row_words: must be the .* windows of a row, not 2"),
        ({"source_words": 511}, "source_words: a row has"),
        ({"kernel_base": 2040}, "kernels end at row"),
    ],
    ids=str,
)
def test_bad_fields(geometries, changes, message):
    unit = with_unit(geometries["plain"])
    graph = inverted(1, unit)
    program = compile_graph(graph, unit)
    codes = bytearray(program.instructions)
    for number, load in enumerate(program.decoded()):
        if isinstance(load, LoadMap) and load.depthwise:
            changed = dataclasses.replace(load, **changes).encode()
            codes[number * INSTRUCTION_BYTES : (number + 1) * INSTRUCTION_BYTES] = changed
            break
    damaged = dataclasses.replace(program, instructions=bytes(codes))
    with pytest.raises(InterpreterError, match=message):
        interpret(damaged, memory_for(damaged, random_codes(graph, 1)))


def test_without_the_unit_the_program_is_refused(geometries):
    unit = with_unit(geometries["plain"])
    graph = inverted(1, unit)
    program = dataclasses.replace(compile_graph(graph, unit), geometry=geometries["plain"])
    with pytest.raises(InterpreterError, match="has no depthwise unit"):
        interpret(program, memory_for(program, random_codes(graph, 1)))

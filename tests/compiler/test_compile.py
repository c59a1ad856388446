"""The main promise: a compiled program, interpreted, stores every map that the integer executor computes."""

import dataclasses

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.errors import CompileError
from intramix.compiler.interpreter.interpret import interpret, memory_for, run_codes
from intramix.hdl.instructions import Compute, Finish, LoadMap, LoadWeights
from intramix.quant.graph.executor import execute
from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4, WeightFormat
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph, single_convolution


def check(graph, geometry, seed=1, *, keep_maps=True):
    """Compiles, interprets (which also proves that the tokens order every access), compares; the program."""
    program = compile_graph(graph, geometry, keep_maps=keep_maps)
    codes = random_codes(graph, seed)
    expected = execute(graph, codes)
    stored = run_codes(program, codes)
    assert set(stored) == ({layer.output for layer in graph.layers} if keep_maps else set(graph.outputs))
    for name, found in stored.items():
        np.testing.assert_array_equal(found, expected[name], err_msg=name)
    return program


@pytest.mark.parametrize("seed", range(8))
def test_random_networks(geometry, seed):
    bits = min(geometry.activation_bits, 4 + seed % 2)
    mix = FormatMix(lut_format=(SP2_4, POT_4, FIXED4)[seed % 3], narrow=seed % 4 == 3)
    graph = random_graph(
        seed,
        blocks=3,
        size=(7 + seed, 12 - seed),
        channels=(4, 14),
        activation_bits=bits,
        input_channels=1 + seed % 4,
        mix=mix,
    )
    check(graph, geometry, seed, keep_maps=seed % 2 == 0)


def test_padding_with_another_code_than_zero(geometry):
    """The host lays it around the image, whether that is rewritten or not, and around other maps (test_map_border)."""
    padded = {"padding": Padding(1, 1, 1, 1), "zero_point": 3}
    check(single_convolution(1, **padded), geometry)
    check(single_convolution(1, depthwise=True, **padded), geometry)
    check(random_graph(6, blocks=12, size=(9, 8), activation_bits=4, signed_padding=True), geometry)


@pytest.mark.parametrize("seed", range(4))
def test_random_networks_over_images_with_a_border(geometry, seed):
    graph = random_graph(
        seed, blocks=2, size=(7 + seed, 12 - seed), channels=(4, 14), activation_bits=geometry.activation_bits,
        input_channels=1 + seed % 4, border=True,
    )  # fmt: skip
    check(graph, geometry, seed)


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"kernel": (1, 1)},
        {"kernel": (5, 3), "padding": Padding(3, 0, 1, 2)},
        {"stride": (2, 1)},
        {"kernel": (2, 2), "stride": (3, 3), "size": (11, 8)},
        {"kernel": (1, 1), "padding": Padding(2, 1, 2, 1)},
        {"input_bits": 8},
        {"input_bits": 8, "padding": Padding(1, 2, 0, 1), "border": (200, 7, 0, 255, 1, 2, 3, 4)},
        {"kernel": (1, 1), "padding": Padding(2, 1, 2, 1), "border": (9,) * 8},
        {"channels": 20, "padding": Padding(1, 1, 1, 1), "border": (9,) * 20},
        {"output_bits": 8, "padding": Padding(1, 1, 1, 1)},
        {"residual_bits": 8, "output_bits": 8},
        {"residual_bits": 4},
        {"depthwise": True, "channels": 20, "filters": 20, "padding": Padding(1, 1, 1, 1)},
        {"depthwise": True, "channels": 9, "filters": 18},
        {"size": (1, 1), "kernel": (1, 1), "channels": 40, "filters": 30},
        {"size": (1, 17), "kernel": (1, 4)},
        {"channels": 1, "filters": 1},
    ],
    ids=str,
)
def test_single_layers(geometries, shape):
    options = {"input_bits": 4, "output_bits": 4} | shape
    for geometry in geometries.values():
        check(single_convolution(3, **options), geometry)


@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("size", [(12, 9), (13, 11)])
def test_folded_stem(geometry, stride, size):
    graph = single_convolution(
        5,
        channels=1,
        filters=8,
        size=size,
        kernel=(5, 5),
        stride=(stride, stride),
        padding=Padding(2, 1, 2, 2),
        input_bits=8,
        output_bits=4,
    )
    assert check(graph, geometry).input.fold


@pytest.mark.parametrize("kind", [FIXED8, WeightFormat.parse("fixed-6")])
def test_layers_of_wide_filters_run_as_two_weight_digits(geometries, kind):
    """Everything Fixed-8: as two digits a tile holds more filters than it has Fixed-8 lanes."""
    mix = FormatMix(1, 0, 0) if kind is FIXED8 else FormatMix(1, 0, 0, narrow=True)
    for input_bits in (4, 8):
        graph = single_convolution(2, channels=8, filters=14, input_bits=input_bits, output_bits=4, mix=mix)
        program = check(graph, geometries["narrow"])
        computes = [compute for compute in program.decoded() if isinstance(compute, Compute)]
        assert all(compute.weight_digit_mask for compute in computes)
        assert len({compute.passes for compute in computes}) == 1
        assert computes[0].passes == (2 if input_bits == 4 else 4)


def test_input_larger_than_the_memory(geometries):
    """Cut in rows, then in columns too, with weights that stay, and with weights that do not fit the ring."""
    graph = single_convolution(
        4, channels=8, filters=30, size=(14, 15), padding=Padding(1, 1, 1, 1), input_bits=4, output_bits=4
    )
    for depth, weights in ((256, 512), (256, 64), (64, 512), (64, 64)):
        geometry = dataclasses.replace(geometries["narrow"], activation_depth=depth, weight_depth=weights)
        program = check(graph, geometry)
        loads = [load for load in program.decoded() if isinstance(load, LoadMap)]
        assert len(loads) > 1
        assert any(load.chunks > 1 for load in loads) == (depth == 64)


@pytest.mark.parametrize("residual_bits", [None, 4])
def test_filter_larger_than_the_ring_streams_through_it(geometries, residual_bits):
    graph = single_convolution(
        5, channels=8, filters=24, size=(5, 4), padding=Padding(1, 1, 1, 1), input_bits=4, output_bits=4,
        residual_bits=residual_bits,
    )  # fmt: skip
    geometry = dataclasses.replace(geometries["narrow"], weight_depth=16)
    program = check(graph, geometry)
    computes = [compute for compute in program.decoded() if isinstance(compute, Compute)]
    assert all(compute.release and compute.groups == 1 for compute in computes)
    assert max(compute.weight_words for compute in computes) > geometry.weight_depth


@pytest.mark.parametrize("batch", [1, 2])
def test_filter_larger_than_the_ring_over_several_blocks(geometries, batch):
    """What passed through the ring for a group is loaded again for the next one, constants are not."""
    graph = single_convolution(6, channels=16, filters=32, size=(6, 5), padding=Padding(1, 1, 1, 1), input_bits=4)
    geometry = dataclasses.replace(geometries["narrow"], weight_depth=16, activation_depth=96)
    program = compile_graph(graph, geometry, batch=batch)
    computes = [compute for compute in program.decoded() if isinstance(compute, Compute)]
    loads = [load for load in program.decoded() if isinstance(load, LoadWeights)]
    assert [load.words for load in loads] == [compute.weight_words for compute in computes]
    codes = random_codes(graph, 1, images=batch).reshape(program.input.shape)
    for name, found in run_codes(program, codes).items():
        np.testing.assert_array_equal(found, execute(graph, codes)[name])


def test_steps_are_those_of_the_instructions(geometries):
    graph = random_graph(11, blocks=3)
    program = compile_graph(graph, geometries["plain"])
    codes = random_codes(graph, 0)
    steps = dict.fromkeys((record.number for record in program.layers), 0)
    read, written = dict(steps), dict(steps)

    def observe(effect):
        if not isinstance(effect.instruction, Finish):
            layer = effect.instruction.layer
            steps[layer] += effect.steps
            read[layer] += sum(size for _, _, size in effect.reads)
            written[layer] += sum(len(data) for _, _, data in effect.stores)

    interpret(program, memory_for(program, codes), observe=observe)
    for record in program.layers:
        assert (record.steps, record.read_bytes, record.write_bytes) == tuple(
            table[record.number] for table in (steps, read, written)
        )
        assert record.steps >= record.ideal_cycles
    macs = {layer.name: layer for layer in graph.layers}
    for record in program.layers:
        weight = getattr(macs[record.name], "weight", None)
        target = graph.tensors[record.output]
        assert record.macs == (0 if weight is None else weight.size * target.height * target.width)
        assert sum(record.lane_mix.values()) == sum(record.formats.values()) == (0 if weight is None else len(weight))


def test_memory_is_reused_unless_maps_are_kept(geometries):
    graph = random_graph(2, blocks=6)
    kept, reused = (compile_graph(graph, geometries["plain"], keep_maps=keep) for keep in (True, False))
    assert reused.sizes["WORKSPACE"] < kept.sizes["WORKSPACE"]


def test_loads_come_before_they_are_needed(geometries):
    """The weights of the second layer are loaded before the first layer is computed."""
    program = compile_graph(random_graph(7, blocks=2), geometries["plain"])
    order = [(type(instruction), instruction.layer) for instruction in program.decoded()]
    assert order.index((LoadWeights, 1)) < order.index((Compute, 0))


def test_max_pool_of_digits_is_refused(geometries):
    graph = random_graph(1, blocks=1, kinds=("stem", "max_pool"), activation_bits=5)
    with pytest.raises(
        CompileError, match=r"layer 'pool1': is a max pool of 5-bit codes, .* quantize tensor 'map0' to 4 bits"
    ):
        compile_graph(graph, geometries["narrow"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"activation_depth": 16},
            r"layer '\w+': one window needs 18 activation words .* activation_depth = 16; raise",
        ),
        (
            {"weight_depth": 16},
            r"layer '\w+': its input has two digits, .* takes 18 weight words .* weight_depth = 16; raise .* to 32",
        ),
    ],
)
def test_what_does_not_fit_is_named(geometries, change, message):
    bits = 8 if "weight_depth" in change else 4
    graph = single_convolution(1, channels=8, filters=8, input_bits=bits, output_bits=4, mix=FormatMix(0, 1, 0))
    with pytest.raises(CompileError, match=message):
        compile_graph(graph, dataclasses.replace(geometries["narrow"], **change))

import dataclasses

import pytest

from intramix.compiler.compile import compile_graph
from intramix.explore.bounds import bounds
from intramix.explore.cycles import estimate
from intramix.hdl.geometry import Geometry, LaneClass
from intramix.hdl.isa import Engine
from intramix.quant.graph.formats import SP2_4
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import FormatMix, random_graph, single_convolution

GEOMETRY = Geometry(
    word_channels=8, pixel_lanes=2, fixed8_lanes=1, fixed4_lanes=3, lut_lanes=4, lut_scheme=LaneClass.LUT_SP2
)
MIX = FormatMix(1, 3, 4, SP2_4)


def test_bounds_of_a_convolution_by_hand():
    graph = single_convolution(
        1, channels=16, filters=16, size=(8, 8), padding=Padding(1, 1, 1, 1), output_bits=5, mix=MIX
    )
    need = bounds(compile_graph(graph, GEOMETRY), bytes_per_cycle=4)[0]
    steps = (8 * 8 // 2) * 2 * (9 * 2)  # pixels of a lane, tiles, window positions × channel words
    assert need["compute"] == steps
    assert need["drain"] == (8 * 8 // 2) * 2 * 8
    blocks = 4  # weights stay in the ring for all of them, constants are read for each
    weights = 2 * 18 * GEOMETRY.weight_word_bits // 8 + blocks * 2 * 8 * 8
    assert need["weights"] == weights / 8
    stored = 2 * 64 * 5 + 16  # two channel words of five bytes, and the log's record
    assert need["stores"] == stored / 5  # a word a cycle
    assert need["memory"] == pytest.approx((weights + stored + 5 * need["maps"]) / 4)


def test_two_groups_carry_half_each():
    graph = single_convolution(1, channels=16, filters=16, size=(8, 8), kernel=(1, 1), output_bits=5, mix=MIX)
    one, two = (
        bounds(compile_graph(graph, dataclasses.replace(GEOMETRY, maps_ports=ports)), bytes_per_cycle=4)[0]
        for ports in (1, 2)
    )
    assert two["maps"] == one["maps"] / 2
    assert two["stores"] == pytest.approx((one["stores"] + 16 / 5) / 2)  # a record each
    assert two["compute"] == one["compute"]


@pytest.mark.parametrize("ports", [1, 2])
def test_cycle_model_reaches_the_ports_rate(ports):
    """A layer that only loads and stores takes as long as its stream through the ports, and a little more."""
    graph = single_convolution(1, channels=32, filters=16, size=(64, 64), kernel=(1, 1), output_bits=5, mix=MIX)
    geometry = dataclasses.replace(GEOMETRY, maps_ports=ports, maps_bus_bits=32, weight_depth=1024)
    program = compile_graph(graph, geometry)
    need = bounds(program, bytes_per_cycle=1000)[0]
    model = estimate(program, bytes_per_cycle=1000)
    assert need["maps"] <= model.busy[Engine.MAPS] <= 1.2 * need["maps"]
    assert need["stores"] <= model.busy[Engine.STORE] <= 1.2 * need["stores"]
    assert max(need.values()) <= model.cycles <= 1.6 * max(need.values())
    assert model.layers == {0: pytest.approx(model.cycles, abs=200)}


def test_steps_are_those_of_the_program():
    program = compile_graph(random_graph(3, mix=MIX), GEOMETRY)
    need = bounds(program, bytes_per_cycle=16)
    assert {layer.number: layer.steps for layer in program.layers} == {n: b["compute"] for n, b in need.items()}

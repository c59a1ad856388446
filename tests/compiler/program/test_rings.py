"""The rings in program order: what lacks what, and that no program with a fault of this kind leaves the compiler."""

import dataclasses

import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.errors import InternalError
from intramix.compiler.plan import tile_passes
from intramix.compiler.plan.ring_use import Leaves, Residence, Stays, Streams
from intramix.compiler.program.rings import Starvation, starvation
from intramix.hdl.instructions import Compute, Finish, LoadConstants, LoadWeights, Store
from intramix.hdl.isa import Mode
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import random_graph, single_convolution
from tests.support.small import SMALL

DEPTH, TILES = SMALL.weight_depth, SMALL.constant_tiles
CONSTANTS = LoadConstants(tiles=1)


def convolve(words, **fields):
    """A COMPUTE of two groups with one digit of weights, that frees its constants."""
    usual = Compute(
        outputs_y=1, outputs_x=2, passes=1, final_mask=1, weight_words=words, release_constants=True, layer=7
    )
    return dataclasses.replace(usual, **fields)


def lacks(*instructions):
    found = starvation(instructions, SMALL)
    return None if found is None else (found.index, found.lacks)


def test_programs_of_the_compiler_lack_nothing(geometry):
    graph = random_graph(1, blocks=6, activation_bits=min(5, geometry.activation_bits))
    assert starvation(compile_graph(graph, geometry, batch=2).decoded(), geometry) is None


def test_words_stay_until_they_are_released():
    load = LoadWeights(words=9)
    use = convolve(9, release_constants=False)
    last = convolve(9, release=True)
    assert lacks(CONSTANTS, load, use, use, last, Finish()) is None
    assert lacks(CONSTANTS, load, last, use) == (
        3,
        "its step needs weight word 8 of the ring, and 0 are loaded before it",
    )
    assert lacks(CONSTANTS, load, dataclasses.replace(use, weight_offset=1)) == (
        2, "its step needs weight word 9 of the ring, and 9 are loaded before it"
    )  # fmt: skip
    both = convolve(5, weight_digit_mask=2, final_mask=3, passes=2, release=True)
    assert lacks(CONSTANTS, load, both) == (2, "its step needs weight word 9 of the ring, and 9 are loaded before it")
    assert lacks(CONSTANTS, load, Store(), Finish()) == (
        3, "9 weight words and 1 tiles of constants are left in their rings"
    )  # fmt: skip


def test_constants():
    load = LoadWeights(words=9)
    assert lacks(load, convolve(9)) == (1, "it needs tile 0 of the ring of constants, and 0 are loaded before it")
    far = convolve(9, constant_offset=1, release_constants=False)
    assert lacks(load, CONSTANTS, far) == (2, "it needs tile 1 of the ring of constants, and 1 are loaded before it")
    many = LoadConstants(tiles=TILES - 1)
    assert lacks(many, LoadConstants(tiles=2)) == (1, "2 tiles of constants find room for 1 in their ring")


def test_room_for_weights():
    full = LoadWeights(words=DEPTH - 1)
    assert lacks(full, LoadWeights(words=2)) == (1, "2 weight words find room for 1 in their ring")


def test_more_words_than_the_ring_stream_through_one_group():
    load, words = LoadWeights(words=DEPTH + 1), DEPTH + 1
    group = convolve(words, outputs_x=1, release=True)
    assert lacks(CONSTANTS, load, group, Finish()) is None
    halves = convolve(words // 2 + 1, outputs_x=1, passes=2, weight_digit_mask=2, final_mask=3, release=True)
    assert lacks(CONSTANTS, LoadWeights(words=DEPTH + 2), halves, Finish()) is None
    for wrong in (
        dataclasses.replace(group, outputs_x=2),
        dataclasses.replace(group, passes=2, final_mask=2),
        dataclasses.replace(group, release=False),
        dataclasses.replace(group, weight_words=DEPTH),
    ):
        index, reason = lacks(CONSTANTS, load, wrong)
        assert index == 2
        assert f"the {words} weight words that are loaded before it are more than the ring's {DEPTH}" in reason


def test_maxima_need_nothing():
    assert lacks(Compute(mode=Mode.MAXIMUM, outputs_x=1, outputs_y=1, weight_words=5)) is None


def test_starvation_names_the_instruction():
    use = convolve(9)
    assert starvation([CONSTANTS, use], SMALL) == Starvation(
        index=1, instruction=use, lacks="its step needs weight word 8 of the ring, and 0 are loaded before it"
    )


def _loaded_once(tiles, first, ends, residence):
    """The fault of old: what streams is loaded for the first pass only."""
    right = tile_passes_ring_uses(tiles, first, ends, residence)
    return [Stays(range(0), 0) if isinstance(use, Streams) and number else use for number, use in enumerate(right)]


def _never_freed(tiles, first, ends, residence):
    right = tile_passes_ring_uses(tiles, first, ends, residence)
    return [Stays(use.load, 0) if isinstance(use, Leaves) else use for use in right]


def _freed_too_early(tiles, first, ends, residence):
    right = tile_passes_ring_uses(tiles, first, ends, residence)
    return [Leaves(use.load, first[1]) if isinstance(use, Stays) else use for use in right]


tile_passes_ring_uses = tile_passes.ring_uses


@pytest.mark.parametrize("fault", [_loaded_once, _never_freed, _freed_too_early])
def test_a_program_that_would_stand_still_is_refused(monkeypatch, fault):
    """Whatever a plan gets wrong about its rings, the layer is named, and no program is written."""
    graph = single_convolution(0, channels=8, filters=24, size=(24, 23), padding=Padding(1, 1, 1, 1))
    if fault is _loaded_once:
        graph = single_convolution(
            0, channels=8, filters=8, size=(34, 17), kernel=(17, 17), stride=(17, 17), depthwise=True
        )
    geometry = dataclasses.replace(SMALL, activation_depth=400, weight_depth=128)
    compile_graph(graph, geometry)
    monkeypatch.setattr(tile_passes, "ring_uses", fault)
    with pytest.raises(InternalError, match=r"^layer 'convolution': .*report it with the network$") as caught:
        compile_graph(graph, geometry)
    assert caught.value.where == "layer 'convolution'"


def test_residences_of_a_layer():
    assert tile_passes.residences((0, 3, 8), 8, blocks_outside=True) == [Residence.LAYER] * 2
    assert tile_passes.residences((0, 3, 8), 7, blocks_outside=True) == [Residence.PASS] * 2
    assert tile_passes.residences((0, 3, 8), 7, blocks_outside=False) == [Residence.LAYER] * 2
    assert tile_passes.residences((0, 3, 8), 4, blocks_outside=False) == [Residence.LAYER, Residence.GROUP]

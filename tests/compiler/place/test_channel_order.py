"""Filter orders: minimal tiles against brute force, and one order for channels that meet."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intramix.compiler.errors import CompileError
from intramix.compiler.lower.layers import lower
from intramix.compiler.place.channel_order import choose_channel_orders
from intramix.compiler.place.lanes import LUT_FORMATS, lane_classes, lane_masks, minimum_tiles, natural, place
from intramix.hdl.encoding import code_table
from intramix.hdl.geometry import Geometry, LaneClass
from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4
from intramix.quant.graph.graph import Convolution, IntegerGraph, TensorType
from intramix.quant.graph.random_graph import FormatMix, random_graph


def tiny(fixed8, fixed4, lut, scheme=LaneClass.LUT_SP2):
    return Geometry(
        word_channels=4,
        pixel_lanes=1,
        fixed8_lanes=fixed8,
        fixed4_lanes=fixed4,
        lut_lanes=lut,
        lut_scheme=scheme,
        activation_bits=4,
    )


def matches(masks, lanes):
    """Whether a matching gives every filter a lane of its own: augmenting paths, no counting."""
    owner = {}

    def find(number, seen):
        for lane, bit in enumerate(lanes):
            if masks[number] >> bit & 1 and lane not in seen:
                seen.add(lane)
                if lane not in owner or find(owner[lane], seen):
                    owner[lane] = number
                    return True
        return False

    return all(find(number, set()) for number in range(len(masks)))


@given(st.sampled_from([(1, 3, 0), (1, 1, 2), (2, 2, 4), (0, 4, 4), (3, 0, 1), (4, 0, 0)]), st.data())
@settings(max_examples=150, deadline=None)
def test_placement_is_minimal_and_legal(mix, data):
    geometry = tiny(*mix)
    classes = lane_classes(geometry)
    bits = [classes.index(kind) for kind in geometry.lanes]
    size = data.draw(st.integers(1, 14))
    masks = np.array(data.draw(st.lists(st.integers(1, (1 << len(classes)) - 1), min_size=size, max_size=size)))
    tiles = minimum_tiles(masks, geometry)
    placement = place(masks, geometry)
    feasible = [count for count in range(1, size + 1) if matches(masks, bits * count)]
    if not feasible:
        assert tiles is None
        assert placement is None
        return
    assert tiles == placement.tiles == feasible[0]
    assert sorted(placement.lanes[placement.lanes >= 0]) == list(range(size))
    for tile, lane in np.argwhere(placement.lanes >= 0):
        assert masks[placement.lanes[tile, lane]] >> bits[lane] & 1
    # The last tile ends as early as it can, with the others full if need be.
    last = placement.words[-1] * geometry.word_channels
    assert matches(masks, bits * (tiles - 1) + bits[:last])
    if placement.words[-1] > 1:
        assert not matches(masks, bits * (tiles - 1) + bits[: last - geometry.word_channels])


def test_placement_stores_only_words_with_channels():
    geometry = tiny(1, 3, 4)
    placement = place(np.array([1, 1, 1, 2, 2, 7]), geometry)
    assert placement.words == (1, 1, 1)
    assert placement.first_word == (0, 1, 2, 3)
    assert (placement.order[placement.position] == np.arange(6)).all()


@pytest.mark.parametrize("scheme", LUT_FORMATS)
def test_masks_hold_exactly_what_lanes_hold(scheme):
    geometry = tiny(1, 1, 2, scheme)
    weights = np.array([[0, 1], [7, -7], [-8, 0], [8, -8], [64, 0], [127, -128], [128, 0], [3, 0], [6, 5]])
    masks = lane_masks(weights, geometry, digits=False)
    for row, mask in zip(weights.tolist(), masks.tolist()):
        for bit, kind in enumerate(lane_classes(geometry)):
            assert bool(mask >> bit & 1) == all(weight in code_table(kind) for weight in row)
    wide = lane_masks(weights, geometry, digits=True)
    fixed = 0b111 if scheme is LaneClass.LUT_FIXED4 else 0b011
    assert wide.tolist() == [0 if 128 in row else fixed for row in weights.tolist()]


def test_natural_order():
    assert natural(6, 4).tolist() == [0, 1, 2, 3, 4, 5, -1, -1]


@pytest.mark.parametrize("seed", range(12))
def test_tensors_that_meet_share_an_order(seed):
    """And every filter of every layer of the class is in a lane that holds it."""
    graph = random_graph(
        seed, blocks=5, channels=(4, 12), activation_bits=4, mix=FormatMix(1, 3, 4, (SP2_4, POT_4)[seed % 2])
    )
    geometry = tiny(1, 3, 4, (LaneClass.LUT_SP2, LaneClass.LUT_POT)[seed // 2 % 2])
    layers, _ = lower(graph, geometry)
    orders = choose_channel_orders(layers, geometry)
    classes = lane_classes(geometry)
    for layer in layers:
        order = orders.orders[layer.target.name]
        assert sorted(order[order >= 0]) == list(range(layer.target.channels))
        if layer.residual is not None:
            assert (order == orders.orders[layer.residual.name]).all()
        if layer.keeps_order:
            assert (order == orders.orders[layer.source.name]).all()
        if layer.weight is not None:
            lanes = orders.placements[layer.target.name].lanes
            masks = lane_masks(layer.weight, geometry, digits=orders.weight_digits[layer.name] == 2)
            for tile, lane in np.argwhere(lanes >= 0):
                assert masks[lanes[tile, lane]] >> classes.index(geometry.lanes[lane]) & 1


def pair(first, second, channels=4):
    """Two 1×1 convolutions, the second of which adds the first's output."""
    names = ("image", "a", "b")
    tensors = {name: TensorType(name, channels, 3, 3, 4) for name in names}

    def layer(name, source, target, kind, residual):
        weight = np.zeros((channels, channels, 1, 1), np.int64)
        weight[:, :] = kind.levels[-1]
        ones = np.ones(channels, np.int64)
        return Convolution(
            name,
            source,
            target,
            weight,
            (kind,) * channels,
            ones,
            0 * ones,
            4,
            residual=residual,
            residual_multiplier=int(residual is not None),
        )

    layers = (layer("one", "image", "a", first, None), layer("two", "image", "b", second, "a"))
    return IntegerGraph("pair", tensors, layers, "image", ("b",))


def test_conflicting_formats_meet_in_fixed8_lanes():
    geometry = tiny(2, 2, 4)
    orders = choose_channel_orders(lower(pair(SP2_4, POT_4), geometry)[0], geometry)
    assert set(orders.placements["a"].lanes[:, 2:].ravel().tolist()) == {-1} or 2 in orders.weight_digits.values()


def test_conflicting_formats_take_two_digits_where_there_is_no_fixed8_lane():
    """SP2's 8/8 is no Fixed-4 weight, and Fixed-4's 7 no SP2 weight; two digits hold both."""
    geometry = tiny(0, 2, 2)
    orders = choose_channel_orders(lower(pair(SP2_4, FIXED4), geometry)[0], geometry)
    assert orders.weight_digits == {"one": 2, "two": 1}


def test_conflicting_formats_without_a_lane_are_refused():
    geometry = dataclasses.replace(tiny(0, 2, 2), weight_depth=2)
    with pytest.raises(
        CompileError, match=r"layers 'one', 'two': share one order .* raise the geometry's fixed8_lanes"
    ):
        choose_channel_orders(lower(pair(SP2_4, FIXED4, channels=8), geometry)[0], geometry)


def test_filter_that_no_lane_holds_is_named():
    geometry = tiny(0, 0, 4)
    with pytest.raises(
        CompileError, match=r"layer 'one', filter 0: no lane of a tile with .* holds its fixed-8 weights"
    ):
        choose_channel_orders(lower(pair(FIXED8, FIXED4), geometry)[0], geometry)


def test_weight_digits_cost_the_fewest_steps():
    """Four Fixed-8 filters, one Fixed-8 lane of eight: two passes of one tile beat four tiles."""
    geometry = tiny(1, 7, 0)
    orders = choose_channel_orders(lower(pair(FIXED8, FIXED8), geometry)[0], geometry)
    assert set(orders.weight_digits.values()) == {2}
    assert orders.placements["a"].tiles == 1
    orders = choose_channel_orders(lower(pair(FIXED4, FIXED4), geometry)[0], geometry)
    assert set(orders.weight_digits.values()) == {1}


def test_every_combination_of_digits_is_no_better():
    geometry = tiny(1, 3, 4)
    graph = pair(FIXED8, SP2_4, channels=6)
    layers, _ = lower(graph, geometry)
    orders = choose_channel_orders(layers, geometry)

    def cost(digits):
        masks = np.bitwise_and.reduce(
            [lane_masks(layer.weight, geometry, digits=count == 2) for layer, count in zip(layers, digits)]
        )
        tiles = minimum_tiles(masks, geometry)
        return np.inf if tiles is None else tiles * sum(digits)

    chosen = tuple(orders.weight_digits[layer.name] for layer in layers)
    assert cost(chosen) == min(cost(digits) for digits in itertools.product((1, 2), repeat=2))

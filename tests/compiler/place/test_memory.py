"""The memory plan and the on-chip slots: nothing that lives at the same time overlaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramix.compiler.place.lanes import natural
from intramix.compiler.place.memory import Lifetime, allocate, plan_memory
from intramix.quant.graph.concatenation import leaves_of
from intramix.quant.graph.graph import Concatenation
from intramix.quant.graph.random_graph import random_graph


@st.composite
def lifetimes(draw):
    items = []
    for number in range(draw(st.integers(0, 12))):
        first = draw(st.integers(0, 10))
        items.append(Lifetime(str(number), draw(st.integers(1, 1000)), first, first + draw(st.integers(0, 5))))
    return items


@given(lifetimes())
def test_live_things_do_not_overlap(items):
    offsets, size = allocate(items)
    assert set(offsets) == {item.name for item in items}
    for step in range(20):
        used = np.zeros(size, bool)
        for item in items:
            if item.first <= step <= item.last:
                place = slice(offsets[item.name], offsets[item.name] + item.bytes)
                assert offsets[item.name] % 64 == 0
                assert place.stop <= size
                assert not used[place].any()
                used[place] = True


def test_dead_memory_is_used_again():
    chain = [Lifetime(str(number), 640, number, number + 1) for number in range(9)]
    assert allocate(chain)[1] == 1280


@pytest.mark.parametrize("keep_maps", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_tensors_survive_until_their_last_reader(geometries, seed, keep_maps):
    graph = random_graph(seed, blocks=6, wide_share=0.3)
    geometry = geometries["plain"]
    orders = {name: natural(tensor.channels, geometry.word_channels) for name, tensor in graph.tensors.items()}
    for name, operands in graph.concatenations.items():
        orders[name] = np.concatenate([orders[operand] for operand in operands])
    layouts, sizes = plan_memory(graph, geometry, orders, None, keep_maps=keep_maps)
    owner = {region: np.full(size, "", object) for region, size in sizes.items()}

    def place(name):
        layout = layouts[name]
        return layout.region, [byte for byte in range(sizes[layout.region]) if layout.holds(byte)]

    def claim(name):
        region, places = place(name)
        owner[region][places] = name

    def check(name):
        region, places = place(name)
        assert len(places) == sum(len(place(leaf)[1]) for leaf in leaves_of(name, graph.concatenations))
        assert set(owner[region][places]) == set(leaves_of(name, graph.concatenations))

    claim(graph.input)
    for layer in graph.layers:
        if not isinstance(layer, Concatenation):
            claim(layer.output)
        for name in (layer.output, *layer.inputs):
            check(name)
    for name in graph.tensors if keep_maps else graph.outputs:
        check(name)
    assert {layouts[name].region for name in graph.outputs} == {"OUTPUT"}

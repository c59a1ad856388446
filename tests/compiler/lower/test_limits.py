"""Limits that the graph's rules, the instruction set and the hardware must agree on."""

import dataclasses

import pytest

from intramix.compiler.errors import CompileError
from intramix.compiler.lower.layers import lower
from intramix.compiler.program.lane_groups import log_slots, most_layers
from intramix.hdl import isa
from intramix.hdl.instructions import Store, decode
from intramix.platforms.boards import board
from intramix.quant.graph import graph as rules
from intramix.quant.graph.graph import IntegerGraph, MaxPool, Padding, TensorType

WIDTH = {field.name: field.width for field in (*isa.CONSTANT_LAYOUT, *isa.COMPUTE)}


def test_graphs_promise_no_more_than_the_machine_holds():
    assert rules.MAXIMUM_SHIFT == isa.MAXIMUM_SHIFT < 1 << WIDTH["shift"]
    assert rules.MULTIPLIER_BITS == WIDTH["multiplier"] == WIDTH["residual_scale"]
    assert WIDTH["bias"] == rules.BIAS_BITS


@pytest.mark.parametrize(("ports", "most"), [(1, 4096), (2, 2048)])
def test_last_layer_that_has_a_number_and_a_slot_of_the_log_in_every_group(ports, most):
    geometry = dataclasses.replace(board("pynq-z2").geometry, maps_ports=ports)
    assert most_layers(geometry) == most
    last = Store(layer=most - 1, crc_slot=max(log_slots(most - 1, geometry)))
    assert decode(last.encode()) == last
    with pytest.raises(ValueError, match="must be 0 … 4095, not 4096"):
        Store(layer=most, crc_slot=min(log_slots(most, geometry))).encode()


@pytest.mark.parametrize(("ports", "most"), [(1, 4096), (2, 2048)])
def test_too_many_layers(ports, most):
    geometry = dataclasses.replace(board("pynq-z2").geometry, maps_ports=ports)
    assert len(lower(chain(most), geometry)[0]) == most
    message = f"has {most + 1} layers, more than can be numbered with {ports} maps_ports.*at most {most} layers"
    with pytest.raises(CompileError, match=message):
        lower(chain(most + 1), geometry)


def chain(layers):
    """Max pools of one pixel, one after the other."""
    tensors = {f"t{n}": TensorType(f"t{n}", 1, 1, 1, 4, 1.0) for n in range(layers + 1)}
    pools = tuple(
        MaxPool(f"pool{n}", f"t{n}", f"t{n + 1}", (1, 1), (1, 1), Padding(0, 0, 0, 0)) for n in range(layers)
    )
    return IntegerGraph("chain", tensors, pools, "t0", (f"t{layers}",))

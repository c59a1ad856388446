"""What the compute engine refuses, and how it comes to rest."""

import numpy as np
import pytest

from intramix.hdl import isa
from tests.support.compute.layers import convolution_case, small, window

pytestmark = pytest.mark.slow

LAYER = 77


def one(geometry=None, **fields):
    case = convolution_case(geometry or small(), outputs=(2, 2), layer=LAYER)
    case.instructions = [case.instructions[0] | {"layer": LAYER} | fields]
    return case


POOL = window(rows=2, columns=2, kernel=(2, 2), passes=(0, 1)) | {"mode": 1, "output_pitch": 1}

ILLEGAL = {
    "no rows": {"outputs_y": 0},
    "no columns": {"outputs_x": 0},
    "no passes": {"passes": 0},
    "five passes": {"passes": 5},
    "no kernel rows": {"kernel_y": 0},
    "no kernel columns": {"kernel_x": 0},
    "no channels": {"channels": 0},
    "no stride": {"stride_x": 0},
    "no width": {"width": 0},
    "shift": {"shift": 48},
    "maximum without digits": {"maximum": 16},
    "release at an offset": {"weight_offset": 1},
    "more weights than the ring": {"weight_words": 65},
    "weights beyond the ring": {"release": 0, "weight_offset": 47},
    "two runs beyond the ring": {"weight_words": 33, "weight_digit_mask": 2},
    "tile beyond the ring": {"release_constants": 0, "constant_offset": 4},
    "release of constants at an offset": {"constant_offset": 1},
    "two channels in the pool": POOL | {"channels": 2},
}


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_fields_are_refused_before_the_first_step(name):
    result = one(**ILLEGAL[name]).run()
    assert result.errors == [(isa.Error.FIELD, LAYER)]
    assert result.steps == []
    assert result.signals == []
    assert (result.outputs == 0).all()


ADDRESSES = {
    "activation beyond the memory": {"base": 150},
    "activation before the memory": {"pad_left": 0, "base": 65535},
    "output beyond the memory": {"output_base": 90},
    "output plane beyond the memory": {"output_pitch": 95},
    "residual beyond the memory": {"residual": 1, "residual_base": 61, "residual_pitch": 1},
    "residual digit beyond the memory": {"residual": 1, "residual_digits": 1, "residual_base": 0, "residual_pitch": 21},
    "pool's output beyond the memory": POOL | {"output_base": 95, "output_pitch": 1},
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_addresses_beyond_a_memory_are_reported_once(name):
    result = one(**ADDRESSES[name]).run()
    assert result.errors == [(isa.Error.FIELD, LAYER)]
    assert not any(mask >> isa.Token.OUTPUT_READY & 1 for _, mask in result.signals)
    assert result.steps[-1] <= result.error_cycle + 1


def test_an_address_beyond_the_memory_is_harmless_where_zeros_replace_its_word():
    case = one(base=65535, pad_left=1)
    assert not case.run().errors
    reference = case.expected()
    assert (case.run().outputs[reference.outputs >= 0] == reference.outputs[reference.outputs >= 0]).all()


def test_nothing_follows_an_error():
    case = convolution_case(small(), instructions=2, outputs=(2, 2))
    case.instructions[0]["shift"] = 50
    result = case.run()
    assert result.errors == [(isa.Error.FIELD, 1)]
    assert result.steps == []


def test_the_group_before_a_refused_instruction_does_no_harm():
    case = convolution_case(small(), instructions=2, outputs=(2, 2))
    case.instructions[1]["shift"] = 50
    result = case.run()
    assert result.errors == [(isa.Error.FIELD, 2)]
    # What is written before the halt is right.
    reference = convolution_case(small(), instructions=2, outputs=(2, 2)).expected()
    changed = (result.outputs != 0).any(axis=2)
    assert (result.outputs[changed] == reference.outputs[changed]).all()


def test_abort_brings_an_engine_without_weights_to_rest():
    case = convolution_case(small(), instructions=1)
    case.weights = case.weights[:5]
    result = case.run(abort_at=60, latency=9)
    assert not result.errors
    assert len(result.steps) == 5
    assert result.waits["weights"] > 30
    assert result.idle
    assert result.idle_from - 60 <= 9 + 6
    assert result.signals == []


@pytest.mark.parametrize("abort_at", [30, 61, 97])
def test_abort_under_way(abort_at):
    case = convolution_case(small(), instructions=2, outputs=(2, 2))
    result = case.run(abort_at=abort_at, random=np.random.default_rng(abort_at))
    assert result.idle
    assert not result.errors
    assert all(cycle <= abort_at + 1 for cycle in result.steps)  # the abort is a register there
    assert all(cycle <= abort_at for cycle, _ in result.signals)

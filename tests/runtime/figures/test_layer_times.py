"""Which cycles of a run are each layer's: no layer does more in its time than the array can."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import intramix
from intramix.cli.report.run import cycle_bars
from intramix.quant.models import load_model
from intramix.runtime.figures.layer_times import StepGroup, run_times, step_groups


def test_layers_whose_steps_alternate_are_a_group():
    assert step_groups([0, 0, 1, 2, 1, 2, 3]) == (StepGroup((0,), 0), StepGroup((1, 2), 2), StepGroup((3,), 3))
    assert step_groups([0, 1, 2, 1, 0]) == (StepGroup((0, 1, 2), 0),)


def test_a_layer_that_was_stored_while_the_next_computed():
    """Stored at 300 and 350, which seems to leave 50 cycles for 200 steps: the array left the first by 150."""
    groups = step_groups([0, 1])
    assert run_times(groups, {0: 100, 1: 200}, {0: 300, 1: 350}) == {0: 150, 1: 200}


def test_layers_of_a_turn_share_their_time_by_steps():
    groups = step_groups([0, 1, 0, 1])
    assert run_times(groups, {0: 30, 1: 10}, {0: 70, 1: 80}) == {0: 60, 1: 20}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 50), st.integers(0, 20), st.integers(0, 200)), min_size=1,
                max_size=12))  # fmt: skip
def test_no_layer_takes_less_than_its_steps_and_all_add_up(instructions):
    """Instructions by layer, steps, cycles that the array waits before and cycles until their words are stored."""
    order = [number for number, *_ in instructions]
    steps, finished, now = dict.fromkeys(order, 0), {}, 0
    for number, length, wait, store in instructions:
        now += wait + length
        steps[number] += length
        finished[number] = now + store
    groups = step_groups(order)
    times = run_times(groups, steps, finished)
    assert all(times[number] >= steps[number] - 1e-9 for number in steps)
    assert sum(times.values()) == pytest.approx(finished[groups[-1].last])


@pytest.mark.simulator
def test_no_layer_of_a_simulated_net_with_turns_is_above_100_percent():
    """On `small`, where by the ends of its stores alone a layer would seem to do more than the array can."""
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 16, 16), dtype=np.uint8)
    torch.manual_seed(0)
    model = intramix.quantize(load_model("demo", channels=1, classes=10), images, board="small")
    program = model.compile(selftest=False).program
    order = [compute.layer for compute in program.computes()]
    assert any(len(group.layers) > 1 for group in step_groups(order))
    figures = model.simulate(images[:1]).figures
    assert all(0 < layer.array_utilisation <= 1 for layer in figures.layers if layer.macs)
    assert all(layer.cycles >= layer.steps for layer in figures.layers)
    ends = [0.0, *(layer.finished_cycle for layer in figures.layers)]
    assert any(layer.steps > end - before for layer, end, before in zip(figures.layers, ends[1:], ends))
    assert sum(layer.cycles for layer in figures.layers) == pytest.approx(max(ends))
    bars = cycle_bars(figures.layers)
    assert all(part >= 0 for bar in bars for part in bar)
    assert [sum(bar) for bar in bars] == pytest.approx([layer.cycles for layer in figures.layers])  # as in the table

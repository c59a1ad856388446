"""Parts of a simulated run: the cycles in which steps are made, as the log and the counters have them."""

import itertools

import pytest

from intramix.compiler.compile import compile_graph
from intramix.hdl.registers import OFFSET
from intramix.quant.graph.random_graph import random_codes, random_graph
from intramix.runtime.driver import Driver
from intramix.runtime.simulated import SimulatedDevice
from intramix.runtime.waves import Watch, WaveUnit, WaveWindow
from tests.support.small import FAST, SMALL, check_outputs

pytestmark = pytest.mark.simulator


@pytest.fixture(scope="module")
def graph():
    return random_graph(31, blocks=3, size=(9, 8))


@pytest.fixture(scope="module")
def program(graph):
    return compile_graph(graph, SMALL)


def run(program, graph, window, *, images=1):
    """The watch and the runs."""
    watch = Watch(window)
    codes = random_codes(graph, 1, images=images)
    with SimulatedDevice(SMALL, FAST, watch=watch) as device:
        driver = Driver(device)
        driver.load(program)
        result = driver.run(codes)
    check_outputs(graph, codes, result)
    return watch, result.runs


def test_whole_run_in_cycles(program, graph):
    """Of two runs the first; a watched run takes as many cycles as any other."""
    watch, runs = run(program, graph, WaveWindow(unit=WaveUnit.CYCLES), images=2)
    assert watch.first_cycle == 0
    assert abs(watch.end_cycle - runs[0].cycles) < Watch.UNCERTAINTY
    assert abs(runs[0].cycles - runs[1].cycles) < runs[0].cycles / 20


def test_cycles(program, graph):
    watch, _ = run(program, graph, WaveWindow(unit=WaveUnit.CYCLES, first=700, end=731))
    assert (watch.first_cycle, watch.end_cycle) == (700, 731)


def test_steps(program, graph):
    """The last step of the run comes after that of a layer, and no step lasts less than a cycle."""
    steps, last = sum(compute.steps for compute in program.computes()), program.layers[-1].steps
    before, runs = run(program, graph, WaveWindow(unit=WaveUnit.STEPS, first=steps - last, end=steps))
    assert before.end_cycle - before.first_cycle >= last - 2 * Watch.UNCERTAINTY
    log = runs[0].log
    assert log[-2].finished - before.first_cycle < before.end_cycle - before.first_cycle
    assert before.end_cycle < log[-1].finished
    again, _ = run(program, graph, WaveWindow(unit=WaveUnit.STEPS, first=0, end=steps - last))
    assert abs(again.end_cycle - before.first_cycle) <= 2 * Watch.UNCERTAINTY


def test_steps_that_never_come(program, graph):
    watch, runs = run(program, graph, WaveWindow(unit=WaveUnit.STEPS, first=10, end=1 << 30))
    assert abs(watch.end_cycle - runs[0].cycles) < Watch.UNCERTAINTY


@pytest.mark.parametrize(("first", "end"), [(-1, 5), (5, 5), (7, 3)])
def test_windows_of_nothing(first, end):
    with pytest.raises(ValueError, match="must begin at 0 or later and end after it"):
        WaveWindow(unit=WaveUnit.CYCLES, first=first, end=end)


def test_steps_are_at_most_one_a_cycle(program, graph):
    """What the watch relies on, by the counters of a run that goes on."""
    with SimulatedDevice(SMALL, FAST) as device:
        driver = Driver(device)
        driver.load(program)
        driver.start(random_codes(graph, 1))
        seen = [(0, 0)]
        while not device.wait_interrupt(37 / device.clock_hz):
            seen.append((device.cycles, device.read_offset(OFFSET["COMPUTE_STEPS"])))
        assert len(seen) > 20
        assert all(0 <= after[1] - before[1] <= after[0] - before[0] + Watch.UNCERTAINTY
                   for before, after in itertools.pairwise(seen[1:]))  # fmt: skip

"""Whole networks on the Verilated accelerator, through the driver: every code of every map, and every CRC."""

import asyncio
import dataclasses
import re

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.place.lanes import LUT_FORMATS
from intramix.explore.cycles import estimate
from intramix.hdl.geometry import Dsp, Geometry, LaneClass
from intramix.hdl.instructions import LoadWeights
from intramix.hdl.isa import Engine, Error
from intramix.hdl.registers import Status
from intramix.quant.graph.executor import execute
from intramix.quant.graph.random_graph import KINDS, FormatMix, random_codes, random_graph, single_convolution
from intramix.runtime.driver import Driver
from intramix.runtime.errors import AcceleratorError, DeviceError, RejectedError, RunTimeout, SignatureMismatch
from intramix.runtime.simulated import BusViolation, SimulatedDevice
from intramix.runtime.verification import verify
from intramix.sim.conditions import DdrConditions
from intramix.sim.simulation import FaultMode
from tests.support.small import FAST, SMALL, check_outputs

pytestmark = pytest.mark.simulator

FIXED8_ONLY = Geometry(word_channels=4, pixel_lanes=1, fixed8_lanes=8, fixed4_lanes=0, lut_lanes=0, activation_bits=4)
WIDE = Geometry(
    word_channels=16, pixel_lanes=4, fixed8_lanes=2, fixed4_lanes=8, lut_lanes=22, weight_ports=2,
    lut_scheme=LaneClass.LUT_SP2, activation_bits=4, maps_bus_bits=128,
)  # fmt: skip
ULTRASCALE = Geometry(
    word_channels=8, pixel_lanes=4, fixed8_lanes=1, fixed4_lanes=8, lut_lanes=7, dsp=Dsp.DSP48E2,
    lut_scheme=LaneClass.LUT_POT, activation_bits=5, post_units=2, address_bits=40, accumulator_bits=27,
    maximum_burst=256, weights_bus_bits=128,
)  # fmt: skip
LOGIC_ONLY = Geometry(
    word_channels=8, pixel_lanes=8, fixed8_lanes=2, fixed4_lanes=6, lut_lanes=0, dsp=Dsp.NONE, activation_bits=6,
    maximum_burst=4,
)  # fmt: skip

GEOMETRIES = {
    "small": SMALL,
    "fixed-8": pytest.param(FIXED8_ONLY, marks=pytest.mark.long),
    "wide-sp2": pytest.param(WIDE, marks=pytest.mark.long),
    "ultrascale-pot": pytest.param(ULTRASCALE, marks=pytest.mark.long),
    "logic-only": pytest.param(LOGIC_ONLY, marks=pytest.mark.long),
}
SLOW = DdrConditions(peak_bytes_per_second=0.2e9)


def stalled(seed: int, probability: float = 0.3) -> DdrConditions:
    return DdrConditions(peak_bytes_per_second=1e12, latency_cycles=7, stall_probability=probability, seed=seed)


def mix_of(geometry: Geometry) -> FormatMix:
    """Filters in the shares of the geometry's lanes."""
    kind = LUT_FORMATS[geometry.lut_scheme]
    return FormatMix(geometry.fixed8_lanes, geometry.fixed4_lanes, geometry.lut_lanes, lut_format=kind)


def network(geometry: Geometry, seed: int, **options):
    options = {"blocks": 5, "size": (9, 8), "channels": (4, 20)} | options
    return random_graph(seed, activation_bits=geometry.activation_bits, mix=mix_of(geometry), **options)


@pytest.fixture
def small():
    with SimulatedDevice(SMALL, stalled(1)) as device:
        yield device


def test_filter_larger_than_the_weight_ring():
    """288 weight words stream through a ring of 256, once for each group."""
    graph = single_convolution(
        1, channels=64, filters=10, size=(6, 7), kernel=(6, 6), input_bits=5, output_bits=5, mix=mix_of(SMALL)
    )
    with SimulatedDevice(SMALL, stalled(2)) as device:
        driver = Driver(device)
        driver.load(compile_graph(graph, SMALL))
        report = verify(driver, graph, random_codes(graph, 1, images=1))
    assert report.passed, report
    assert report.compared == 20


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize(
    "conditions", [FAST, SLOW, stalled(1), stalled(2, 0.6)], ids=["fast", "slow", "stalls", "crawl"]
)
def test_every_code_of_random_networks(geometry, conditions):
    with SimulatedDevice(geometry, conditions) as device:
        driver = Driver(device)
        for seed in (conditions.seed * 10, conditions.seed * 10 + 1):
            graph = network(geometry, seed, wide_share=0.3 if seed % 2 else 0.0)
            driver.load(compile_graph(graph, geometry))
            report = verify(driver, graph, random_codes(graph, seed, images=2))
            assert report.passed, str(report)
            assert report.compared > 0


def test_concatenations(small):
    """Of one digit and of two, through a max pool, and of DenseNet's kind: every code."""
    driver = Driver(small)
    for seed, kinds in ((31, ("concatenation", "max_pool")), (32, ("concatenation", "depthwise", "residual"))):
        graph = network(SMALL, seed, blocks=3, kinds=kinds, wide_share=seed % 2 == 0)
        assert graph.concatenations
        driver.load(compile_graph(graph, SMALL))
        report = verify(driver, graph, random_codes(graph, seed, images=2))
        assert report.passed, str(report)


def test_every_kind_of_layer_under_random_stalls():
    """One network with a block of each kind that there is."""
    graph = network(SMALL, 32, blocks=len(KINDS), size=(17, 16), wide_share=0.2)
    assert {layer.kind for layer in graph.layers} >= {"convolution", "linear", "average_pool", "add", "max_pool"}
    with SimulatedDevice(SMALL, stalled(5)) as device:
        driver = Driver(device)
        driver.load(compile_graph(graph, SMALL))
        report = verify(driver, graph, random_codes(graph, 1, images=1))
    assert report.passed, str(report)
    assert report.compared > 0


@pytest.mark.parametrize("kinds", [["inverted", "max_pool"], ["residual", "stride2", "depthwise"]])
def test_layers_side_by_side(kinds):
    """Every code and CRC under stalls; and in calm conditions the cycle model's cycles, within a tenth."""
    graph = network(SMALL, 6, blocks=len(kinds), kinds=kinds, size=(64, 12))
    program = compile_graph(graph, SMALL)
    assert any(layer.on_load for layer in program.layers) == ("inverted" in kinds)
    codes = random_codes(graph, 1, images=1)
    for conditions in (stalled(3), DdrConditions()):
        with SimulatedDevice(SMALL, conditions) as device:
            driver = Driver(device)
            driver.load(program)
            report = verify(driver, graph, codes)
        assert report.passed, str(report)
    model = estimate(program, bytes_per_cycle=conditions.bytes_per_cycle, latency_cycles=conditions.latency_cycles)
    assert model.cycles == pytest.approx(report.runs[0].counters["CYCLES"], rel=0.1)
    assert set(model.layers) == {layer.number for layer in program.layers}


def test_memory_that_is_used_again(small):
    """Compiled for least memory: the outputs and every layer's CRC."""
    graph = network(SMALL, 21)
    driver = Driver(small)
    driver.load(compile_graph(graph, SMALL, keep_maps=False))
    report = verify(driver, graph, random_codes(graph, 1, images=2))
    assert report.passed, str(report)


def test_counters_agree_with_program_and_memory(small):
    graph = network(SMALL, 22)
    program = compile_graph(graph, SMALL)
    driver = Driver(small)
    driver.load(program)
    before = small.traffic
    run = driver.run(random_codes(graph, 2)).runs[0]
    after = small.traffic
    counters = run.counters
    assert counters["COMPUTE_STEPS"] == sum(layer.steps for layer in program.layers)
    moved = sum(after[name].read_bytes - before[name].read_bytes for name in after)
    assert counters["READ_BYTES"] == moved
    assert counters["CYCLES"] >= run.log[-1].finished
    assert sum(entry.cycles for entry in run.log) == run.log[-1].finished
    assert all(entry.cycles > 0 for entry in run.log)


def test_batches_whose_frames_take_turns(small):
    """Blocking and awaited: every output, and every map of the last image."""
    graph = network(SMALL, 31, blocks=3)
    images = random_codes(graph, 1, images=4)
    driver = Driver(small)
    driver.load(compile_graph(graph, SMALL))
    check_outputs(graph, images, driver.run(images))
    check_outputs(graph, images, asyncio.run(driver.run_async(images)))
    check_outputs(graph, images[:3], driver.run(images[:3]))
    expected = execute(graph, images[2])
    for name in (graph.input, *driver.program.maps):
        np.testing.assert_array_equal(driver.read_map(name), expected[name])


def test_cancelled_run(small):
    """Cancelled amid a batch, the accelerator comes to rest, and the next batch is right."""
    graph = network(SMALL, 32, blocks=3)
    images = random_codes(graph, 1, images=3)
    driver = Driver(small)
    driver.load(compile_graph(graph, SMALL))

    async def main():
        awaited = asyncio.create_task(driver.run_async(np.concatenate([images] * 50)))
        await asyncio.sleep(0.05)
        awaited.cancel()
        with pytest.raises(asyncio.CancelledError):
            await awaited
        assert not driver.status() & (Status.BUSY | Status.DRAINING)
        return await driver.run_async(images)

    check_outputs(graph, images, asyncio.run(main()))


def test_two_runs_are_the_same_to_the_cycle():
    graph = network(SMALL, 23)
    codes = random_codes(graph, 3)
    cycles = []
    for _ in range(2):
        with SimulatedDevice(SMALL, DdrConditions()) as device:
            driver = Driver(device)
            driver.load(compile_graph(graph, SMALL))
            cycles.append(driver.run(codes).cycles)
    assert cycles[0] == cycles[1]


@pytest.mark.parametrize(("region", "writes", "error"), [
    ("PROGRAM", False, Error.READ_RESPONSE),
    ("PARAMETERS", False, Error.READ_RESPONSE),
    ("INPUT", False, Error.READ_RESPONSE),
    ("OUTPUT", True, Error.WRITE_RESPONSE),
    ("LOG", True, Error.WRITE_RESPONSE),
])  # fmt: skip
@pytest.mark.parametrize("mode", [FaultMode.SLVERR, FaultMode.DECERR])
def test_bus_error_and_recovery(small, region, writes, error, mode):
    graph = network(SMALL, 24)
    driver = Driver(small)
    driver.load(compile_graph(graph, SMALL))
    address = small.read_register(f"{region}_LOW")
    small.simulation.inject(address, address + 8, mode, reads=not writes, writes=writes)
    with pytest.raises(AcceleratorError) as caught:
        driver.run(random_codes(graph, 4))
    assert caught.value.report.code is error
    assert small.simulation.memory_idle
    small.simulation.clear_faults()
    report = verify(driver, graph, random_codes(graph, 4))
    assert report.passed, str(report)


def test_stop_at_any_time():
    """Stopped after any number of cycles, the accelerator comes to rest, and the next run is right."""
    graph = network(SMALL, 25, blocks=3)
    codes = random_codes(graph, 5)
    expected = execute(graph, codes)
    rng = np.random.default_rng(0)
    with SimulatedDevice(SMALL, stalled(3)) as device:
        driver = Driver(device)
        driver.load(compile_graph(graph, SMALL))
        whole = driver.run(codes).cycles
        for _ in range(25):
            driver.start(codes)
            device.simulation.run(int(rng.integers(0, whole)))
            driver.stop()
            assert not driver.status() & (Status.BUSY | Status.DRAINING)
            assert device.simulation.memory_idle
        driver.start(codes)
        driver.wait()
        for name in driver.program.maps:
            np.testing.assert_array_equal(driver.read_map(name), expected[name])


def test_damaged_instructions_never_hang():
    """Any bit of a program flipped: the run ends (well, with an error, by the watchdog), and the next one is right.

    A damaged address may touch memory that nobody allocated: then the model of the memory ends the simulation.
    """
    graph = network(SMALL, 26, blocks=2)
    codes = random_codes(graph, 6)
    program = compile_graph(graph, SMALL)
    rng = np.random.default_rng(1)
    outcomes = set()
    for attempt in range(6):
        with SimulatedDevice(SMALL, FAST) as device:
            driver = Driver(device)
            driver.load(program, watchdog=3000)
            buffer = device.read_register("PROGRAM_LOW")
            memory = device.simulation.memory[buffer : buffer + len(program.instructions)]
            for _ in range(12):
                place, bit = int(rng.integers(len(memory))), int(rng.integers(8))
                memory[place] ^= 1 << bit
                try:
                    driver.run(codes, timeout=0.02)
                    outcomes.add("done")
                except AcceleratorError as error:
                    outcomes.add(error.report.code)
                except RunTimeout:
                    outcomes.add("long")  # a count that became large
                except BusViolation as error:
                    outcomes.add(re.sub(r".*?(not allocated|out of memory|$)", r"\1", str(error)))
                    break
                except DeviceError:
                    outcomes.add("log")  # its record lies in another's place
                memory[place] ^= 1 << bit
                report = verify(driver, graph, codes)
                assert report.passed, f"attempt {attempt}, byte {place}, bit {bit}: {report}"
    assert Error.FIELD in outcomes or Error.OPCODE in outcomes
    assert "" not in outcomes  # no rule of the bus was broken
    assert len(outcomes) > 2


def test_tile_larger_than_the_ring_over_several_blocks(small):
    """Its 17 · 17 words pass through the ring of 256 once for every group of every block."""
    graph = single_convolution(
        0, channels=8, filters=8, size=(68, 51), kernel=(17, 17), stride=(17, 17), depthwise=True, mix=mix_of(SMALL)
    )
    program = compile_graph(graph, SMALL)
    loads = [instruction.words for instruction in program.decoded() if isinstance(instruction, LoadWeights)]
    assert loads == [17 * 17] * 6  # rows of 3 windows, one for each of two lanes at once
    driver = Driver(small)
    driver.load(program)
    report = verify(driver, graph, random_codes(graph, 9))
    assert report.passed, str(report)


def test_array_that_starves_is_named(small):
    """The last load has fewer weight words than its layer needs: the array waits, and so does STORE, for the array."""
    graph = network(SMALL, 28, blocks=2)
    program = compile_graph(graph, SMALL)
    decoded = list(program.decoded())
    place = max(index for index, instruction in enumerate(decoded) if isinstance(instruction, LoadWeights))
    decoded[place] = dataclasses.replace(decoded[place], words=1)
    driver = Driver(small)
    driver.load(
        dataclasses.replace(program, instructions=b"".join(instruction.encode() for instruction in decoded)),
        watchdog=2000,
    )
    with pytest.raises(AcceleratorError, match=r"the array waits for ever at .* needs weight word") as caught:
        driver.run(random_codes(graph, 8))
    report = caught.value.report
    assert (report.code, report.engine) == (Error.DEADLOCK, Engine.COMPUTE)
    assert report.layer == decoded[place].layer
    driver.load(program)
    assert verify(driver, graph, random_codes(graph, 8)).passed


def test_silent_memory_is_found_by_the_watchdog(small):
    graph = network(SMALL, 27, blocks=2)
    codes = random_codes(graph, 7)
    driver = Driver(small)
    driver.load(compile_graph(graph, SMALL), watchdog=2000)
    address = small.read_register("PARAMETERS_LOW")
    small.simulation.inject(address, address + 8, FaultMode.SILENCE)
    with pytest.raises(AcceleratorError, match="watchdog") as caught:
        driver.run(codes)
    assert caught.value.report.code is Error.DEADLOCK
    assert driver.status() & Status.DRAINING
    with pytest.raises(RejectedError, match="DRAINING"):
        driver.start(codes)
    small.simulation.clear_faults()
    small.simulation.run(1000, until_interrupt=False)
    assert verify(driver, graph, codes).passed


def test_run_that_takes_too_long(small):
    graph = network(SMALL, 28, blocks=2)
    driver = Driver(small)
    driver.load(compile_graph(graph, SMALL))
    with pytest.raises(RunTimeout, match="did not end within 2e-06 s"):
        driver.run(random_codes(graph, 8), timeout=2e-6)
    assert verify(driver, graph, random_codes(graph, 8)).passed


def test_program_of_another_geometry(small):
    other = dataclasses.replace(SMALL, weight_depth=512)
    graph = network(other, 29, blocks=2)
    with pytest.raises(SignatureMismatch, match="compiled for the geometry"):
        Driver(small).load(compile_graph(graph, other))


def test_freed_memory_is_used_again(small):
    driver = Driver(small)
    program = compile_graph(network(SMALL, 33, blocks=1), SMALL)
    places = []
    for _ in range(3):
        driver.load(program)
        places.append({small.read_register(f"{name}_LOW") for name in ("PROGRAM", "PARAMETERS", "WORKSPACE")})
    assert len(set.union(*places)) <= 4
    buffer = small.allocate(100)
    buffer.free()
    buffer.free()
    assert small.allocate(100).address == buffer.address != small.allocate(100).address


def test_memory_exhausted(small):
    with pytest.raises(DeviceError, match="more memory_bytes"):
        small.allocate(1 << 40)


def test_memory_that_nobody_allocated():
    graph = network(SMALL, 30, blocks=2)
    with SimulatedDevice(SMALL, FAST) as device:
        driver = Driver(device)
        driver.load(compile_graph(graph, SMALL))
        device.write_register("INPUT_LOW", 0x40)
        with pytest.raises(BusViolation, match=r"m_axi_maps: read of .* not allocated"):
            driver.run(random_codes(graph, 9))

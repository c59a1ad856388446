"""Programs that compute several images at once: any number of images, and every figure, map and check of them."""

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.errors import CompileError
from intramix.compiler.program.log_records import selftest_codes
from intramix.compiler.selftest import with_selftest
from intramix.quant.graph.executor import execute
from intramix.quant.graph.random_graph import random_codes, random_graph
from intramix.runtime.driver import Driver
from intramix.runtime.errors import DeviceError, ImageError
from intramix.runtime.figures.layers import layer_fields
from intramix.runtime.figures.run import RunFigures, run_fields
from intramix.runtime.images import to_values
from intramix.runtime.selftest import selftest
from intramix.runtime.simulated import SimulatedDevice
from intramix.runtime.verification import verify
from tests.support.faulty_device import FaultyDevice
from tests.support.small import FAST, SMALL


@pytest.fixture(scope="module")
def graph():
    return random_graph(31, activation_bits=5, blocks=5, size=(9, 8), channels=(8, 20))


@pytest.fixture(scope="module")
def programs(graph):
    return {batch: with_selftest(compile_graph(graph, SMALL, batch=batch), graph) for batch in (1, 2, 3)}


def loaded(program):
    device = FaultyDevice(SMALL)
    driver = Driver(device)
    driver.load(program)
    return device, driver


@pytest.fixture
def pair(programs):
    """Device and driver of the program of two images."""
    return loaded(programs[2])


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_any_number_of_images(programs, graph, batch, count):
    device, driver = loaded(programs[batch])
    images = random_codes(graph, 1, images=count)
    result = driver.run(images)
    assert result.images == count
    assert len(result.runs) == device.runs == -(-count // batch)
    for name in graph.outputs:
        assert result.codes[name].shape == (count, *graph.tensors[name].shape)
        for found, image in zip(result.codes[name], images):
            np.testing.assert_array_equal(found, execute(graph, image)[name])
        layout = next(layout for layout in driver.program.outputs if layout.name == name)
        np.testing.assert_array_equal(result.outputs[name], to_values(result.codes[name], layout))
        for run in result.runs:
            assert run.codes[name].shape == layout.shape
            assert run.images(name).shape == (batch, *graph.tensors[name].shape)
    if count:
        assert result.images_per_second == pytest.approx(count * device.clock_hz / result.cycles)


def test_images_of_code_0_fill_up_the_last_run(pair, graph):
    _, driver = pair
    images = random_codes(graph, 1, images=3)
    driver.run(images)
    np.testing.assert_array_equal(driver.read_map(graph.input), [images[2], np.zeros_like(images[2])])


def test_real_values_are_quantized(pair, graph):
    _, driver = pair
    codes = random_codes(graph, 2, images=3)
    values = to_values(codes, driver.program.input)
    for name, expected in driver.run(codes).codes.items():
        np.testing.assert_array_equal(driver.run(values).codes[name], expected)


def test_a_run_that_is_started(pair, graph):
    """Codes, maps and the log are those of all images."""
    _, driver = pair
    codes = random_codes(graph, 3, images=2)
    with pytest.raises(ValueError, match=r"map image must have shape \(2, 3, 9, 8\), not \(3, 9, 8\)"):
        driver.start(codes[0])
    driver.start(codes)
    driver.wait()
    expected = execute(graph, codes)
    for name in (graph.input, *driver.program.maps):
        np.testing.assert_array_equal(driver.read_map(name), expected[name])
    log = driver.log()
    assert [entry.name for entry in log] == [layer.name for layer in driver.program.layers]
    for entry, layer in zip(log, driver.program.layers):
        layout = driver.program.maps[layer.output]
        assert entry.words == layout.digits * layout.channel_words * 2 * layout.height * layout.width


@pytest.mark.parametrize("shape", [(2, 9, 8), (2, 2, 9, 8), (1, 2, 3, 9, 8)])
def test_images_of_another_shape(pair, shape):
    with pytest.raises(ImageError, match=r"takes images of shape \(3, 9, 8\) or \(N, 3, 9, 8\), channels first, not"):
        pair[1].run(np.zeros(shape, np.uint8))


def test_no_batch(graph):
    with pytest.raises(CompileError, match="batch: is 0 images"):
        compile_graph(graph, SMALL, batch=0)


def test_too_little_memory(programs):
    device = FaultyDevice(SMALL)

    def scarce(size):
        raise DeviceError("not so much")

    device.allocate = scarce
    with pytest.raises(DeviceError, match=r"with --reuse-memory for a smaller WORKSPACE, or a --batch of less than 3$"):
        Driver(device).load(programs[3])


def test_verify_compares_every_image(programs, graph):
    for batch, program in programs.items():
        told = []
        report = verify(loaded(program)[1], graph, random_codes(graph, 7, images=5), progress=told.append)
        assert report.passed
        assert (report.images, len(report.runs)) == (5, -(-5 // batch))
        assert report.compared == 5 * sum(np.prod(graph.tensors[layer.output].shape) for layer in program.layers)
        assert all(layer.crc_compared == len(report.runs) for layer in report.layers)
        assert told == [f"image {first} of 5" for first in range(1, 6, batch)]
        assert str(report).startswith("5 images, ")


def test_verify_names_the_image(pair, graph):
    """One code of the second image of the second run is wrong: image 3."""
    device, driver = pair
    record = driver.program.layers[2]
    layout = driver.program.maps[record.output]

    def damage(memory):
        if device.runs == 1:
            region = memory[layout.region]
            codes = layout.unpack(bytes(region[layout.offset : layout.offset + layout.bytes]))
            codes[1, 2, -1, 0] ^= 1
            region[layout.offset : layout.offset + layout.bytes] = layout.pack(codes)

    device.damage = damage
    report = verify(driver, graph, random_codes(graph, 8, images=5))
    assert report.mismatched == 1
    assert report.first_failure.layer == record.name
    first = report.first_failure.first
    assert (first.image, first.channel, first.row, first.column) == (3, 2, layout.height - 1, 0)
    assert "image 3, channel 2" in str(report)


def test_verify_finds_a_wrong_crc(pair, graph):
    device, driver = pair

    def damage(memory):
        memory["LOG"][2 * 16 * driver.program.layers[1].number] ^= 1  # two groups of lanes, a record each

    device.damage = damage
    report = verify(driver, graph, random_codes(graph, 8, images=3))
    assert [layer.crc_mismatched for layer in report.layers] == [0, 2, *[0] * (len(report.layers) - 2)]
    assert report.mismatched == 0


def test_selftest_has_an_image_for_each_place(programs):
    images = selftest_codes(programs[3].input)
    assert images.shape == programs[3].input.shape
    np.testing.assert_array_equal(images[0], selftest_codes(programs[1].input))
    assert len({image.tobytes() for image in images}) == 3
    device, driver = loaded(programs[3])
    assert selftest(driver).passed
    assert device.runs == 1


@pytest.mark.parametrize("image", [0, 1, 2])
def test_selftest_finds_a_fault_in_any_image(programs, image):
    """The program's CRCs with one pixel of the image changed are not those of the self-test."""
    program = programs[3]
    codes = selftest_codes(program.input).copy()
    codes[image, :, 4, 4] ^= 16
    _, driver = loaded(program)
    driver.start(codes)
    driver.wait()
    found = {entry.number: (entry.crc, entry.words) for entry in driver.log()}
    assert found[0] != program.selftest[0]


def test_figures_of_a_frame_are_those_of_one_image(programs, graph):
    figures = {}
    for batch, program in programs.items():
        result = loaded(program)[1].run(random_codes(graph, 9, images=6))
        figures[batch] = RunFigures(**run_fields(program, result.runs, images=result.images, clock_hz=100e6))
        assert figures[batch].batch == batch
        assert figures[batch].images == 6
        assert figures[batch].cycles_per_run == result.runs[0].cycles
        assert figures[batch].cycles_per_frame == result.runs[0].cycles / batch
        assert figures[batch].frames_per_second == pytest.approx(result.images_per_second)
        assert sum(layer["macs"] for _, layer in layer_fields(program, result.runs)) == batch * figures[batch].macs
        seconds = figures[batch].cycles_per_frame / 100e6
        assert figures[batch].gops == pytest.approx(2 * figures[batch].macs / seconds / 1e9)
        on_array = sum(layer.macs for layer in program.layers)
        assert figures[batch].array_utilisation == pytest.approx(
            on_array / (result.runs[0].cycles * SMALL.macs_per_cycle)
        )
    assert len({entry.macs for entry in figures.values()}) == 1


@pytest.mark.parametrize(("batch", "keep_maps"), [(2, True), (3, False)])
@pytest.mark.simulator
def test_on_simulated_rtl(graph, batch, keep_maps):
    program = with_selftest(compile_graph(graph, SMALL, batch=batch, keep_maps=keep_maps), graph)
    with SimulatedDevice(SMALL, FAST) as device:
        driver = Driver(device)
        driver.load(program)
        assert selftest(driver).passed
        report = verify(driver, graph, random_codes(graph, 4, images=batch + 1))
        assert report.passed, report

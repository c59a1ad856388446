"""The driver over a device made of the instruction interpreter: loading, runs, errors, time-outs, maps and logs."""

import dataclasses
import zlib

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.program.log_records import expected_crcs
from intramix.hdl.geometry import Geometry
from intramix.hdl.isa import Engine, Error
from intramix.hdl.registers import COUNTERS, Status
from intramix.quant.graph.executor import execute
from intramix.quant.graph.random_graph import random_codes, random_graph
from intramix.runtime.driver import Driver
from intramix.runtime.errors import (
    AcceleratorError,
    DeviceError,
    ImageError,
    ImageTypeError,
    NoAcceleratorError,
    NotLoadedError,
    ProgramError,
    RejectedError,
    RunTimeout,
    SignatureMismatch,
    decode_error,
)
from intramix.runtime.verification import verify
from tests.support.faulty_device import FaultyDevice

GEOMETRY = Geometry(word_channels=8, pixel_lanes=2, fixed8_lanes=2, fixed4_lanes=4, lut_lanes=2, address_bits=40)


@pytest.fixture(scope="module")
def graph():
    return random_graph(3, size=(8, 7), blocks=4)


@pytest.fixture(scope="module")
def program(graph):
    return compile_graph(graph, GEOMETRY)


@pytest.fixture
def device():
    return FaultyDevice(GEOMETRY)


@pytest.fixture
def driver(device, program):
    driver = Driver(device)
    driver.load(program)
    return driver


def test_run_gives_the_executor_s_codes(driver, graph):
    images = random_codes(graph, 1, images=3)
    result = driver.run(images)
    for index, image in enumerate(images):
        expected = execute(graph, image)
        for name in graph.outputs:
            np.testing.assert_array_equal(result.codes[name][index], expected[name])
            tensor = graph.tensors[name]
            real = tensor.scale * (expected[name].astype(np.float64) - tensor.zero_point)
            np.testing.assert_allclose(result.outputs[name][index], real, rtol=1e-6)
    assert len(result.runs) == 3
    assert result.cycles == sum(run.counters["CYCLES"] for run in result.runs)
    assert result.images_per_second == pytest.approx(3 * 100e6 / result.cycles)


def test_float_images_are_quantized(driver, graph):
    codes = random_codes(graph, 2)
    tensor = graph.tensors[graph.input]
    values = (codes.astype(np.float32) - tensor.zero_point) * tensor.scale
    noise = np.random.default_rng(0).uniform(-0.4, 0.4, values.shape) * tensor.scale
    exact, noisy = driver.run(codes), driver.run((values + noise).astype(np.float32))
    for name in graph.outputs:
        np.testing.assert_array_equal(exact.codes[name], noisy.codes[name])


def test_empty_batch(driver, graph):
    result = driver.run(np.zeros((0, *graph.tensors[graph.input].shape), np.uint8))
    assert result.runs == ()
    for name in graph.outputs:
        assert result.codes[name].shape == (0, *graph.tensors[name].shape)


def test_every_map_can_be_read(driver, graph):
    image = random_codes(graph, 3)
    driver.run(image)
    expected = execute(graph, image)
    for name in (graph.input, *driver.program.maps):
        np.testing.assert_array_equal(driver.read_map(name), expected[name])
    with pytest.raises(KeyError, match="no tensor 'nonsense'"):
        driver.read_map("nonsense")


def test_map_whose_memory_was_used_again(device, graph):
    driver = Driver(device)
    driver.load(compile_graph(graph, GEOMETRY, keep_maps=False))
    image = random_codes(graph, 4)
    result = driver.run(image)
    hidden = next(name for name in driver.program.maps if name not in graph.outputs)
    with pytest.raises(DeviceError, match="keep_maps"):
        driver.read_map(hidden)
    np.testing.assert_array_equal(result.codes[graph.outputs[0]][0], execute(graph, image)[graph.outputs[0]])
    report = verify(driver, graph, image)  # the CRCs still speak for every layer
    assert report.passed
    assert all(layer.crc_compared for layer in report.layers)


def test_log_has_each_layer_s_crc_and_cycles(driver, graph):
    image = random_codes(graph, 5)
    run = driver.run(image).runs[0]
    assert [entry.name for entry in run.log] == [layer.name for layer in driver.program.layers]
    assert [entry.cycles for entry in run.log] == [100] * len(run.log)
    assert {entry.number: (entry.crc, entry.words) for entry in run.log} == expected_crcs(
        driver.program, execute(graph, image)
    )


def test_expected_crc_of_a_layer_stored_in_one_piece():
    """One lane and one tile store a map from its first byte to its last: the CRC is that of the map's bytes."""
    geometry = Geometry(word_channels=8, pixel_lanes=1, fixed8_lanes=0, fixed4_lanes=8, lut_lanes=0)
    from intramix.quant.graph.random_graph import FormatMix, single_convolution

    graph = single_convolution(1, channels=8, filters=8, size=(4, 4), kernel=(1, 1), mix=FormatMix(fixed8=0, lut=0))
    program = compile_graph(graph, geometry)
    tensors = execute(graph, random_codes(graph, 1))
    layout = program.maps[graph.outputs[0]]
    records = expected_crcs(program, tensors)
    assert records == {program.layers[0].number: (zlib.crc32(layout.pack(tensors[layout.name])), 16)}


def test_counters_by_name(driver, graph):
    counters = driver.run(random_codes(graph, 6)).runs[0].counters
    assert list(counters) == [name for name, _ in COUNTERS]


def test_progress_is_told(driver, graph):
    told = []
    driver.run(random_codes(graph, 6), progress=lambda *numbers: told.append(numbers))
    assert told[-1] == (len(driver.program.layers), len(driver.program.layers))


def test_verify_passes(driver, graph):
    report = verify(driver, graph, random_codes(graph, 7, images=2), progress=lambda line: None)
    assert report.passed
    assert report.first_failure is None
    assert report.compared == 2 * sum(graph.tensors[layer.output].channels * graph.tensors[layer.output].height
                                      * graph.tensors[layer.output].width for layer in driver.program.layers)
    assert "0 differ" in str(report)


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_verify_finds_one_wrong_code(driver, device, graph, layer):
    record = driver.program.layers[layer]
    layout = driver.program.maps[record.output]

    def damage(memory):
        region = memory[layout.region]
        codes = layout.unpack(bytes(region[layout.offset : layout.offset + layout.bytes]))
        codes[1, -1, -1] ^= 1
        region[layout.offset : layout.offset + layout.bytes] = layout.pack(codes)

    device.damage = damage
    report = verify(driver, graph, random_codes(graph, 8))
    assert not report.passed
    assert report.mismatched == 1
    failure = report.first_failure
    assert failure.layer == record.name
    first = failure.first
    assert (first.image, first.channel, first.row, first.column) == (0, 1, layout.height - 1, layout.width - 1)
    assert first.expected ^ first.found == 1
    assert record.name in str(report)


def test_verify_finds_a_wrong_crc(driver, device, graph):
    number = driver.program.layers[1].number

    def damage(memory):
        memory["LOG"][16 * number] ^= 1

    device.damage = damage
    report = verify(driver, graph, random_codes(graph, 8))
    assert not report.passed
    assert [layer.crc_mismatched for layer in report.layers].count(1) == 1
    assert report.layers[1].crc_mismatched == 1
    assert report.mismatched == 0


def test_verify_misses_no_absent_record(driver, device, graph):
    def damage(memory):
        memory["LOG"][:] = bytes(len(memory["LOG"]))

    device.damage = damage
    report = verify(driver, graph, random_codes(graph, 8))
    assert all(layer.crc_mismatched == 1 for layer in report.layers)


def test_verify_wants_the_program_s_graph(driver):
    other = random_graph(99, size=(8, 7), blocks=1, kinds=("stem",))
    with pytest.raises(ValueError, match="which graph random-99 does not have"):
        verify(driver, other, random_codes(other, 1))


def test_wrong_id(device):
    device.answers["ID"] = 0
    with pytest.raises(NoAcceleratorError, match="0x00000000"):
        Driver(device)


def test_wrong_version(device):
    device.answers["VERSION"] = 77
    with pytest.raises(SignatureMismatch, match="version 77"):
        Driver(device)


def test_wrong_signature(device, program):
    device.answers["SIGNATURE"] = 5
    with pytest.raises(SignatureMismatch, match="compile it for this accelerator"):
        Driver(device).load(program)


def test_no_program(device):
    with pytest.raises(NotLoadedError, match="load"):
        Driver(device).run(np.zeros((1, 3, 8, 7), np.uint8))


def test_load_again_frees_the_first(driver, device, program):
    first = list(device.buffers)
    driver.load(program)
    assert all(buffer.freed for buffer in first)
    assert len(device.buffers) == len(first)
    assert not any(buffer.freed for buffer in device.buffers)


@pytest.mark.parametrize(("images", "error", "message"), [
    ([[1]], ImageTypeError, "NumPy array, not list"),
    (np.zeros((1, 3, 8, 7), bool), ImageTypeError, "not bool"),
    (np.zeros((1, 8, 7, 3), np.uint8), ImageError, "channels first"),
    (np.zeros((8, 7), np.uint8), ImageError, r"not \(8, 7\)"),
    (np.full((3, 8, 7), 256, np.int32), ImageError, "256"),
    (np.full((3, 8, 7), -1, np.int32), ImageError, "-1"),
    (np.full((3, 8, 7), np.nan, np.float32), ImageError, "finite"),
])  # fmt: skip
def test_images_that_do_not_fit(driver, images, error, message):
    with pytest.raises(error, match=message):
        driver.run(images)


def test_error_is_decoded_and_a_restart_works(driver, device, graph):
    code = next(buffer for buffer in device.buffers if len(buffer.memory) >= len(driver.program.instructions)
                and bytes(buffer.memory).startswith(driver.program.instructions[:64]))
    healthy = bytes(code.memory)
    layer = driver.program.layers[0]
    place = 64 * next(index for index in range(len(healthy) // 64) if healthy[64 * index] & 0xF == 4)
    damaged = bytearray(healthy)
    damaged[place + 8] = damaged[place + 9] = damaged[place + 10] = 0  # counts of the loop nest
    code.memory[:] = damaged
    image = random_codes(graph, 9)
    with pytest.raises(AcceleratorError, match="out of range") as caught:
        driver.run(image)
    report = caught.value.report
    assert (report.code, report.engine, report.layer) == (Error.FIELD, Engine.COMPUTE, layer.number)
    assert report.layer_name == layer.name
    assert "compile and load it again" in str(report)
    code.memory[:] = healthy
    expected = execute(graph, image)
    np.testing.assert_array_equal(driver.run(image).codes[graph.outputs[0]][0], expected[graph.outputs[0]])


def test_timeout_stops_the_run(driver, device, graph):
    device.hang = True
    with pytest.raises(RunTimeout, match="status BUSY, 0 of"):
        driver.run(random_codes(graph, 1), timeout=0.01)
    assert driver.status() == Status.DONE | Status.ERROR
    device.hang = False
    driver.run(random_codes(graph, 1))


def test_run_that_cannot_be_stopped(driver, device, graph):
    device.hang = device.deaf = True
    with pytest.raises(DeviceError, match="does not come to rest"):
        driver.run(random_codes(graph, 1), timeout=0.01)
    with pytest.raises(RejectedError, match="busy"):
        driver.start(random_codes(graph, 1))


def test_loading_stops_a_run(driver, device, program, graph):
    device.hang = True
    driver.start(random_codes(graph, 1))
    driver.load(program)
    assert not driver.status() & Status.BUSY


def test_memory_of_a_run_that_cannot_be_stopped_is_kept(driver, device, program, graph):
    device.hang = device.deaf = True
    driver.start(random_codes(graph, 1))
    with pytest.raises(DeviceError, match="does not come to rest"):
        driver.load(program)
    assert not any(buffer.freed for buffer in device.buffers)


def test_interrupted_run_is_stopped(driver, device, graph, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    device.hang = True
    monkeypatch.setattr(device, "wait_interrupt", interrupted)
    with pytest.raises(KeyboardInterrupt):
        driver.run(random_codes(graph, 1))
    assert driver.status() == Status.DONE | Status.ERROR


def test_batch_overlaps_with_the_host(driver, device, graph, monkeypatch):
    """While a frame is computed the host reads the one before and prepares the next; nobody touches its own memory."""
    events = []
    frames = {frame.buffers[name].address: f"{name}{frame.number}"
              for frame in driver.memory.frames for name in frame.buffers}

    def told(owner, method, label):
        original = getattr(owner, method)

        def wrapped(*arguments):
            events.append(label)
            return original(*arguments)

        monkeypatch.setattr(owner, method, wrapped)

    for buffer in device.buffers:
        if frames.get(buffer.address, "LOG").startswith("LOG"):
            continue
        told(buffer, "to_device", f"write {frames[buffer.address]}")
        told(buffer, "from_device", f"read {frames[buffer.address]}")
    told(device, "_start", "start")
    told(device, "wait_interrupt", "wait")
    images = random_codes(graph, 1, images=4)
    result = driver.run(images)
    assert events == [
        "write INPUT0", "start", "write INPUT1", "wait",
        "start", "read OUTPUT0", "write INPUT0", "wait",
        "start", "read OUTPUT1", "write INPUT1", "wait",
        "start", "read OUTPUT0", "wait", "read OUTPUT1",
    ]  # fmt: skip
    for index, image in enumerate(images):
        expected = execute(graph, image)
        np.testing.assert_array_equal(result.codes[graph.outputs[0]][index], expected[graph.outputs[0]])


def test_register_accesses_of_a_frame(driver, device, graph, monkeypatch):
    accesses = []
    read, write = device.read_offset, device.write_offset
    monkeypatch.setattr(device, "read_offset", lambda offset: accesses.append(offset) or read(offset))
    monkeypatch.setattr(device, "write_offset", lambda offset, value: accesses.append(offset) or write(offset, value))

    def of_a_frame(**options):
        counts = []
        for frames in (2, 4, 6):
            accesses.clear()
            driver.run(random_codes(graph, 1, images=frames), **options)
            counts.append(len(accesses))
        return (counts[2] - counts[1]) / 2

    # CLEAR, three bases, START, STATUS before it is computed; STATUS and the counters after.
    assert of_a_frame() == 7 + len(COUNTERS)
    assert of_a_frame(counters=False) == 8


def test_only_cycles_are_read_where_counters_are_not_wanted(driver, graph):
    result = driver.run(random_codes(graph, 6, images=2), counters=False)
    assert [list(run.counters) for run in result.runs] == [["CYCLES"]] * 2
    assert result.cycles > 0
    assert result.seconds > 0


def test_no_memory(device, program):
    """A buffer that cannot be had gives those before it back, and the driver goes on without a program."""
    allocate, asked = device.allocate, []

    def scarce(size):
        asked.append(size)
        if len(asked) == 5:
            raise DeviceError("not so much")
        return allocate(size)

    device.allocate = scarce
    driver = Driver(device)
    with pytest.raises(DeviceError, match=r"no memory for OUTPUT of program random-3 .* in all\): not so much"):
        driver.load(program)
    assert len(device.buffers) == 4
    assert all(buffer.freed for buffer in device.buffers)
    with pytest.raises(NotLoadedError):
        driver.run(np.zeros((1, 3, 8, 7), np.uint8))
    driver.load(program)


@pytest.mark.parametrize(("change", "message"), [
    ({"instructions": lambda code: code[:-64]}, "not FINISH"),
    ({"instructions": lambda code: code[:-1]}, "no whole number of 64"),
    ({"instructions": lambda code: b""}, "no whole number of 64"),
    ({"parameters": lambda data: data[:-64]}, "bytes of parameters, and its layers read"),
])  # fmt: skip
def test_program_cut_short(driver, program, graph, change, message):
    cut = dataclasses.replace(program, **{name: edit(getattr(program, name)) for name, edit in change.items()})
    with pytest.raises(ProgramError, match=message):
        driver.load(cut)
    driver.load(program)
    driver.run(random_codes(graph, 1))


def test_device_whose_registers_read_ones(device):
    device.answers |= dict.fromkeys(device.registers, 0xFFFFFFFF)
    with pytest.raises(NoAcceleratorError, match="0xffffffff"):
        Driver(device)


def test_stop_while_idle_does_nothing(driver):
    driver.stop()
    assert driver.status() == Status(0)


@pytest.mark.parametrize("error", [error for error in Error if error])
def test_every_error_has_a_cause_and_a_remedy(error, program):
    report = decode_error(error | Engine.MAPS << 8 | program.layers[0].number << 16, 12, program.layers)
    assert report.code is error
    assert report.engine is Engine.MAPS
    assert report.layer_name == program.layers[0].name
    assert report.cause
    assert report.remedy
    assert "12 instructions" in str(report)


def test_unknown_error_code():
    report = decode_error(0xAB | 0xF << 8, 0)
    assert report.code is None
    assert "171 is unknown" in report.cause
    assert "engine unknown" in str(report)

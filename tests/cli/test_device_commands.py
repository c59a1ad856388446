"""`run`, `selftest` and `profile` on the simulated device, from outside, and what they say to bad input."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.program.fileformat import load, save
from intramix.compiler.selftest import with_selftest
from intramix.hdl.geometry import Geometry
from intramix.platforms.boards import BOARDS
from intramix.quant.data.data import load_data
from intramix.quant.graph.executor import execute
from intramix.quant.graph.random_graph import random_codes, random_graph

GEOMETRY = Geometry(
    word_channels=8, pixel_lanes=2, fixed8_lanes=1, fixed4_lanes=3, lut_lanes=4, activation_depth=1024,
    residual_depth=512, output_depth=512, weight_depth=256, weights_bus_bits=32, maps_bus_bits=32,
)  # fmt: skip


def intramix(*arguments, cwd=None):
    command = [sys.executable, "-m", "intramix.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def graph():
    return random_graph(31, activation_bits=5, blocks=3, size=(9, 8), channels=(8, 20))


@pytest.fixture(scope="module")
def folder(graph, tmp_path_factory):
    folder = tmp_path_factory.mktemp("device")
    program = with_selftest(compile_graph(graph, GEOMETRY), graph)
    save(program, folder / "net.imp")
    save(compile_graph(graph, BOARDS["small"].geometry_for(activation_bits=6)), folder / "small.imp")
    save(dataclasses.replace(program, selftest={}), folder / "plain.imp")
    wrong = {slot: (crc ^ (slot == 2), words) for slot, (crc, words) in program.selftest.items()}
    save(dataclasses.replace(program, selftest=wrong), folder / "wrong.imp")
    save(with_selftest(compile_graph(graph, GEOMETRY, batch=2), graph), folder / "two.imp")
    (folder / "cut.imp").write_bytes((folder / "net.imp").read_bytes()[:-100])
    images = random_codes(graph, 1, images=3)
    np.savez(folder / "images.npz", test_images=images, test_labels=np.zeros(3, np.int64))
    np.savez(folder / "empty.npz", images=images[:0])
    np.savez(folder / "signed.npz", test_images=images / 32 - 0.5)
    many = random_codes(graph, 2, images=75)
    np.savez(folder / "many.npz", images=many, labels=np.arange(75) % 8)
    np.savez(folder / "beyond.npz", test_images=images, test_labels=np.full(3, 8))
    np.savez(folder / "nameless.npz", x=images)
    np.savez(folder / "short.npz", images=images, labels=np.zeros(2, np.int64))
    np.save(folder / "transposed.npy", images.transpose(0, 2, 3, 1))
    (folder / "text.npz").write_text("no numbers")
    return folder


@pytest.mark.simulator
def test_run_writes_the_executor_s_outputs(folder, graph):
    run = intramix("run", "net.imp", "--data", "images.npz", "-o", "out.npz", "--json", "run.json", cwd=folder)
    assert run.returncode == 0, run.stderr
    figures = json.loads((folder / "run.json").read_text())
    outputs = np.load(folder / "out.npz")
    for index, image in enumerate(np.load(folder / "images.npz")["test_images"]):
        expected = execute(graph, image)
        for name in graph.outputs:
            tensor = graph.tensors[name]
            codes = np.round(outputs[name][index] / tensor.scale + tensor.zero_point)
            np.testing.assert_array_equal(codes, expected[name])
            if expected[name].shape[1:] == (1, 1):
                assert figures["predictions"][index] == expected[name].reshape(-1).argmax()
    assert figures["images"] == 3
    assert figures["cycles_per_frame"] > 0
    assert "cycles a frame" in run.stdout


def test_interpreted_device_says_what_it_does_not_measure(folder):
    interpreted = "--device", "interpreted"
    run = intramix("run", "net.imp", *interpreted, "--data", "images.npz", "--json", "interpreted.json", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "cycles and frames/s: not measured" in run.stdout
    figures = json.loads((folder / "interpreted.json").read_text())
    assert figures["device"] == "interpreted"
    assert figures["predictions"] is not None
    assert {figures[key] for key in ("cycles_per_run", "cycles_per_frame", "frames_per_second", "clock_hz",
                                     "host_frames_per_second")} == {None}  # fmt: skip
    run = intramix("selftest", "net.imp", *interpreted, "--json", "interpreted.json", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "layers are right, cycles not measured" in run.stdout
    assert json.loads((folder / "interpreted.json").read_text())["cycles"] is None
    assert intramix("selftest", "wrong.imp", *interpreted, cwd=folder).returncode == 3
    run = intramix("profile", "net.imp", *interpreted, cwd=folder)
    assert run.returncode == 1
    assert "measures no cycles, so there is nothing to profile" in run.stderr


def test_run_takes_ten_of_the_test_part(folder, graph):
    """Of 75 images a fifth are to test; the same as `quantize` and `simulate` keep for that."""
    run = intramix("run", "net.imp", "--device", "interpreted", "--data", "many.npz", "-o", "many-out.npz", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "many.npz: 10 of 15 test images" in run.stdout
    assert "of 10 images" in run.stdout
    images = load_data(folder / "many.npz").test_images[:10].numpy()
    outputs = np.load(folder / "many-out.npz")
    expected = execute(graph, images)
    for name in graph.outputs:
        tensor = graph.tensors[name]
        np.testing.assert_array_equal(np.round(outputs[name] / tensor.scale + tensor.zero_point), expected[name])


@pytest.mark.simulator
def test_selftest_passes(folder):
    run = intramix("selftest", "net.imp", "--json", "selftest.json", cwd=folder)
    assert run.returncode == 0, run.stderr + run.stdout
    figures = json.loads((folder / "selftest.json").read_text())
    assert figures["passed"]
    assert len(figures["layers"]) == len(load(folder / "net.imp").layers)


@pytest.mark.simulator
def test_selftest_names_the_layer(folder):
    run = intramix("selftest", "wrong.imp", "--json", "wrong.json", cwd=folder)
    assert run.returncode == 3, run.stderr + run.stdout
    name = load(folder / "wrong.imp").layers[2].name
    assert json.loads((folder / "wrong.json").read_text())["first_failure"] == name
    assert f"first in layer 2 ({name})" in run.stdout


@pytest.mark.simulator
def test_profile(folder):
    run = intramix("profile", "net.imp", "--report", "profile.html", "--json", "profile.json", cwd=folder)
    assert run.returncode == 0, run.stderr
    figures = json.loads((folder / "profile.json").read_text())
    program = load(folder / "net.imp")
    assert [layer["name"] for layer in figures["layers"]] == [layer.name for layer in program.layers]
    engines = {engine["engine"]: engine["cycles"] for engine in figures["engines"]}
    assert engines["compute"]["made a step"] == sum(layer.steps for layer in program.layers)
    assert sum(engines["compute"].values()) <= figures["cycles_per_frame"]
    assert sum(layer["cycles"] for layer in figures["layers"]) <= figures["cycles_per_frame"]
    assert all(layer["waiting_cycles"] == layer["cycles"] - layer["steps"] >= 0 for layer in figures["layers"])
    assert not any("values" in key for key in (*figures, *figures["layers"][0]))  # it compares nothing
    assert "</html>" in (folder / "profile.html").read_text()


@pytest.mark.simulator
def test_program_of_a_batch(folder):
    """Three images in two runs give what a program of one image gives; the figures are of a run and of a frame."""
    outputs = []
    for program in ("net", "two"):
        files = f"{program}.imp", "-o", f"{program}.npz", "--json", f"{program}.json"
        run = intramix("run", "--data", "images.npz", *files, cwd=folder)
        assert run.returncode == 0, run.stderr
        outputs.append(dict(np.load(folder / f"{program}.npz")))
    for name, values in outputs[0].items():
        np.testing.assert_array_equal(outputs[1][name], values)
    figures = json.loads((folder / "two.json").read_text())
    assert (figures["images"], figures["batch"]) == (3, 2)
    assert figures["frames_per_second"] == pytest.approx(2 * figures["clock_hz"] / figures["cycles_per_run"])
    assert figures["cycles_per_frame"] == figures["cycles_per_run"] / 2
    run = intramix("selftest", "two.imp", cwd=folder)
    assert run.returncode == 0, run.stderr + run.stdout
    run = intramix("profile", "two.imp", "--report", "two.html", "--json", "profile2.json", cwd=folder)
    assert run.returncode == 0, run.stderr
    profile = json.loads((folder / "profile2.json").read_text())
    assert profile["images"] == profile["batch"] == 2
    steps = next(engine["cycles"] for engine in profile["engines"] if engine["engine"] == "compute")["made a step"]
    assert steps == sum(layer["steps"] for layer in profile["layers"]) <= profile["cycles_per_run"]
    assert sum(layer["cycles"] for layer in profile["layers"]) <= profile["cycles_per_run"]
    assert profile["macs"] == sum(layer["macs"] for layer in profile["layers"]) / 2
    assert "Layers, of a batch of 2 frames" in (folder / "two.html").read_text()


@pytest.mark.parametrize(("arguments", "message"), [
    (["run", "none.imp", "--data", "images.npz"], "none.imp"),
    (["run", "cut.imp", "--data", "images.npz"], "truncated or damaged"),
    (["run", "images.npz", "--data", "images.npz"], "is not a program file"),
    (["run", "net.imp", "--data", "none.npz"], "none.npz does not exist"),
    (["run", "net.imp", "--data", "text.npz"], "is damaged or no .npz archive"),
    (["run", "net.imp", "--data", "empty.npz"], "none of them 0"),
    (["run", "net.imp", "--data", "signed.npz"], "floating-point images must be in 0 … 1, not -0.5 … "),
    (["run", "net.imp", "--data", "nameless.npz"], "no array 'images'; it has x"),
    (["run", "net.imp", "--data", "short.npz"], "labels must be one number per image, 3"),
    (["run", "net.imp", "--device", "interpreted", "--data", "beyond.npz"], "up to 8, but the network gives 8 scores"),
    pytest.param(["run", "net.imp", "--data", "transposed.npy"], "channels first", marks=pytest.mark.simulator),
    (["run", "net.imp", "--data", "images.npz", "--board", "zybo"], "board 'zybo' is unknown"),
    (["run", "small.imp", "--data", "images.npz", "--board", "zcu102"],
     "(small), the accelerator of zcu102 is 0x"),
    (["profile", "small.imp", "--board", "zcu102"], "(intramix compile MODEL --board zcu102), or give --board small"),
    (["selftest", "net.imp", "--board", "pynq-z2"], "(no board), the accelerator of pynq-z2 is 0x"),
    pytest.param(["selftest", "plain.imp"], "compile it again without --no-selftest", marks=pytest.mark.simulator),
    (["selftest", "net.imp", "--device", "pynq"], "the package pynq cannot be imported"),
])  # fmt: skip
def test_bad_input_is_one_message_without_a_traceback(folder, arguments, message):
    run = intramix(*arguments, cwd=folder)
    assert run.returncode in (1, 2), run.stdout + run.stderr
    assert message in run.stderr
    assert "Traceback" not in run.stderr

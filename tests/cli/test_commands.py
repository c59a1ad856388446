"""Every command from outside: as a person types it, in a process of its own where the exit code matters."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from intramix.cli.main import LazyGroup
from intramix.compiler.program.fileformat import load
from intramix.quant.graph.fileformat import load as load_graph

pytestmark = pytest.mark.slow


def intramix(*arguments, cwd=None):
    command = [sys.executable, "-m", "intramix.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def model(folder):
    """A model of two layers, calibrated on random images."""
    (folder / "mynet.py").write_text(
        "from torch import nn\n"
        "def build(channels, classes):\n"
        "    return nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.Flatten(),"
        " nn.Linear(8 * 36, classes))\n"
        "def strange():\n"
        "    return nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.SiLU())\n"
    )
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (24, 2, 6, 6), dtype=np.uint8), rng.integers(0, 4, 24)
    np.savez(folder / "data.npz", images=images, labels=labels)
    run = intramix(
        "quantize", "mynet:build", "--board", "small", "--data", "data.npz", "--epochs", 1, "-o", "my.imx",
        "--json", "q.json", cwd=folder,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return folder / "my.imx"


def test_help_lists_every_command():
    run = intramix("--help")
    assert run.returncode == 0
    assert all(f"  {name} " in run.stdout for name in LazyGroup.COMMANDS)


@pytest.mark.parametrize("name", LazyGroup.COMMANDS)
def test_every_command_has_help(name):
    run = intramix(name, "--help")
    assert run.returncode == 0, run.stderr
    assert "--json" in run.stdout


def test_boards_as_json(folder):
    assert intramix("boards", "--json", folder / "boards.json").returncode == 0
    boards = {board["name"]: board for board in json.loads((folder / "boards.json").read_text())["boards"]}
    assert boards["pynq-z2"]["macs_per_cycle"] == 2048
    assert boards["pynq-z2"]["occupancy"].keys() == {"lut", "dsp", "bram36", "source"}
    assert all(board["fits"] for board in boards.values() if board["part"])


def test_quantize_reports_formats_and_accuracy(model):
    figures = json.loads((model.parent / "q.json").read_text())
    assert figures["accuracy"].keys() == {"float", "quantized", "integer"}
    assert figures["layers"][0]["formats"] == {"fixed-8": 1, "fixed-4": 3, "sp2-4": 4}


def test_training_is_logged_saved_and_gone_on_with(model):
    command = [
        "quantize", "mynet:build", "--board", "small", "--data", "data.npz", "--float-epochs", 2, "--epochs", 2,
        "--distill", 0.5, "--precision", "bf16", "--checkpoint", "run", "--training-log", "run/log.jsonl",
        "-o", "trained.imx", "--json", "t.json",
    ]  # fmt: skip
    run = intramix(*command, cwd=model.parent)
    assert run.returncode == 0, run.stderr
    figures = json.loads((model.parent / "t.json").read_text())
    assert 0 <= figures["agreement"]["far"] <= figures["agreement"]["differing"] < 0.1
    lines = [json.loads(line) for line in (model.parent / "run/log.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["epoch"]) for line in lines] == [
        ("float", 1), ("float", 2), ("quantized", 1), ("quantized", 2),
    ]  # fmt: skip
    assert (model.parent / "run/log.png").read_bytes().startswith(b"\x89PNG")
    first = (model.parent / "trained.imx").read_bytes()
    run = intramix(*command, cwd=model.parent)
    assert run.returncode == 1
    assert "float.pt has a training run already; go on with it (--resume)" in run.stderr
    run = intramix(*command, "--resume", cwd=model.parent)
    assert run.returncode == 0, run.stderr
    assert (model.parent / "trained.imx").read_bytes() == first


def test_two_processes_of_torchrun_make_the_model_of_one(model):
    """Equal formats, weights equal but for a level here and there (sums in another order); written once."""
    command = [
        sys.executable, "-m", "intramix.cli.main", "quantize", "mynet:build", "--board", "small", "--data", "data.npz",
        "--float-epochs", "2", "--epochs", "2", "--batch-size", "6", "--method", "output-error", "--device", "cpu",
    ]  # fmt: skip
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    graphs, losses = [], []
    for count, start in ((1, []), (2, torchrun)):
        output = ["--training-log", f"by{count}.jsonl", "--json", f"by{count}.json", "-o", f"by{count}.imx"]
        run = subprocess.run([*start, *command, *output], capture_output=True, text=True, cwd=model.parent, check=False,
                             env=environment)  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert (run.stdout + run.stderr).count(f"wrote by{count}.imx") == 1
        graphs.append(load_graph(model.parent / f"by{count}.imx"))
        lines = (model.parent / f"by{count}.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in lines])
    assert len(losses[0]) == 4
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    one, two = graphs
    assert [layer.name for layer in one.layers] == [layer.name for layer in two.layers]
    for first, second in zip(one.layers, two.layers):
        assert first.formats == second.formats
        distance = np.abs(first.weight - second.weight)
        assert distance.max() <= 1
        assert distance.astype(bool).mean() < 0.01
        np.testing.assert_allclose(first.multiplier, second.multiplier, rtol=1e-3)


def test_interrupt_saves_and_says_how_to_go_on(model):
    command = ["quantize", "mynet:build", "--board", "small", "--data", "data.npz", "--epochs", "20000",
               "--checkpoint", "long", "-o", "x.imx"]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "intramix.cli.main", *command], cwd=model.parent, stderr=subprocess.PIPE, text=True
    ) as run:
        while run.poll() is None and not (model.parent / "long/quantized.pt").exists():
            time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        _, message = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "stopped in epoch" in message
    assert "the same command with --resume goes on from there" in message
    assert "Traceback" not in message
    assert not (model.parent / "x.imx").exists()


def test_resume_without_a_checkpoint(folder):
    run = intramix("quantize", "demo", "--data", "digits", "--resume", "-o", "x.imx", cwd=folder)
    assert run.returncode == 2
    assert "--resume goes on from a checkpoint: give --checkpoint FOLDER too" in run.stderr


def test_compile_writes_program_listing_and_figures(model):
    run = intramix(
        "compile", model, "--board", "small", "-o", "my.imp", "--listing", "--json", "c.json", cwd=model.parent
    )
    assert run.returncode == 0, run.stderr
    assert "LOAD_MAP" in run.stdout
    figures = json.loads((model.parent / "c.json").read_text())
    assert figures["instructions"] > 0
    assert [layer["kind"] for layer in figures["layers"]] == ["convolution", "linear"]
    assert list(load(model.parent / "my.imp").selftest) == [0, 1]
    run = intramix("compile", model, "--board", "small", "-o", "bare.imp", "--no-selftest", cwd=model.parent)
    assert run.returncode == 0, run.stderr
    assert load(model.parent / "bare.imp").selftest == {}


def test_export_qonnx_writes_a_file_that_is_read_again(model):
    onnx = pytest.importorskip("onnx")
    path = model.parent / "my.onnx"
    run = intramix("export-qonnx", model, "-o", path, "--batch", 2, "--json", model.parent / "o.json")
    assert run.returncode == 0, run.stderr
    (source,) = onnx.load(path).graph.input
    assert [size.dim_value for size in source.type.tensor_type.shape.dim] == [2, 2, 6, 6]
    figures = json.loads((model.parent / "o.json").read_text())
    assert figures["bytes"] == path.stat().st_size
    assert figures["formats"]["fixed-8"] == {"bits": 8, "scale": 1 / 128}


@pytest.mark.simulator
def test_simulate_compares_every_value(model):
    run = intramix(
        "simulate", model, "--board", "small", "--data", "data.npz", "--images", 2, "--stalls", 0.1,
        "--json", "s.json", "--report", "s.html", cwd=model.parent,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr + run.stdout
    figures = json.loads((model.parent / "s.json").read_text())
    assert figures["values_mismatched"] == 0
    assert figures["values_compared"] == 2 * (8 * 36 + 4)
    assert figures["crc_compared"] == 4
    assert figures["accuracy"].keys() == {"float", "quantized", "integer", "rtl"}
    assert figures["accuracy"]["integer"] == figures["accuracy"]["rtl"]
    assert "of the same 2 of 4 test images" in run.stdout
    assert "rtl, of the 2 images run" in (model.parent / "s.html").read_text()
    assert figures["accuracy"]["float"] is figures["accuracy"]["quantized"] is None
    assert "</html>" in (model.parent / "s.html").read_text()


@pytest.mark.simulator
def test_batches(model):
    """Three images by a program that computes two at once: figures of a frame are those of an image."""
    folder = model.parent
    run = intramix("compile", model, "--board", "small", "--batch", 2, "-o", "two.imp", "--json", "c2.json",
                   "--estimate", cwd=folder)  # fmt: skip
    assert run.returncode == 0, run.stderr
    compiled = json.loads((folder / "c2.json").read_text())
    assert f"{compiled['model_cycles']:,} cycles a frame" in run.stdout
    program = load(folder / "two.imp")
    assert compiled["batch"] == program.batch == 2
    assert list(program.selftest) == [0, 1]
    run = intramix(
        "simulate", model, "--board", "small", "--data", "data.npz", "--images", 3, "--batch", 2, "--json", "s2.json",
        "--report", "s2.html", cwd=folder,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr + run.stdout
    figures = json.loads((folder / "s2.json").read_text())
    macs = 2 * 8 * 9 * 36 + 8 * 36 * 4
    assert (figures["images"], figures["batch"], figures["macs"]) == (3, 2, macs)
    assert abs(compiled["model_cycles"] / figures["cycles_per_frame"] - 1) < 0.1
    assert sum(layer["macs"] for layer in figures["layers"]) == 2 * macs
    assert figures["values_mismatched"] == figures["crc_mismatched"] == 0
    assert figures["values_compared"] == 3 * (8 * 36 + 4)
    assert figures["crc_compared"] == 2 * 2
    assert figures["cycles_per_frame"] == figures["cycles_per_run"] / 2
    assert figures["frames_per_second"] == pytest.approx(2 * figures["clock_hz"] / figures["cycles_per_run"])
    assert f"2 images at once: all answers after {figures['cycles_per_run']:,.0f} cycles" in run.stdout
    assert "Cycles of a batch of 2 frames, by layer" in (folder / "s2.html").read_text()
    run = intramix("compile", model, "--batch", 0, cwd=folder)
    assert run.returncode == 2
    assert "0 is not in the range x>=1" in run.stderr


def test_elaborate_writes_verilog(folder):
    run = intramix("elaborate", "--board", "small", "-o", folder / "rtl", "--json", folder / "e.json")
    assert run.returncode == 0, run.stderr
    assert "module accelerator(" in (folder / "rtl" / "accelerator.v").read_text()
    assert json.loads((folder / "e.json").read_text())["modules"] > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["boards", "--json", "/dev/null/x"], "/dev/null"),
        (["elaborate", "--board", "zybo", "-o", "x"], "board 'zybo' is unknown; the boards are"),
        (["compile", "data.npz", "--board", "small"], "data.npz"),
        (["quantize", "nosuch:thing", "--data", "data.npz", "-o", "x.imx"], "importing nosuch failed"),
        (["quantize", "mynet:strange", "--data", "data.npz", "--epochs", "0", "-o", "x.imx"], "silu"),
        (["quantize", "mynet:build", "--data", "none.npz", "-o", "x.imx"], "none.npz does not exist"),
        pytest.param(
            ["simulate", "my.imx", "--board", "small", "--data", "digits"], "shape", marks=pytest.mark.simulator
        ),
        (["quantize", "mynet:build", "--data", "data.npz", "--ratio", "a:b:c", "-o", "x.imx"], "not 'a:b:c'"),
        (["quantize", "mynet:build", "--data", "data.npz", "--method", "hbp", "--budget", "size=9%", "--epochs", "0",
          "-o", "x.imx"], "25.00 % of 8 bits everywhere"),
        (["quantize", "mynet:build", "--data", "data.npz", "--method", "msq", "--lut-scheme", "pot-4", "--epochs", "0",
          "-o", "x.imx"], "'msq' needs LUT lanes for sp2-4"),
    ],
)
def test_bad_input_is_one_message_without_a_traceback(model, arguments, message):
    run = intramix(*arguments, cwd=model.parent)
    assert run.returncode == 1, run.stdout + run.stderr
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert not (model.parent / "x.imx").exists()


def test_only_slots_that_there_are_can_be_asked_for(folder):
    run = intramix("elaborate", "--activation-bits", "7", "-o", "x", cwd=folder)
    assert run.returncode == 2
    assert "7 is not in the range 4<=x<=6" in run.stderr


def test_debug_shows_the_traceback(model):
    run = intramix("--debug", "elaborate", "--board", "zybo", "-o", "x")
    assert run.returncode == 1
    assert "Traceback" in run.stderr

"""What `quantize` says of the model that it is given."""

import json
import re
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from intramix.cli.commands.quantize import quantize
from intramix.quant.graph.fileformat import load
from intramix.quant.targeting import TargetMissedError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (24, 2, 6, 6), dtype=np.uint8), rng.integers(0, 4, 24)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    (tmp_path / "untrained.py").write_text(
        "from torch import nn\n"
        "class Small(nn.Sequential):\n"
        "    pass\n"
        "def build(channels, classes):\n"
        "    return Small(nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def said(*arguments):
    """What the command prints, its lines joined."""
    result = CliRunner().invoke(
        quantize, ["untrained:build", "--board", "small", "--data", "data.npz", "-o", "x.imx", *arguments]
    )
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_random_weights_are_said(folder):
    text = said("--epochs", "1")
    assert "Small is fine-tuned from random weights, unless untrained:build loads trained ones itself" in text
    assert "give --weights FILE, or --float-epochs N" in text
    assert "Small is quantized from random weights" in said("--epochs", "0")


def test_trained_weights_are_not_called_random(folder):
    import torch
    from untrained import build

    torch.save(build(2, 4).state_dict(), folder / "w.pth")
    assert "random" not in said("--epochs", "0", "--weights", "w.pth")
    assert "random" not in said("--epochs", "0", "--float-epochs", "1")


def test_a_network_is_named_after_its_class_or_file(folder):
    (folder / "plain_net.py").write_text(
        "from torch import nn\n"
        "def build(channels, classes):\n"
        "    return nn.Sequential(nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, classes))\n"
    )
    assert "Small, variance" in said("--epochs", "0")
    assert load(folder / "x.imx").name == "Small"
    arguments = ["plain_net:build", "--board", "small", "--data", "data.npz", "-o", "y.imx", "--epochs", "0"]
    assert CliRunner().invoke(quantize, arguments).exit_code == 0
    assert load(folder / "y.imx").name == "plain_net"


def test_the_report_shows_the_format_of_every_channel(folder):
    said("--epochs", "0", "--report", "r.html")
    page = (folder / "r.html").read_text()
    assert "Format of every channel" in page
    legend = re.findall(r">(fixed-8|fixed-4|sp2-4)</text>", page)
    assert sorted(legend) == ["fixed-4", "fixed-8", "sp2-4"]
    assert page.count("<image") == 2
    assert "--ink" in page


def refused(*arguments):
    """What the command prints instead of training, its lines joined."""
    result = CliRunner().invoke(
        quantize, [*arguments, "--board", "small", "--data", "data.npz", "-o", "x.imx", "--float-epochs", "1"]
    )
    assert isinstance(result.exception, ValueError)
    assert "Train in float" not in result.output
    return str(result.exception)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("nn.SiLU(), nn.Flatten(), nn.Linear(8 * 16, classes)", "1 × silu"),
        ("One(), nn.Linear(8 * 16, classes)", "cannot compute 2 images at once"),
        ("nn.Flatten(), nn.Linear(8 * 16, 2)", "the labels go up to 3, but the model gives 2 scores"),
    ],
)
def test_what_cannot_be_run_is_refused_before_the_float_model_is_trained(folder, layers, message):
    (folder / "refused_net.py").write_text(
        "from torch import nn\n"
        "class One(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x.view(1, -1)\n"
        "def build(channels, classes):\n"
        f"    return nn.Sequential(nn.Conv2d(channels, 8, 3), {layers})\n"
    )
    sys.modules.pop("refused_net", None)
    assert message in refused("refused_net:build")


def test_classes_without_an_image_are_said(folder):
    with np.load("data.npz") as data:
        labels = data["labels"].copy()
        labels[:2] = 9
        np.savez("data.npz", images=data["images"], labels=labels)
    text = said("--epochs", "0")
    assert "data has labels up to 9, so 10 classes, of which" in text
    assert "(the first is 4): if a label is wrong, mend it or give --classes" in text


def test_a_target_is_reached_and_said_what_it_costs(folder):
    text = said("--epochs", "0", "--method", "fixed-4", "--target-sqnr", "-90", "--json", "x.json")
    assert "assignments tried, on 5 images held out from calibration" in text
    assert "what fixed-4 chooses" in text
    figures = json.loads((folder / "x.json").read_text())
    (candidate,) = figures["candidates"]
    assert candidate["reached"] is candidate["taken"] is True
    assert candidate["layers"] == []
    assert candidate["model_frames_per_second"] == figures["model_frames_per_second"]
    assert candidate["weight_bytes"] == figures["fidelity"]["weight_bytes"]
    text = said("--epochs", "0", "--method", "fixed-4", "--bits", "8", "--target-sqnr", "32", "--json", "x.json")
    figures = json.loads((folder / "x.json").read_text())
    (taken,) = (it for it in figures["candidates"] if it["taken"])
    assert f"taken: --method fixed-4 --keep 8:{','.join(taken['layers'])}" in text


def test_a_target_and_learned_rounding_stand_beside_each_other(folder):
    target = ["--epochs", "0", "--method", "fixed-4", "--target-sqnr", "-90", "--json", "x.json"]
    text = said(*target, "--refine")
    assert "assignments tried, before rounding is learned, on 5 images held out from calibration" in text
    before, _, after = text.partition("what fixed-4 chooses │")[2].partition("│ … its rounding learned │")
    assert before.split("│")[-2].strip() == "reaches it"
    assert after.split("│")[4].strip() == "taken"
    (learned,) = json.loads((folder / "x.json").read_text())["candidates"]
    assert learned["learned_sqnr_db"] != learned["sqnr_db"]
    assert f"{learned['learned_sqnr_db']:.1f} dB" in after
    said(*target)
    (plain,) = json.loads((folder / "x.json").read_text())["candidates"]
    assert plain["learned_sqnr_db"] is plain["learned_top1_agreement"] is None
    assert plain["sqnr_db"] == learned["sqnr_db"]


def test_a_missed_target_shows_what_was_tried_and_writes_nothing(folder):
    arguments = ["untrained:build", "--board", "small", "--data", "data.npz", "-o", "x.imx", "--epochs", "0"]
    result = CliRunner().invoke(quantize, [*arguments, "--target-sqnr", "120", "--target-agreement", "100"])
    assert isinstance(result.exception, TargetMissedError)
    assert "100 % of the float model's decisions and 120 dB is not reached" in str(result.exception)
    assert "frames/s, estimated" in result.output
    assert "taken" not in result.output
    assert not (folder / "x.imx").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target-agreement", "101"], "must be above 0 and at most 100 %, not 101 %"),
        (["--target-sqnr", "nan"], "must be a finite number of dB, not nan"),
        (["--target-sqnr", "9", "--epochs", "1"], "a target needs training with 0 epochs"),
    ],
)
def test_targets_that_make_no_sense_are_refused(folder, arguments, message):
    command = ["untrained:build", "--board", "small", "--data", "data.npz", "-o", "x.imx", "--epochs", "0", *arguments]
    result = CliRunner().invoke(quantize, command)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)

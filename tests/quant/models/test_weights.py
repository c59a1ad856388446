"""Weights from files: both formats, nothing executed, faults named."""

import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from intramix.quant.models import ModelError, WeightsError, load_model, load_weights


def filled(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return load_model("demo", channels=3, classes=5)


@pytest.mark.parametrize("kind", ["pth", "checkpoint", "data-parallel", "safetensors", "without counters"])
def test_round_trip(tmp_path: Path, kind: str) -> None:
    source, path = filled(1), tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pth")
    state = source.state_dict()
    if kind == "safetensors":
        safetensors.torch.save_file(state, path)
    elif kind == "checkpoint":
        torch.save({"epoch": 3, "state_dict": state}, path)
    elif kind == "data-parallel":
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
    elif kind == "without counters":
        torch.save({key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}, path)
    else:
        torch.save(state, path)
    torch.manual_seed(2)
    model = load_model("demo", channels=3, classes=5, weights=path)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


class Trap:
    def __reduce__(self) -> tuple:
        return (open, ("/tmp/intramix-must-not-exist", "w"))


def changed(**changes: object) -> dict:
    state = dict(filled(1).state_dict())
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del state[name]
        else:
            state[name] = value
    return state


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(classifier__bias=None), "not of this Demo: the file lacks classifier.bias; give the file of the same"),
        (changed(fc__bias=torch.zeros(2)), "the file has fc.bias that the model has not"),
        ({"a": torch.zeros(1)}, r"lacks stem.0.0.weight, .* and \d+ more, and has a that the model has not"),
        (
            changed(classifier__bias=torch.zeros(9)),
            r"classifier.bias has shape \(9,\), the model's is \(5,\); the model",
        ),
        (changed(classifier__bias=torch.full((5,), torch.nan)), "classifier.bias has values that are not finite"),
        ({"state_dict": 3}, "are no state dict of tensors"),
        ([torch.zeros(1)], "are no state dict of tensors"),
        ({"x": Trap()}, "hold more than tensors, or are damaged"),
    ],
)
def test_wrong_content(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "wrong.pth"
    torch.save(content, path)
    model = filled(3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(WeightsError, match=message) as error:
        load_weights(model, path)
    assert str(path) in str(error.value)
    assert isinstance(error.value, ModelError)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not Path("/tmp/intramix-must-not-exist").exists()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no such file"):
        load_weights(filled(1), tmp_path / "none.pth")
    whole = tmp_path / "whole.pth"
    torch.save(filled(1).state_dict(), whole)
    for share in (0.0, 0.3, 0.9):
        cut = tmp_path / "cut.pth"
        cut.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
        with pytest.raises(WeightsError, match=r"cut\.pth"):
            load_weights(filled(1), cut)
    for noise in (b"hello", b"."):  # KeyError, IndexError of torch.load
        (tmp_path / "noise.pth").write_bytes(noise)
        with pytest.raises(WeightsError, match=r"noise\.pth"):
            load_weights(filled(1), tmp_path / "noise.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"a": Trap()}, protocol=2))
    with pytest.raises(WeightsError, match="hold more than tensors"):
        load_weights(filled(1), tmp_path / "plain.pth")
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(filled(1), tmp_path / "text.safetensors")

"""Models: the zoo, and the user's own by module and name."""

from pathlib import Path

import pytest
import torch
from torch import nn

from intramix.quant.models import ModelError, load_model

SOURCE = """
from torch import nn

ready = nn.Conv2d(1, 1, 1)
number = 3

def plain():
    return nn.Conv2d(2, 2, 1)

def sized(classes):
    return nn.Linear(4, classes)

def wrong():
    return "no module"

def broken():
    raise RuntimeError("on purpose")
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_models_of_the_test.py").write_text(SOURCE)
    (tmp_path / "spoilt_models_of_the_test.py").write_text("import a_module_that_is_not_there")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("channels", "classes", "size"), [(1, 10, 16), (3, 7, 24)])
def test_demo(channels: int, classes: int, size: int) -> None:
    model = load_model("demo", channels=channels, classes=classes).eval()
    assert model(torch.zeros(2, channels, size, size)).shape == (2, classes)
    kinds = {type(module) for module in model.modules()}
    assert {nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Linear, nn.ReLU, nn.ReLU6} <= kinds
    assert any(isinstance(module, nn.Conv2d) and module.groups == 64 for module in model.modules())


def test_own_models(directory: Path) -> None:
    assert load_model("my_models_of_the_test:plain").in_channels == 2
    assert load_model("my_models_of_the_test:sized", classes=6).out_features == 6
    assert isinstance(load_model("my_models_of_the_test:ready"), nn.Conv2d)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.onnx", r"'model\.onnx' is a file; .* give package\.module:callable that makes it"),
        ("weights.pth", r"'weights\.pth' is a file; .* and a file with its weights as --weights"),
        ("resnet9000", "'resnet9000' is not one of demo.*another is given as package.module:callable"),
        ("my_models_of_the_test:", "another is given as package.module:callable"),
        ("no_such_module_at_all:x", "importing no_such_module_at_all failed.*ModuleNotFoundError.*it must be in "),
        ("spoilt_models_of_the_test:x", "importing spoilt_models_of_the_test failed.*a_module_that_is_not_there"),
        ("my_models_of_the_test:nothing", "has no 'nothing'; it has ready, plain, sized, wrong, broken"),
        ("my_models_of_the_test:number", "is a int; it must be a callable or an nn.Module"),
        ("my_models_of_the_test:wrong", "gave a str; it must give a torch.nn.Module"),
        ("my_models_of_the_test:broken", r"calling it failed \(RuntimeError: on purpose\)"),
    ],
)
def test_model_that_cannot_be_loaded(directory: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(name)

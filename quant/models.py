"""Models: the zoo, and models of the user's own.

A model is an ordinary `nn.Module` that maps float images (N × C × H × W, 0 … 1) to scores. To add one to the zoo, write
a function of (channels, classes) and name it in `ZOO`.
"""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn


class ModelError(ValueError):
    """A model that cannot be found or built; the message names it, the reason and a remedy."""


def _conv_norm(inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)
    )


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside the identity, or beside a 1×1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv_norm(inputs, outputs, stride=stride), _conv_norm(outputs, outputs)
        self.shortcut = _conv_norm(inputs, outputs, 1, stride=stride) if stride > 1 or inputs != outputs else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.relu(self.conv1(x)))
        y += x if self.shortcut is None else self.shortcut(x)
        return self.relu(y)


class InvertedResidual(nn.Module):
    """1×1 expansion, depthwise 3×3, linear 1×1 projection; beside the identity where the shape stays."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.expand = _conv_norm(inputs, hidden, 1)
        self.depthwise = _conv_norm(hidden, hidden, stride=stride, groups=hidden)
        self.project = _conv_norm(hidden, outputs, 1)
        self.relu = nn.ReLU6(inplace=True)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.relu(self.depthwise(self.relu(self.expand(x)))))
        return y + x if self.residual else y


class Demo(nn.Module):
    """A small network with one of everything: residual blocks, a depthwise block, max and average pool."""

    def __init__(self, channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv_norm(channels, 16), nn.ReLU(inplace=True))
        self.block1 = ResidualBlock(16, 16)
        self.block2 = ResidualBlock(16, 32, stride=2)
        self.block3 = InvertedResidual(32, 64, 32)
        self.pool = nn.MaxPool2d(2)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.stem(x))))
        return self.classifier(self.average(self.pool(x)).flatten(1))


ZOO: dict[str, Callable[[int, int], nn.Module]] = {"demo": Demo}
"""By name, a function of input channels and classes."""


def load_model(name: str, *, channels: int = 1, classes: int = 10) -> nn.Module:
    """A model of the zoo by name, or one by `package.module:callable`.

    Parameters
    ----------
    name: the callable takes no arguments, or keyword arguments `channels` and `classes` (either or both); modules are
        looked for in the working directory too. An nn.Module instance instead of a callable is taken as it is.

    Raises
    ------
    ModelError: there is no such model, or it cannot be built.
    """
    if name in ZOO:
        return ZOO[name](channels, classes)
    module_name, separator, attribute = name.partition(":")
    if not separator or not module_name or not attribute:
        raise ModelError(f"model {name!r} is not one of {', '.join(ZOO)}; another is given as package.module:callable")
    factory = _find(name, module_name, attribute)
    model = factory if isinstance(factory, nn.Module) else _build(name, factory, channels=channels, classes=classes)
    if not isinstance(model, nn.Module):
        raise ModelError(f"model {name!r} gave a {type(model).__name__}; it must give a torch.nn.Module")
    return model


def _find(name: str, module_name: str, attribute: str) -> object:
    directory = str(Path.cwd())
    sys.path.insert(0, directory)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module raises
        raise ModelError(
            f"model {name!r}: importing {module_name} failed ({type(error).__name__}: {error}); "
            f"it must be in {directory} or installed"
        ) from error
    finally:
        sys.path.remove(directory)
    try:
        return getattr(module, attribute)
    except AttributeError:
        public = ", ".join(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise ModelError(f"model {name!r}: {module_name} has no {attribute!r}; it has {public or 'nothing'}") from None


def _build(name: str, factory: object, **options: int) -> object:
    if not callable(factory):
        raise ModelError(f"model {name!r} is a {type(factory).__name__}; it must be a callable or an nn.Module")
    try:
        known = inspect.signature(factory).parameters
        return factory(**{key: value for key, value in options.items() if key in known})
    except Exception as error:  # whatever the user's callable raises
        raise ModelError(f"model {name!r}: calling it failed ({type(error).__name__}: {error})") from error

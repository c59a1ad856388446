"""Models by name."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from torch import nn

from .densenet import DenseNet121
from .errors import ModelError
from .mobilenet import MobileNetV2
from .resnet import resnet18, resnet34, resnet50
from .small import Demo, SmallMobileNet, SmallResNet, TinyMobileNet, TinyResNet
from .squeezenet import SqueezeNet
from .vgg import vgg16, vgg16_bn
from .weights import load_weights

ZOO: dict[str, Callable[[int, int], nn.Module]] = {
    "demo": Demo,
    "resnet-small": SmallResNet,
    "mobilenet-small": SmallMobileNet,
    "resnet-tiny": TinyResNet,
    "mobilenet-tiny": TinyMobileNet,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "vgg16": vgg16,
    "vgg16_bn": vgg16_bn,
    "mobilenet_v2": MobileNetV2,
    "squeezenet1_1": SqueezeNet,
    "densenet121": DenseNet121,
}
"""By name, a function of input channels and classes. From `resnet18` on they have torchvision's names of parameters."""


def load_model(name: str, *, channels: int = 1, classes: int = 10, weights: str | Path | None = None) -> nn.Module:
    """A model of the zoo by name, or one by `package.module:callable`.

    Parameters
    ----------
    name: the callable takes no arguments, or keyword arguments `channels` and `classes` (either or both); modules are
        looked for in the working directory too. An nn.Module instance instead of a callable is taken as it is.
    weights: a file for `load_weights`.

    Raises
    ------
    ModelError: there is no such model, or it cannot be built.
    WeightsError: the weights cannot be read, or are another model's.
    """
    model = _find_model(name, channels, classes)
    if weights is not None:
        load_weights(model, weights)
    return model


def _find_model(name: str, channels: int, classes: int) -> nn.Module:
    if name in ZOO:
        return ZOO[name](channels, classes)
    module_name, separator, attribute = name.partition(":")
    if not separator or not module_name or not attribute:
        if name.endswith((".onnx", ".pt2", ".pth", ".pt", ".safetensors")):
            raise ModelError(
                f"model {name!r} is a file; what is quantized is a PyTorch module: give package.module:callable that "
                "makes it, and a file with its weights as --weights (.pth, .safetensors)"
            )
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

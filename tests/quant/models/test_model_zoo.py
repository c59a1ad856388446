"""The published models: parameters as torchvision names and counts them, and the whole way to integers."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.data.data import Dataset
from intramix.quant.graph.executor import execute
from intramix.quant.graph.reference import ReferenceNetwork
from intramix.quant.models import ZOO, load_model
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import quantize

pytestmark = pytest.mark.slow

# Parameters and entries of the state dict: torchvision 0.20's documentation and `len(model.state_dict())`.
SIZES = {
    "resnet18": (11_689_512, 122),
    "resnet34": (21_797_672, 218),
    "resnet50": (25_557_032, 320),
    "vgg16": (138_357_544, 32),
    "vgg16_bn": (138_365_992, 97),
    "mobilenet_v2": (3_504_872, 314),
    "squeezenet1_1": (1_235_496, 52),
    "densenet121": (7_978_856, 727),
}
KEYS = {
    "resnet18": {"conv1.weight": (64, 3, 7, 7), "bn1.running_mean": (64,),
                 "layer2.0.downsample.0.weight": (128, 64, 1, 1),
                 "layer2.0.downsample.1.bias": (128,), "layer4.1.conv2.weight": (512, 512, 3, 3), "fc.bias": (1000,)},
    "resnet34": {"layer3.5.bn2.weight": (256,), "layer1.2.conv1.weight": (64, 64, 3, 3)},
    "resnet50": {"layer1.0.downsample.0.weight": (256, 64, 1, 1), "layer3.5.conv3.weight": (1024, 256, 1, 1),
                 "layer4.0.conv2.weight": (512, 512, 3, 3), "fc.weight": (1000, 2048)},
    "vgg16": {"features.0.weight": (64, 3, 3, 3), "features.28.bias": (512,), "classifier.0.weight": (4096, 25088),
              "classifier.3.weight": (4096, 4096), "classifier.6.bias": (1000,)},
    "vgg16_bn": {"features.1.running_var": (64,), "features.40.weight": (512, 512, 3, 3), "features.41.bias": (512,)},
    "mobilenet_v2": {"features.0.0.weight": (32, 3, 3, 3), "features.1.conv.0.0.weight": (32, 1, 3, 3),
                     "features.1.conv.1.weight": (16, 32, 1, 1), "features.1.conv.2.running_mean": (16,),
                     "features.2.conv.1.0.weight": (96, 1, 3, 3), "features.17.conv.3.weight": (320,),
                     "features.18.0.weight": (1280, 320, 1, 1), "classifier.1.weight": (1000, 1280)},
    "squeezenet1_1": {"features.0.weight": (64, 3, 3, 3), "features.3.squeeze.weight": (16, 64, 1, 1),
                      "features.12.expand3x3.weight": (256, 64, 3, 3), "classifier.1.bias": (1000,)},
    "densenet121": {"features.conv0.weight": (64, 3, 7, 7), "features.norm0.running_var": (64,),
                    "features.denseblock1.denselayer1.norm1.weight": (64,),
                    "features.denseblock3.denselayer24.conv1.weight": (128, 992, 1, 1),
                    "features.denseblock4.denselayer16.conv2.weight": (32, 128, 3, 3),
                    "features.transition2.conv.weight": (256, 512, 1, 1), "features.norm5.bias": (1024,),
                    "classifier.weight": (1000, 1024)},
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_parameters_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        model = load_model(name, channels=3, classes=1000)
    state = model.state_dict()
    parameters = sum(math.prod(parameter.shape) for parameter in model.parameters())
    assert (parameters, len(state)) == SIZES[name]
    assert {key: tuple(state[key].shape) for key in KEYS[name]} == KEYS[name]


@pytest.mark.parametrize("name", ["resnet-small", "mobilenet-small"])
def test_small_models_halve_the_map_twice(name: str) -> None:
    model = load_model(name, channels=3, classes=7).eval()
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert model.blocks(torch.zeros(1, 16, 32, 32)).shape == (1, 64, 8, 8)


def plausible(model: nn.Module, images: torch.Tensor) -> nn.Module:
    """Running statistics from images, as training would leave them."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    model.train()
    with torch.no_grad():
        model(images / 255)
    return model.eval()


def whole_way(name: str, size: int, images: int) -> None:
    """Quantized without training; the executor's codes are the integer PyTorch module's, every one."""
    torch.manual_seed(0)
    codes = torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8)
    model = plausible(load_model(name, channels=3, classes=10), codes.float())
    data = Dataset("noise", codes[:-1], codes[-1:])
    result = quantize(model, data, QuantizationPlan(lane_mix=LaneMix(2, 8, 22)))
    found = execute(result.graph, codes[-1:].numpy())
    expected = ReferenceNetwork(result.graph)(codes[-1:])
    assert found.keys() == expected.keys()
    for tensor, value in expected.items():
        assert np.array_equal(found[tensor], value.numpy()), tensor


@pytest.mark.parametrize("name", ["resnet-small", "mobilenet-small", "resnet18", "mobilenet_v2"])
def test_whole_way(name: str) -> None:
    assert name in ZOO
    whole_way(name, 32, 6)


@pytest.mark.long  # whole networks at full size: minutes
@pytest.mark.parametrize("name", SIZES)
def test_whole_way_at_224(name: str) -> None:
    whole_way(name, 224, 4)

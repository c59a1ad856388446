"""DenseNet-121 (Huang et al., 2017), with torchvision's names of parameters."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

_GROWTH, _WIDTH = 32, 4
"""Channels that a layer adds; how many times as many its 1×1 has."""
_BLOCKS = (6, 12, 24, 16)


class DenseLayer(nn.Module):
    """Normalises and narrows all maps before it by a 1×1, and adds a 3×3 of that to them."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, _WIDTH * _GROWTH, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(_WIDTH * _GROWTH)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(_WIDTH * _GROWTH, _GROWTH, 3, padding=1, bias=False)

    def forward(self, maps: list[Tensor]) -> Tensor:
        x = self.conv1(self.relu1(self.norm1(torch.cat(maps, 1))))
        return self.conv2(self.relu2(self.norm2(x)))


class DenseBlock(nn.ModuleDict):
    """Layers that each read everything before them."""

    def __init__(self, inputs: int, layers: int) -> None:
        super().__init__({f"denselayer{n + 1}": DenseLayer(inputs + n * _GROWTH) for n in range(layers)})

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.values():
            maps.append(layer(maps))
        return torch.cat(maps, 1)


def _transition(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(inputs), relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(inputs, inputs // 2, 1, bias=False), pool=nn.AvgPool2d(2, 2),
        )
    )  # fmt: skip


class DenseNet121(nn.Module):
    """A 7×7/2 stem, four dense blocks with transitions that halve channels and size, and a classifier."""

    def __init__(self, channels: int = 3, classes: int = 1000) -> None:
        super().__init__()
        width = 2 * _GROWTH
        features: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(channels, width, 7, 2, 3, bias=False), norm0=nn.BatchNorm2d(width),
            relu0=nn.ReLU(inplace=True), pool0=nn.MaxPool2d(3, 2, 1),
        )  # fmt: skip
        for index, layers in enumerate(_BLOCKS):
            features[f"denseblock{index + 1}"] = DenseBlock(width, layers)
            width += layers * _GROWTH
            if index < len(_BLOCKS) - 1:
                features[f"transition{index + 1}"] = _transition(width)
                width //= 2
        features["norm5"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(features)
        self.classifier = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.relu(self.features(x)).mean((2, 3)))

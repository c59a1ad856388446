"""VGG-16 (Simonyan and Zisserman, 2015), with and without batch norm, with torchvision's names of parameters."""

from torch import Tensor, nn

_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class Vgg16(nn.Module):
    """Thirteen 3×3 convolutions in five stages, each with a max pool, and three linear layers over a 7×7 map."""

    def __init__(self, channels: int, classes: int, *, norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for stage in _WIDTHS:
            for width in stage:
                layers += [nn.Conv2d(inputs, width, 3, padding=1)]
                layers += [nn.BatchNorm2d(width)] if norm else []
                layers += [nn.ReLU(inplace=True)]
                inputs = width
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 49, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, classes),
        )  # fmt: skip
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def vgg16(channels: int = 3, classes: int = 1000) -> nn.Module:
    """VGG-16."""
    return Vgg16(channels, classes, norm=False)


def vgg16_bn(channels: int = 3, classes: int = 1000) -> nn.Module:
    """VGG-16 with batch norm."""
    return Vgg16(channels, classes, norm=True)

"""Small models, for images of 16 to 64 pixels a side."""

from torch import Tensor, nn

from .blocks import InvertedResidual, ResidualBlock, conv_norm


class Demo(nn.Module):
    """A small network with one of everything: residual blocks, a depthwise block, max and average pool."""

    def __init__(self, channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(channels, 16), nn.ReLU(inplace=True))
        self.block1 = ResidualBlock(16, 16)
        self.block2 = ResidualBlock(16, 32, stride=2)
        self.block3 = InvertedResidual(32, 64, 32)
        self.pool = nn.MaxPool2d(2)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.stem(x))))
        return self.classifier(self.average(self.pool(x)).flatten(1))


class SmallResNet(nn.Module):
    """Three stages of two residual blocks, 16 to 64 channels: a ResNet for 32 × 32 (He et al., 2016, section 4.2)."""

    STEM_STRIDE = 1
    STAGES: tuple[tuple[int, int, int], ...] = (
        (16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1),
    )  # fmt: skip
    """Of every block: channels in and out, and the stride."""

    def __init__(self, channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(channels, 16, stride=self.STEM_STRIDE), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(*(ResidualBlock(*stage) for stage in self.STAGES))
        self.average = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.average(self.blocks(self.stem(x))).flatten(1))


class TinyResNet(SmallResNet):
    """Three residual blocks, 16 to 64 channels, behind a stem of stride 2: a tenth of `SmallResNet`'s operations."""

    STEM_STRIDE = 2
    STAGES = ((16, 16, 1), (16, 32, 2), (32, 64, 2))


class SmallMobileNet(nn.Module):
    """Six inverted residuals, 16 to 64 channels, expanded fourfold: a MobileNet-V2 for 32 × 32."""

    STEM_STRIDE = 1
    STAGES: tuple[tuple[int, int, int, int], ...] = (
        (16, 64, 16, 1), (16, 64, 24, 2), (24, 96, 24, 1), (24, 96, 40, 2), (40, 160, 40, 1), (40, 160, 64, 1),
    )  # fmt: skip
    """Of every block: channels in, expanded and out, and the stride."""

    def __init__(self, channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(channels, 16, stride=self.STEM_STRIDE), nn.ReLU6(inplace=True))
        self.blocks = nn.Sequential(*(InvertedResidual(*stage) for stage in self.STAGES))
        self.head = nn.Sequential(conv_norm(64, 128, 1), nn.ReLU6(inplace=True))
        self.average = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.average(self.head(self.blocks(self.stem(x)))).flatten(1))


class TinyMobileNet(SmallMobileNet):
    """Five inverted residuals, 16 to 64 channels, expanded fourfold, behind a stem of stride 2."""

    STEM_STRIDE = 2
    STAGES = ((16, 64, 16, 1), (16, 64, 32, 2), (32, 128, 32, 1), (32, 128, 64, 2), (64, 256, 64, 1))

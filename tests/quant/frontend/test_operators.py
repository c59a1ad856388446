"""What a model may call, in the ways in which people write it: captured and folded it stays the same; or refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from intramix.quant.frontend.capture import CaptureError, capture
from intramix.quant.frontend.fold import fold
from intramix.quant.frontend.folded_execution import run_folded

SHAPE = (4, 6, 8)
Forward = Callable[[nn.Module, Tensor, Tensor], Tensor]


class Around(nn.Module):
    """A convolution, and a function of it before and after a ReLU."""

    def __init__(self, function: Forward) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm1d(3)
        self.other, self.strided = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 3, 2, 1)
        self.of_map, self.of_vector = nn.Linear(192, 3), nn.Linear(4, 3)
        self.scale = nn.Parameter(torch.randn(4, 1, 1))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.function(self, x, functional.relu(x))


SUPPORTED: dict[str, Forward] = {
    "view": lambda m, x, y: m.of_map(y.view(y.size(0), -1)),
    "flatten in two steps": lambda m, x, y: m.norm(m.of_map(torch.flatten(y, 2).flatten(1))),
    "mean": lambda m, x, y: m.of_vector(y.mean([-1, -2])),
    "mean of joined rows and columns": lambda m, x, y: m.of_vector(y.flatten(2).mean(-1)),
    "mean of columns, then of rows": lambda m, x, y: m.of_vector(y.mean(3).mean(2)),
    "mean of rows, kept": lambda m, x, y: y.mean(2, keepdim=True),
    "sum": lambda m, x, y: m.of_vector(y.sum((2, 3))),
    "maximum": lambda m, x, y: m.of_vector(x.amax((2, 3)) + functional.adaptive_max_pool2d(y, 1).flatten(1)),
    "squeeze": lambda m, x, y: m.of_vector(functional.adaptive_avg_pool2d(y, 1).squeeze(-1).squeeze(-1)),
    "dropout": lambda m, x, y: m.of_map(functional.dropout(y.flatten(1), 0.5, m.training)),
    "clips": lambda m, x, y: functional.relu6(x) + functional.hardtanh(x, 0, 3) + x.clamp(0, 2) + torch.clip(x, 0),
    "threshold": lambda m, x, y: functional.threshold(x, 0, 0),
    "average pool": lambda m, x, y: functional.avg_pool2d(y, 3, 2, 1, divisor_override=5),
    "average pool in ceil mode that fits": lambda m, x, y: functional.avg_pool2d(y, 2, ceil_mode=True),
    "adaptive": lambda m, x, y: functional.adaptive_avg_pool2d(y, (None, 2)),
    "pad before a convolution": lambda m, x, y: m.strided(functional.pad(functional.pad(y, (0, 1, 2, 0)), (1, 0))),
    "pad before an average pool": lambda m, x, y: functional.avg_pool2d(functional.pad(x, (1, 1, 0, 1)), 3, 2),
    "times, over, minus": lambda m, x, y: (x * 0.5 - 1) / 4 + (-y) + (2 - m.other(y)),
    "every second row and third column": lambda m, x, y: y[:, :, ::2, ::3] + x[..., ::2, :][..., ::3],
    "the only row and column": lambda m, x, y: m.of_vector(y.mean((2, 3), keepdim=True)[:, :, 0, 0]),
    "whole slices": lambda m, x, y: x[:, :, 0:6, :8] + y[:],
    "layer scale": lambda m, x, y: x + m.scale * m.other(y),
    "in place": lambda m, x, y: x.mul_(2).add_(y, alpha=1).relu_(),
}


@pytest.mark.parametrize("name", SUPPORTED)
def test_supported(name: str) -> None:
    model, image = Around(SUPPORTED[name]).eval(), torch.rand(1, *SHAPE, dtype=torch.float64)
    graph = fold(capture(model, SHAPE))
    expected = model.double()(image.clone())
    found = run_folded(graph, image)[graph.outputs[0]]
    torch.testing.assert_close(found.reshape(expected.shape), expected)


REFUSED: dict[str, tuple[Forward, str]] = {
    "gate": (lambda m, x, y: y * torch.sigmoid(x), r"sigmoid.*replace it by nn.ReLU"),
    "product": (lambda m, x, y: x * y, "mul.*cannot be multiplied or divided; remove the gate"),
    "difference": (lambda m, x, y: x - y, "sub.*cannot be subtracted; negate the weights"),
    "pixels scaled": (lambda m, x, y: x * torch.ones(8).cumsum(0), "not one finite number for each channel"),
    "a row": (lambda m, x, y: x[:, :, 0], "select.*takes a row out of 6; flatten maps of one row and one column"),
    "a channel": (lambda m, x, y: x[:, 0], "select.*takes a channel out of 4"),
    "some channels": (lambda m, x, y: x[:, :2], "slice.*cannot be cut along channels; use a 1×1 convolution"),
    "some rows": (lambda m, x, y: x[:, :, 1:4], "slice.*takes rows 1 … 3 of 6; crop the images"),
    "channels last": (lambda m, x, y: x.permute(0, 2, 3, 1), "permute.*leave the order of dimensions as it is"),
    "channel shuffle": (lambda m, x, y: functional.channel_shuffle(x, 2), "cut or shuffled along channels"),
    "transpose": (lambda m, x, y: x.view(1, 2, 2, 6, 8).transpose(1, 2), "only flattening|the order of dim"),
    "pad before a max pool": (lambda m, x, y: functional.max_pool2d(functional.pad(y, (1, 1)), 2), "a padded map"),
    "crop": (lambda m, x, y: functional.pad(x, (-1, 0)), r"only zeros .*pad=\(-1, 0\), value=0"),
    "pad with ones": (lambda m, x, y: functional.pad(x, (1, 1), value=1.5), r"only zeros .*value=1\.5"),
    "mean of channels": (lambda m, x, y: x.mean(1), r"over dimensions \[1\]; take it over rows and columns"),
    "larger": (lambda m, x, y: functional.interpolate(x, scale_factor=2), "cannot be enlarged; enlarge the image"),
    "attention": (lambda m, x, y: x.flatten(2) @ y.flatten(2).mT, "cannot be multiplied|leave the order of dimensions"),
    "over zero": (lambda m, x, y: x / 0, "divides by 0"),
    "reciprocal": (lambda m, x, y: 1 / x, "(divides by a map|no such operator)"),
    "noise": (lambda m, x, y: x + torch.rand(1), "rand.*no such operator"),
    "softmax": (lambda m, x, y: functional.softmax(x.flatten(1), 1), "apply it to the network's outputs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name_reason_and_remedy(name: str) -> None:
    function, message = REFUSED[name]
    with pytest.raises(CaptureError, match=message) as refusal:
        capture(Around(function), SHAPE)
    assert "aten." in str(refusal.value)


def test_shapes_that_depend_on_values_are_refused() -> None:
    with pytest.raises(CaptureError, match=r"could not trace|no such operator|cut or shuffled"):
        capture(Around(lambda m, x, y: y[y > 0]), SHAPE)

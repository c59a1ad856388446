"""Capture: ordinary modules become operations; what the machine lacks is refused by name, all at once."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune

from intramix.quant.frontend.capture import CaptureError, capture
from intramix.quant.frontend.fold import fold
from intramix.quant.frontend.folded_execution import run_folded
from intramix.quant.frontend.operations import Add, Affine, Clamp, Conv, Pool, Problem


class Functional(nn.Module):
    """In-place operators whose result is not used by name, functional adds, mean, view."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding="same")
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        self.act(x)  # changes x
        y = self.conv2(x)
        y += x
        y = functional.hardtanh(y.clamp(min=0), 0, 6).mean([2, 3])
        return self.linear(self.drop(y).view(y.size(0), -1))


def test_functional_model() -> None:
    model = Functional().train()
    graph = capture(model, (3, 8, 8))
    assert [(type(operation), operation.name, operation.inputs) for operation in graph.operations] == [
        (Conv, "conv", ("input",)),
        (Affine, "norm", ("conv",)),
        (Clamp, "act", ("norm",)),
        (Conv, "conv2", ("act",)),
        (Add, "add", ("conv2", "act")),
        (Clamp, "clamp", ("add",)),
        (Clamp, "hardtanh", ("clamp",)),
        (Pool, "mean", ("hardtanh",)),
        (Conv, "linear", ("mean",)),
    ]
    assert graph.outputs == ("linear",)
    assert graph.operations[6].ceiling == 6
    assert graph.operations[5].ceiling == math.inf
    assert model.training, "capture must leave the model's mode alone"
    assert model.drop.training
    assert torch.equal(graph.operations[0].weight, model.conv.weight.detach().double())


def test_names_follow_the_modules() -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.relu(self.conv(x) + x)

    graph = capture(nn.Sequential(Inner(), Inner()), (2, 4, 4))
    assert [operation.name for operation in graph.operations] == [
        "0.conv", "0.add", "0.relu", "1.conv", "1.add", "1.relu",
    ]  # fmt: skip


def test_max_pool_in_ceil_mode_is_padding_at_the_end() -> None:
    pool = capture(nn.MaxPool2d(3, 2, padding=1, ceil_mode=True), (1, 8, 7)).operations[0]
    assert isinstance(pool, Pool)
    assert pool.shape == (1, 5, 4)
    assert (pool.padding.top, pool.padding.left, pool.padding.bottom, pool.padding.right) == (1, 1, 2, 1)


REFUSED = [
    (nn.Conv2d(4, 4, 3, dilation=2), r"dilation \(2, 2\) is not supported; use dilation=1"),
    (nn.Conv2d(4, 4, 3, groups=2), "groups=2 with 4 channels is not supported; use groups=1 or groups=4"),
    (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "only zeros around .*padding_mode='zeros'"),
    (nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), "only zeros around .*padding_mode='zeros'"),
    (nn.AvgPool2d(3, 2, ceil_mode=True), "ceil_mode makes windows of different sizes; use ceil_mode=False"),
    (nn.AvgPool2d(3, padding=1, count_include_pad=False), "use count_include_pad=True"),
    (nn.AdaptiveAvgPool2d(3), "it makes 3×3 of 8×8, which does not divide"),
    (nn.MaxPool2d(2, dilation=2), "dilation"),
    (nn.SiLU(), "aten.silu.*only activations are ReLU and ReLU6.*replace it by nn.ReLU"),
    (nn.Hardtanh(-1, 1), "it clips to -1 … 1; only a range that begins at 0"),
    (nn.LeakyReLU(), "leaky_relu"),
    (nn.Upsample(scale_factor=2), "cannot be enlarged"),
    (nn.BatchNorm2d(4, track_running_stats=False), "statistics of the image itself; use BatchNorm2d with running"),
    (nn.ConvTranspose2d(4, 4, 2), "conv_transpose"),
    (nn.Linear(8, 2), "row by row; flatten the map to a vector"),
    (nn.Unflatten(1, (2, 2)), "reshapes a map"),
]


@pytest.mark.parametrize(("layer", "message"), REFUSED, ids=[str(layer) for layer, _ in REFUSED])
def test_refused_layer(layer: nn.Module, message: str) -> None:
    with pytest.raises(CaptureError, match=message) as refusal:
        capture(nn.Sequential(nn.Conv2d(4, 4, 1), layer), (4, 8, 8))
    assert "  1: aten." in str(refusal.value)


def test_every_refusal_is_listed() -> None:
    class Bad(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3, dilation=2), nn.SiLU(), nn.Conv2d(4, 4, 1), nn.Sigmoid())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.body(x)
            return torch.cat([y * 2, y + 1], 1).mean(1)

    with pytest.raises(CaptureError) as refusal:
        capture(Bad(), (3, 9, 9))
    lines = str(refusal.value).splitlines()
    found = "1 × conv2d, 1 × silu, 1 × sigmoid, 1 × mean"
    assert lines[0] == f"Bad has operators that the accelerator cannot run: {found}"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "body.0", "body.1", "body.3", "mean",
    ]  # fmt: skip


def test_refusals_of_one_kind_are_one_line() -> None:
    body = nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 1), nn.SiLU()) for _ in range(40)), nn.Tanh(), nn.ReLU())
    with pytest.raises(CaptureError) as refusal:
        capture(body, (3, 9, 9))
    lines = str(refusal.value).splitlines()
    assert lines[0] == "Sequential has operators that the accelerator cannot run: 40 × silu, 1 × tanh"
    assert [line.split(":")[0] for line in lines[1:]] == ["  0.1 and 39 more", "  40"]
    assert len([entry for entry in refusal.value.entries if isinstance(entry, Problem)]) == 41


@pytest.mark.parametrize("name", ["weight norm", "pruning", "standardisation"])
def test_weights_that_the_model_computes(name: str) -> None:
    """They are worked out once: convolutions read constants."""
    torch.manual_seed(0)
    layer: nn.Module = nn.Conv2d(3, 4, 3)
    if name == "weight norm":
        layer = nn.utils.parametrizations.weight_norm(layer)
        layer.parametrizations.weight.original0.data *= 3
    elif name == "pruning":
        prune.random_unstructured(layer, "weight", 0.5)
    else:
        layer = Standardised(3, 4, 3)
    model, images = nn.Sequential(layer, nn.ReLU()).eval(), torch.rand(2, 3, 9, 9)
    graph = fold(capture(model, (3, 9, 9)))
    found = run_folded(graph, images)[graph.outputs[0]]
    torch.testing.assert_close(found, model(images), rtol=1e-4, atol=1e-5)


class Standardised(nn.Conv2d):
    """Weight standardisation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, (self.weight - mean) / self.weight.std((1, 2, 3), keepdim=True), self.bias)


def test_random_weights_are_no_constants() -> None:
    class Noisy(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.conv2d(x, self.weight + torch.rand_like(self.weight))

    with pytest.raises(CaptureError, match="its weight is computed by the model"):
        capture(Noisy(3, 4, 3), (3, 9, 9))


def test_modules_that_torch_has_exported() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    exported = torch.export.export(model, (torch.zeros(1, 3, 9, 9),)).module()
    assert len(capture(exported, (3, 9, 9)).operations) == 2


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (nn.Sigmoid(), "1: aten.sigmoid.default: it makes probabilities of scores.* let the model return the scores"),
        (nn.Softmax(1), "1: aten.softmax.int: it makes probabilities of scores.* let the model return the scores"),
        (nn.Sequential(nn.Sigmoid(), nn.ReLU()), "the only activations are ReLU and ReLU6"),
    ],
)
def test_probabilities_are_made_on_the_host(last: nn.Module, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        capture(nn.Sequential(nn.Conv2d(3, 4, 9), last), (3, 9, 9))


def test_value_dependent_model(capfd: pytest.CaptureFixture[str]) -> None:
    class Branch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(CaptureError, match=r"could not trace Branch with one image.*test_capture\.py:\d+: return x if"):
        capture(Branch(), (1, 4, 4))
    assert capfd.readouterr() == ("", "")  # torch.export's own graph dump is not shown


def test_wrong_channels() -> None:
    with pytest.raises(CaptureError, match=r"one image of \(4, 8, 8\)"):
        capture(nn.Conv2d(3, 4, 3), (4, 8, 8))


def test_output_that_is_the_input() -> None:
    with pytest.raises(CaptureError, match="must return tensors that it computes"):
        capture(nn.Identity(), (1, 4, 4))


def test_no_module() -> None:
    with pytest.raises(TypeError, match=r"must be a torch.nn.Module, not function"):
        capture(lambda x: x, (1, 4, 4))  # type: ignore[arg-type]


def test_wrong_shape() -> None:
    with pytest.raises(CaptureError, match="three integers"):
        capture(nn.Conv2d(1, 1, 1), (1, 4))  # type: ignore[arg-type]

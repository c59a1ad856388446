"""Models that normalise their images: the same function as torch's, whatever reads the image; the border included."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from intramix.quant.frontend.capture import capture
from intramix.quant.frontend.fold import fold
from intramix.quant.frontend.folded_execution import run_folded
from intramix.quant.frontend.preflight import inspect_model
from intramix.quant.models.normalised import Normalisation, Normalised

MEANS = (100 / 255, 120 / 255, 7 / 255)
"""Codes of 8 bits, so that the border is exact."""
DEVIATIONS = (0.25, 0.2, 0.3)


class Network(nn.Module):
    """Layers by name, and a function of the normalised image."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.function = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, image):
        return self.function(self, image)


def conv(*arguments, **options):
    return nn.Conv2d(*arguments, **({"padding": 1} | options))


def batch_norm():
    norm = nn.BatchNorm2d(3)
    norm.running_mean[:] = torch.tensor([10, -20, 30]) / 255 / torch.tensor(DEVIATIONS)  # whole codes beside the mean
    norm.running_var[:] = torch.tensor([0.5, 1.5, 2.0])
    return norm


CASES = {
    "stem": Network(lambda m, x: m.a(x), a=conv(3, 4, 3)),
    "two convolutions": Network(lambda m, x: m.a(x) + m.b(x), a=conv(3, 4, 3), b=conv(3, 4, 5, padding=2)),
    "two strides": Network(lambda m, x: m.b(m.a(x)) + m.c(x), a=conv(3, 4, 3), b=conv(4, 4, 3, stride=2),
                           c=conv(3, 4, 1, stride=2, padding=0)),
    "pooled beside": Network(lambda m, x: m.a(x) + m.b(functional.max_pool2d(x, 3, 1, 1)), a=conv(3, 4, 3, padding=1),
                             b=conv(3, 4, 1, padding=0)),
    "average-pooled": Network(lambda m, x: m.a(functional.avg_pool2d(x, 2)), a=conv(3, 4, 3, padding=0)),
    "sum-pooled": Network(lambda m, x: m.a(functional.avg_pool2d(x, 2, divisor_override=3)),
                          a=conv(3, 4, 1, padding=0)),
    "concatenated": Network(lambda m, x: m.b(torch.cat([m.a(x), x], 1)), a=conv(3, 4, 3), b=conv(7, 4, 1, padding=0)),
    "added": Network(lambda m, x: m.b(m.a(x) + x), a=conv(3, 3, 3), b=conv(3, 4, 1, padding=0)),
    "clipped": Network(lambda m, x: m.a(torch.relu(x)), a=conv(3, 4, 3)),
    "another of 3 channels first": Network(lambda m, x: m.b(m.a(x)), b=conv(3, 4, 1, padding=0), a=conv(3, 3, 3)),
    "batch norm first": Network(lambda m, x: m.a(m.n(x)), n=batch_norm(), a=conv(3, 4, 3)),
    "used twice": Network(lambda m, x: m.b(m.a(m.a(x))), a=conv(3, 3, 3, padding=0), b=conv(3, 4, 1, padding=0)),
    "depthwise": Network(lambda m, x: m.a(x), a=conv(3, 6, 3, padding=0, groups=3)),
    "linear": Network(lambda m, x: m.a(x.flatten(1)), a=nn.Linear(3 * 8 * 8, 5)),
    "padded by the model": Network(lambda m, x: m.a(functional.pad(x, (1, 0, 2, 1))), a=conv(3, 4, 3, padding=0)),
}  # fmt: skip


def outputs(model, images):
    graph = fold(capture(model, tuple(images.shape[1:])))
    return run_folded(graph, images)[graph.outputs[0]].flatten(1), graph


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_it_is_the_same_function(name):
    torch.manual_seed(len(name))
    own = CASES[name].eval().double()
    model = Normalised(own, Normalisation(MEANS, DEVIATIONS), 3).double()
    images = torch.randint(0, 256, (2, 3, 8, 8)).double() / 255
    expected = own((images - torch.tensor(MEANS)[:, None, None]) / torch.tensor(DEVIATIONS)[:, None, None])
    found, _ = outputs(model, images)
    torch.testing.assert_close(found, expected.flatten(1), rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_names_are_the_models_own():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, image):
            return torch.relu(self.stem(image))

    normalised = Normalised(Own(), Normalisation(MEANS, DEVIATIONS), 3)
    plain, wrapped = capture(Own(), (3, 8, 8)), capture(normalised, (3, 8, 8))
    assert plain.name == wrapped.name == "Own"
    assert [it.name for it in wrapped.operations] == ["sub", "div", *(it.name for it in plain.operations)]
    assert [layer.name for layer in fold(wrapped).layers] == [layer.name for layer in fold(plain).layers] == ["stem"]


@torch.no_grad()
def test_what_a_model_does_itself_costs_no_layer():
    """Constants and a batch norm, one after another, are in the weights; the finding says where they went."""
    own = Network(lambda m, x: m.a(m.n(2 * x - 1)), n=batch_norm(), a=conv(3, 4, 3)).eval()
    images = torch.rand(1, 3, 8, 8)
    found, graph = outputs(own, images)
    assert [layer.name for layer in graph.layers] == ["a"]
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))  # the border is rounded to a code of 8 bits
    shape = (1, 4, 8, 8)
    torch.testing.assert_close(found.reshape(shape)[inside].float(), own(images)[inside], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.reshape(shape).float(), own(images), rtol=1e-2, atol=1e-2)
    assert [(it.name, it.note) for it in inspect_model(own, (3, 8, 8)) if it.status == "folded"] == [
        ("mul", "into a"), ("sub", "into a"), ("n", "into a"),
    ]  # fmt: skip


@torch.no_grad()
def test_a_mean_outside_of_the_image_becomes_a_layer():
    """No code of the image is where the scaled image is 0, so that it is made as a map of its own."""
    own = Network(lambda m, x: m.a(x + 1), a=conv(3, 4, 3)).eval()
    images = torch.rand(1, 3, 8, 8)
    found, graph = outputs(own, images)
    assert [layer.name for layer in graph.layers] == ["add", "a"]
    torch.testing.assert_close(found.reshape(1, 4, 8, 8).float(), own(images), rtol=1e-4, atol=1e-4)

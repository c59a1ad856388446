"""What `quantize` accepts `compile` accepts, and the integer model is what the program computes."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import intramix
from intramix.compiler.interpreter.interpret import run_codes
from intramix.lanes import plan_for
from intramix.platforms.boards import board
from intramix.quant.graph.executor import execute

pytestmark = pytest.mark.slow


class Function(nn.Module):
    """A convolution, and a function of it and the image."""

    def __init__(self, function, channels: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.function = nn.Conv2d(channels, 6, 3, padding=1), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, x)


MODELS = {
    "max pool of the image": lambda m, x: m.conv(functional.max_pool2d(x, 2)),
    "max pool last": lambda m, x: functional.max_pool2d(torch.relu(m.conv(x)), 2),
    "output that is also pooled": lambda m, x: (y := torch.relu(m.conv(x)), functional.max_pool2d(y, 2)),
    "strided slice": lambda m, x: torch.relu(m.conv(x))[:, :, ::2, ::2],
    "normalised by itself": lambda m, x: m.conv((x - 0.45) / 0.22),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("bits", [None, 8])
def test_small_models(name: str, bits: int | None) -> None:
    target = board("small")
    images = np.random.default_rng(0).integers(0, 256, (12, 3, 12, 10), np.uint8)
    plan = plan_for(target.geometry, activation_bits=bits)
    assert_equal(intramix.quantize(Function(MODELS[name]), images, board=target, plan=plan), images[:1])


def test_a_pool_of_a_wide_map() -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 2, 300), np.uint8)
    model = Function(lambda m, x: functional.adaptive_max_pool2d(torch.relu(m.conv(x)), 1), channels=1)
    assert_equal(intramix.quantize(model, images, board="small"), images[:1])


def test_what_cannot_be_compiled_is_refused_before_it_is_trained() -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 2, 300), np.uint8)
    model = Function(lambda m, x: functional.max_pool2d(torch.relu(m.conv(x)), (1, 290), 1), channels=1)
    with pytest.raises(ValueError, match="kernel_x"):
        intramix.quantize(model, images, board="small", epochs=0)


def assert_equal(model, images) -> None:
    """The interpreted program stores what the executor computes."""
    codes = images[0]
    expected = execute(model.graph, codes)
    program = model.compile(selftest=False).program
    for name, found in run_codes(program, codes).items():
        np.testing.assert_array_equal(found, expected[name], err_msg=name)

"""Gradients of the fused quantizer, against autograd through the same function written out with detached rounding."""

import math

import pytest
import torch
from torch import Tensor

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.assignment.methods import assign
from intramix.quant.graph.formats import POT_4
from intramix.quant.models import load_model
from intramix.quant.network.activation_quantizer import ActivationQuantizer
from intramix.quant.network.straight_through import AtMost, QuantizeActivation
from intramix.quant.quantize import prepare

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def through(value: Tensor, rounded: Tensor) -> Tensor:
    return value + (rounded - value).detach()


def written_out(value: Tensor, low: Tensor, high: Tensor, maximum: int, relu: bool) -> Tensor:
    value = value.clamp(min=0) if relu else value
    scale = (high - low) / maximum
    offset = -low / scale
    zero = through(offset, torch.floor(offset + 0.5))
    ratio = value / scale
    code = (through(ratio, torch.floor(ratio + 0.5)) + zero).clamp(0, maximum)
    return scale * (code - zero)


@pytest.mark.parametrize(("low", "relu"), [(None, True), (None, False), (0.0, True), (0.0, False), (-0.83, False)])
@pytest.mark.parametrize("bits", [2, 5, 8])
@pytest.mark.parametrize("device", DEVICES)
def test_outputs_and_gradients(low: float | None, relu: bool, bits: int, device: str) -> None:
    generator = torch.Generator().manual_seed(bits)
    value, upstream = (torch.randn(4, 3, 5, 5, generator=generator, dtype=torch.float64).to(device) for _ in range(2))
    results = []
    for function in (written_out, lambda *operands: QuantizeActivation.apply(*operands, 1.0)):
        ends = [torch.tensor(end or 0.0, dtype=torch.float64, device=device, requires_grad=True) for end in (low, 1.37)]
        source = value.clone().requires_grad_()
        given = None if low is None and function is not written_out else ends[0]
        result = function(source, given, ends[1], 2**bits - 1, relu)
        result.backward(upstream)
        results.append((result.detach(), source.grad, *((end.grad for end in ends) if low else (ends[1].grad,))))
    for expected, found in zip(*results):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_at_the_ceiling_only_gradients_that_lower_it() -> None:
    for value, upstream, expected in ((7.0, -1.0, 0.0), (7.0, 2.0, 2.0), (5.0, -1.0, -1.0)):
        end = torch.tensor(value, requires_grad=True)
        result = AtMost.apply(end, 6.0)
        result.backward(torch.tensor(upstream))
        assert (result.item(), end.grad.item()) == (min(value, 6.0), expected)


def test_gradient_of_a_range_does_not_depend_on_how_a_batch_is_shared() -> None:
    made = ActivationQuantizer("map", 4)
    made.initialise(torch.rand(100))
    values = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2
    (made(values) ** 2).sum().backward()
    whole = made.log_high.grad.item()
    made.zero_grad()
    for part in values.split(3):
        (made(part) ** 2).sum().backward()
    assert math.isclose(made.log_high.grad.item(), whole, rel_tol=1e-5)


def test_training_step_computes_on_the_networks_device_alone() -> None:
    """On PyTorch's device without data, where a tensor that stayed on the CPU is an error."""
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    network = prepare(load_model("mobilenet-tiny", channels=3, classes=10), images)
    network.set_formats(assign(network, LaneMix(1, 3, 4, POT_4)))
    network.to("meta").train()
    scores = network(images.to("meta"))
    scores.sum().backward()
    network.update_scales()
    assert scores.device.type == "meta"
    assert all(entry.grad.device.type == "meta" for entry in network.parameters() if entry.requires_grad)

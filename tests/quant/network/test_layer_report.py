"""What becomes of operators before anything runs, and figures of layers afterwards."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.data.data import Dataset
from intramix.quant.frontend.preflight import inspect_model
from intramix.quant.graph.executor import execute
from intramix.quant.models import Demo, load_model
from intramix.quant.network.layer_report import layer_reports
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import quantize

pytestmark = pytest.mark.slow


def test_every_operator_of_the_demo_has_a_place() -> None:
    findings = {entry.name: entry for entry in inspect_model(Demo(), (1, 16, 16))}
    assert findings["stem.0.0"].status == "supported"
    assert (findings["stem.0.1"].status, findings["stem.0.1"].note) == ("folded", "into stem.0.0")
    assert (findings["stem.1"].operator, findings["stem.1"].note) == ("relu", "into stem.0.0")
    assert findings["pool"].operator == "max_pool"
    assert findings["average"].status == "supported"
    assert findings["classifier"].operator == "linear"
    added = [entry for entry in findings.values() if entry.operator == "add"]
    assert len(added) == 3
    assert {entry.status for entry in added} == {"folded"}
    assert {entry.status for entry in findings.values()} == {"supported", "folded"}


class Modern(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.norm = nn.Conv2d(3, 8, 3), nn.SiLU(), nn.GroupNorm(2, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.act(self.conv(x)))


def test_rejected_operators_have_a_reason_and_a_remedy() -> None:
    findings = inspect_model(Modern(), (3, 8, 8))
    assert (findings[0].name, findings[0].status) == ("conv", "supported")
    rejected = {entry.name: entry for entry in findings if entry.status == "rejected"}
    assert "ReLU" in rejected["act"].remedy
    assert rejected["act"].note == "the only activations are ReLU and ReLU6"
    assert "statistics of the image" in rejected["norm"].note


def test_padding_of_a_signed_map_is_supported() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1))
    assert [entry.status for entry in inspect_model(model, (3, 8, 8))] == ["supported", "supported"]


def test_lone_batch_norm_and_results_that_nothing_reads() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.lost, self.norm = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            self.lost(x)
            return self.conv(torch.relu(self.norm(x)))

    findings = {entry.name: entry for entry in inspect_model(Odd().eval(), (3, 8, 8))}
    assert (findings["norm"].status, findings["norm"].note) == ("supported", "as convolution")
    assert list(findings) == ["norm", "relu", "conv"], "what nothing reads is not exported"


@pytest.fixture(scope="module")
def case() -> tuple:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (12, 3, 16, 16), dtype=torch.uint8)
    model = load_model("mobilenet-small", channels=3, classes=5)
    plan = QuantizationPlan(lane_mix=LaneMix(1, 3, 4))
    return model, images, quantize(model, Dataset("noise", images[:8], images[8:]), plan)


def test_figures_of_layers(case: tuple) -> None:
    _, images, result = case
    reports = {entry.name: entry for entry in layer_reports(result.network, result.graph, images[8:])}
    assert list(reports) == [layer.name for layer in result.graph.layers]
    stem = reports["stem.0.0"]
    assert stem.formats == {"fixed-8": 2, "fixed-4": 6, "sp2-4": 8}
    assert stem.macs == 16 * 16 * 16 * 27
    assert stem.weight_bytes == (2 * 8 + 14 * 4) * 27 / 8
    assert stem.bit_operations == (2 * 8 + 14 * 4) * 27 * 256 * 8
    depthwise = reports["blocks.1.depthwise.0"]
    assert depthwise.macs == 64 * 9 * 8 * 8
    bits = sum(int(kind.rpartition("-")[2]) for kind in depthwise.filter_formats)
    assert depthwise.bit_operations == bits * 9 * 64 * 5


def test_sqnr_of_the_scores_is_that_of_the_float_model(case: tuple) -> None:
    model, images, result = case
    last = layer_reports(result.network, result.graph, images[8:])[-1]
    with torch.no_grad():
        expected = model.eval()(images[8:].float() / 255).double().numpy()
    name = result.graph.outputs[0]
    tensor = result.graph.tensors[name]
    found = (
        execute(result.graph, images[8:].numpy())[name].astype(float)[:, :, 0, 0] - tensor.zero_point
    ) * tensor.scale
    ratio = 10 * math.log10((expected**2).sum() / ((found - expected) ** 2).sum())
    assert last.sqnr == pytest.approx(ratio, abs=0.01)


def test_more_bits_are_nearer(case: tuple) -> None:
    model, images, _ = case
    data = Dataset("noise", images[:8], images[8:])
    scores = []
    for bits, mix in ((8, LaneMix(1, 0, 0)), (4, LaneMix(0, 1, 0))):
        result = quantize(model, data, QuantizationPlan(lane_mix=mix, activation_bits=bits))
        scores.append(np.mean([entry.sqnr for entry in layer_reports(result.network, result.graph, images[8:])]))
    assert scores[0] > scores[1] + 6

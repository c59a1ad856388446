"""Kept layers: the right ones, the others untouched, and refusals that say what there is."""

import pytest
import torch
from torch import nn

from intramix.quant.assignment.kept import KeptError, KeptLayers
from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.data.data import Dataset
from intramix.quant.frontend.capture import capture
from intramix.quant.frontend.fold import fold
from intramix.quant.frontend.folded import FoldedGraph
from intramix.quant.graph.formats import FIXED4, FIXED8, Scheme, WeightFormat
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import quantize


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, groups=4)
        self.head = nn.Sequential(nn.Conv2d(4, 6, 1), nn.ReLU(), nn.Conv2d(6, 2, 1))

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.depthwise(torch.relu(self.stem(value)))))


@pytest.fixture(scope="module")
def graph() -> FoldedGraph:
    torch.manual_seed(0)
    return fold(capture(Small().eval(), (3, 8, 8)))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("8:first", {"stem"}), ("8:last", {"head.2"}), ("6: depthwise , first", {"depthwise", "stem"}),
        ("8:head.*", {"head.0", "head.2"}), ("8:head.0", {"head.0"}),
        ("5:*", {"stem", "depthwise", "head.0", "head.2"}),
    ],
)  # fmt: skip
def test_only_the_named_layers_change(graph: FoldedGraph, text: str, kept: set[str]) -> None:
    before = {layer.name: (FIXED4,) * len(layer.weight) for layer in graph.convolutions}
    after = KeptLayers.parse(text).apply(graph, before)
    assert {name for name in after if after[name] != before[name]} == kept
    wide = WeightFormat(Scheme.FIXED, int(text[0]))
    assert all(after[name] == (wide,) * len(before[name]) for name in kept)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first", "must be BITS:LAYER,LAYER"), ("9:first", "bits must be 2 … 8, not 9"), ("8:", "name at least one"),
        ("8:tail", "no layer is 'tail'; there are first, last, depthwise, and stem, depthwise, head.0, head.2"),
    ],
)  # fmt: skip
def test_refusals_say_what_there_is(graph: FoldedGraph, text: str, message: str) -> None:
    with pytest.raises(KeptError, match=message):
        KeptLayers.parse(text).apply(graph, {})


def test_the_plan_keeps_them_from_every_method() -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8)
    plan = QuantizationPlan(lane_mix=LaneMix(0, 1, 0), method="fixed-4", kept=KeptLayers.parse("8:first"))
    result = quantize(Small().eval(), Dataset("random", images, images), plan)
    layers = {layer.name: layer.formats for layer in result.graph.computing}
    assert set(layers["stem"]) == {FIXED8}
    assert set(layers["depthwise"]) == {FIXED4}

"""Blocks: what leads in and out, and that one after the other they compute what the graph does."""

import pytest
import torch
from torch import nn

from intramix.quant.frontend.capture import capture
from intramix.quant.frontend.fold import fold
from intramix.quant.frontend.folded import FoldedGraph
from intramix.quant.frontend.folded_execution import run_folded, run_layers
from intramix.quant.models import load_model
from intramix.quant.reconstruction.blocks import blocks


def folded(model: nn.Module, channels: int = 3, size: int = 32) -> FoldedGraph:
    torch.manual_seed(0)
    return fold(capture(model.eval(), (channels, size, size)))


class Branches(nn.Module):
    """Two outputs, one of them of a map that is concatenated later."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        one = torch.relu(self.one(x))
        two = torch.relu(self.two(one))
        return two, self.three(torch.cat([one, two], dim=1))


MODELS = {
    "resnet-tiny": lambda: load_model("resnet-tiny", channels=3),
    "mobilenet-tiny": lambda: load_model("mobilenet-tiny", channels=3),
    "squeezenet1_1": lambda: load_model("squeezenet1_1", channels=3),
    "branches": Branches,
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("convolutions", [1, 3])
def test_blocks_chain_to_the_whole_graph(name: str, convolutions: int) -> None:
    graph = folded(MODELS[name]())
    found = blocks(graph, convolutions=convolutions)
    assert [layer for block in found for layer in block.layers] == list(graph.layers)
    images = torch.rand(2, 3, 32, 32)
    expected, value, outputs = run_folded(graph, images), images, {}
    assert found[0].input == graph.input
    for block, following in zip(found, [*found[1:], None]):
        tensors = {block.input: value}  # nothing else: it would be a KeyError if a block read two tensors
        run_layers(block.layers, tensors)
        outputs |= {it: tensors[it] for it in block.outputs}
        if following:
            assert following.input == block.layers[-1].output
            value = tensors[following.input]
    for it in graph.outputs:
        torch.testing.assert_close(outputs[it], expected[it])


def test_blocks_of_an_inverted_residual_end_behind_the_add() -> None:
    graph = folded(MODELS["mobilenet-tiny"]())
    found = blocks(graph)
    assert len(found) > 3
    for block in found[:-1]:
        assert sum(not layer.exact for layer in block.convolutions) >= 3
    inside = [layer for block in found for layer in block.convolutions if layer.residual]
    assert inside
    assert all(any(it.residual == block.input or it.residual in {k.output for k in block.layers}
                   for block in found if it in block.layers) for it in inside)  # fmt: skip

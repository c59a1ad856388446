"""Which layers get 8 bits first: their noise against plain PyTorch, their order against costs made by hand."""

import pytest
import torch
from torch import Tensor, nn

from intramix.quant.assignment.cost import NetworkCost
from intramix.quant.assignment.raising import Variants, raised, rounding_noise
from intramix.quant.graph.formats import FIXED4, FIXED8
from intramix.quant.graph.graph import Convolution, IntegerGraph
from intramix.quant.network.model import QuantizedNetwork
from intramix.quant.network.quantizers import Formats, fake_quantize_weight, weight_scale
from intramix.quant.quantize import prepare

IMAGES = torch.randint(0, 256, (8, 2, 6, 6), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(8, 8, 1), nn.Linear(8 * 36, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.one(x))
        return self.last(torch.relu(self.two(x) + x).flatten(1))  # type: ignore[no-any-return]


@pytest.fixture
def network() -> QuantizedNetwork:
    torch.manual_seed(0)
    return prepare(Net().eval(), IMAGES)


def all_of(network: QuantizedNetwork, kind: object) -> dict[str, Formats]:
    return {name: (kind,) * len(module.weight) for name, module in network.convolutions.items()}  # type: ignore[misc]


def test_noise_is_that_of_plain_pytorch(network: QuantizedNetwork) -> None:
    """The second layer, with its residual; rounded as fake quantization rounds."""
    torch.manual_seed(0)
    net, kinds = Net().eval(), (FIXED4,) * 8
    with torch.no_grad():
        inside = torch.relu(net.one(IMAGES.float() / 255))
        scale = weight_scale(net.two.weight, kinds, method="mse")
        rounded = fake_quantize_weight(net.two.weight, scale, kinds)
        exact = net.two(inside) + inside
        noise = nn.functional.conv2d(inside, rounded - net.two.weight)
    expected = float(noise.square().sum() / exact.square().sum())
    found = rounding_noise(network, IMAGES, all_of(network, FIXED4))
    assert found["two"] == pytest.approx(expected, rel=1e-4)
    eight = rounding_noise(network, IMAGES, all_of(network, FIXED8))
    assert all(0 < eight[name] < found[name] / 50 for name in ("one", "two", "last")), "a sixteenth of the step"


def costs(cycles: dict[str, float]) -> object:
    """A cost that knows only how many cycles a layer of 8 bits takes; with 4 bits one less."""

    def cost_of(graph: IntegerGraph) -> NetworkCost:
        layers = [layer for layer in graph.layers if isinstance(layer, Convolution)]
        found = {it.name: cycles[it.name] - (it.formats[0] == FIXED4) * cycles[it.name] / 2 for it in layers}
        total = sum(found.values())
        return NetworkCost(frames_per_second=1e6 / total, cycles=total, layer_cycles=found, weight_bytes=0)

    return cost_of


def test_the_most_noise_for_a_cycle_comes_first(network: QuantizedNetwork) -> None:
    four = all_of(network, FIXED4)
    gains = {
        name: noise - rounding_noise(network, IMAGES, all_of(network, FIXED8))[name]
        for name, noise in rounding_noise(network, IMAGES, four).items()
    }
    for cycles in ({"one": 1e3, "two": 1e6, "last": 1e9}, {"one": 1e9, "two": 1e6, "last": 1e3}):
        order = Variants(network, costs(cycles), None).order(IMAGES, four)  # type: ignore[arg-type]
        assert list(order) == sorted(cycles, key=lambda name: cycles[name])
        assert order == pytest.approx(gains)


def test_a_layer_of_8_bits_is_not_raised_again(network: QuantizedNetwork) -> None:
    some = raised(all_of(network, FIXED4), ["two"])
    assert some["two"] == (FIXED8,) * 8
    assert some["one"] == (FIXED4,) * 8
    order = Variants(network, costs({"one": 1.0, "two": 1.0, "last": 1.0}), None).order(IMAGES, some)  # type: ignore[arg-type]
    assert set(order) == {"one", "last"}


def test_the_network_itself_is_left_alone(network: QuantizedNetwork) -> None:
    before = network.convolutions["one"].scale.clone()
    variants = Variants(network, costs({"one": 1.0, "two": 1.0, "last": 1.0}), 14)  # type: ignore[arg-type]
    variants.cost(all_of(network, FIXED4))
    assert network.convolutions["one"].formats == (FIXED8,) * 8
    assert torch.equal(network.convolutions["one"].scale, before)
    assert {kind.bits for kind in variants.network.convolutions["last"].formats} & {2, 3}, "14-bit accumulators"


def test_the_same_formats_are_compiled_once(network: QuantizedNetwork) -> None:
    asked = []

    def cost_of(graph: IntegerGraph) -> NetworkCost:
        asked.append(graph)
        return NetworkCost(frames_per_second=float(len(asked)), cycles=1.0, layer_cycles={}, weight_bytes=0)

    variants = Variants(network, cost_of, None)
    four, eight = all_of(network, FIXED4), all_of(network, FIXED8)
    assert [variants.cost(kinds).frames_per_second for kinds in (four, eight, four, eight)] == [1.0, 2.0, 1.0, 2.0]
    assert variants.network.convolutions["one"].formats == (FIXED8,) * 8, "those asked for last are taken"

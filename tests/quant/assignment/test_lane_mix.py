"""Assignment: every layer has the tile's mix, and channels that share an order share a class."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from intramix.quant.assignment.lane_mix import LaneMix, joint_groups
from intramix.quant.assignment.methods import assign
from intramix.quant.frontend.capture import capture
from intramix.quant.frontend.fold import fold
from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4, WeightFormat
from intramix.quant.models import Demo
from intramix.quant.network.model import QuantizedNetwork
from intramix.quant.quantize import prepare

pytestmark = pytest.mark.slow

IMAGES = torch.randint(0, 256, (8, 1, 8, 8), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("mix", "filters", "counts"),
    [
        ("2:8:22", 64, (4, 16, 44)),
        ("2:8:22", 32, (2, 8, 22)),
        ("2:8:22", 16, (1, 4, 11)),
        ("2:8:22", 10, (1, 2, 7)),
        ("1:3:4", 10, (1, 4, 5)),
        ("1:0:0", 7, (7, 0, 0)),
        ("0:1:2", 64, (0, 21, 43)),
        ("5:35:60", 64, (3, 23, 38)),
    ],
)
def test_counts(mix: str, filters: int, counts: tuple[int, int, int]) -> None:
    assert LaneMix.parse(mix).counts(filters) == counts


lanes = st.integers(0, 40)


@given(st.tuples(lanes, lanes, lanes).filter(any), st.integers(1, 700))
def test_counts_fit_the_tiles_that_are_needed_anyway(mix: tuple[int, int, int], filters: int) -> None:
    made = LaneMix(*mix)
    counts = made.counts(filters)
    tiles = -(-filters // made.tile)
    assert sum(counts) == filters
    for count, lane in zip(counts, mix):
        assert count <= tiles * lane
        assert abs(count - filters * lane / made.tile) < 1


@pytest.mark.parametrize("text", ["2:8", "a:b:c", "-1:2:3", "1:2:3:4", ""])
def test_mix_that_cannot_be_parsed(text: str) -> None:
    with pytest.raises(ValueError, match="lane mix must be fixed-8:fixed-4:LUT, for example 2:8:22"):
        LaneMix.parse(text)


def test_ratio_against_the_lanes() -> None:
    lanes = LaneMix(0, 8, 24, SP2_4)
    assert LaneMix(0, 1, 1, SP2_4).on(lanes) == LaneMix(0, 1, 1, SP2_4)
    with pytest.raises(ValueError, match="ratio 5:35:60 has filters for Fixed-8 lanes, but the tile, 0:8:24, has none"):
        LaneMix(5, 35, 60, SP2_4).on(lanes)
    with pytest.raises(ValueError, match="ratio 1:1:1 has filters for LUT lanes, but the tile, 1:1:0, has none"):
        LaneMix(1, 1, 1).on(LaneMix(1, 1, 0))


def test_illegal_mixes() -> None:
    with pytest.raises(ValueError, match="at least one count must be above 0"):
        LaneMix(0, 0, 0)
    with pytest.raises(ValueError, match="fixed4 must be an integer of at least 0, not -1"):
        LaneMix(1, -1, 0)
    with pytest.raises(ValueError, match="lut_format must have at most 4 bits, not sp2-6"):
        LaneMix(1, 1, 1, WeightFormat.parse("sp2-6"))


def names(graph: object) -> set[frozenset[str]]:
    return {frozenset(group.layers) for group in joint_groups(graph)}  # type: ignore[arg-type]


def test_joint_groups_of_the_demo() -> None:
    graph = fold(capture(Demo(), (1, 16, 16)))
    assert names(graph) == {
        frozenset({"stem.0.0", "block1.conv2.0"}),
        frozenset({"block1.conv1.0"}),
        frozenset({"block2.conv1.0"}),
        # The shortcut and the add of block 2, the add of block 3, and the average pool behind the max pool.
        frozenset({"block2.conv2.0", "block2.shortcut.0", "block3.project.0", "average"}),
        frozenset({"block3.expand.0", "block3.depthwise.0"}),
        frozenset({"classifier"}),
    }


class Sums(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(1, 6, 3) for _ in range(3))
        self.wide = nn.Conv2d(6, 12, 3, groups=6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b, c = functional.relu(self.a(x)), functional.relu(self.b(x)), functional.relu(self.c(x))
        return self.wide(functional.max_pool2d(a + b, 2)), b + c


def test_joint_groups_through_adds_and_multipliers() -> None:
    graph = fold(capture(Sums(), (1, 10, 10)))
    assert names(graph) == {frozenset({"a", "b", "c", "add", "add_2"}), frozenset({"wide"})}


@pytest.mark.parametrize("method", ["variance", "output-error"])
@pytest.mark.parametrize("kind", [SP2_4, POT_4, FIXED4], ids=lambda kind: kind.name)
def test_every_layer_has_the_mix_and_groups_share_classes(method: str, kind: WeightFormat) -> None:
    torch.manual_seed(0)
    network = prepare(Demo().eval(), IMAGES)
    mix = LaneMix(2, 8, 22, kind)
    formats = assign(network, mix, method=method, images=IMAGES)
    assert set(formats) == set(network.convolutions)
    for name, kinds in formats.items():
        fixed8, fixed4, lut = mix.counts(len(network.convolutions[name].weight))
        expected = {FIXED8: fixed8, FIXED4: fixed4}
        expected[kind] = expected.get(kind, 0) + lut
        assert {entry: kinds.count(entry) for entry in set(kinds)} == expected
    for group in joint_groups(network.graph):
        assert len({formats[name] for name in group.layers}) == 1
    network.set_formats(formats)
    average = network.convolutions["average"]
    assert (average.codes() == 1).all(), "pseudo-layers are exact in every format"


def single(weight: torch.Tensor, size: int = 4) -> QuantizedNetwork:
    """A network of one 1×1 convolution."""
    filters, channels = weight.shape
    model = nn.Conv2d(channels, filters, 1, bias=False)
    model.weight.data = weight[:, :, None, None].clone()
    images = torch.rand(4, channels, size, size, generator=torch.Generator().manual_seed(0))
    return prepare(model, images, scale_method="maximum")


def test_variance_gives_low_variance_rows_to_the_lut_lanes() -> None:
    # On Fixed-4 levels exactly, so that no row needs 8 bits more than another; spreads rise with the row's number.
    rows = torch.zeros(8, 17)
    for index in range(8):
        rows[index, : 1 + 2 * index] = torch.tensor([7.0, -7.0] * 8)[: 1 + 2 * index]
    network = single(rows)
    formats = assign(network, LaneMix(0, 1, 1))[network.graph.convolutions[0].name]
    assert formats == (SP2_4,) * 4 + (FIXED4,) * 4


def test_variance_gives_rows_that_fixed_4_spoils_8_bits() -> None:
    rows = torch.tensor([[7.0, 3.0, 1.0], [7.0, 3.5, 1.5], [7.0, -4.0, 2.0], [7.0, 0.4, 5.5]])
    network = single(rows)
    formats = assign(network, LaneMix(1, 1, 0))[network.graph.convolutions[0].name]
    assert formats == (FIXED4, FIXED8, FIXED4, FIXED8)


def test_output_error_minimises_the_error_of_the_map() -> None:
    torch.manual_seed(1)
    network = single(torch.randn(12, 20))
    module = next(iter(network.convolutions.values()))
    name, images = module.layer.name, torch.rand(5, 20, 4, 4)
    formats = assign(network, LaneMix(1, 2, 3), method="output-error", images=images)[name]
    # Independent: errors of the output map, by matrix products.
    activations = torch.floor(images * 255 + 0.5) / 255
    errors = {}
    for kind in (FIXED4, SP2_4):
        levels = torch.from_numpy(kind.levels).double()
        weight = module.weight.detach()[:, :, 0, 0].double()
        scale = weight.abs().amax(1, keepdim=True) / levels[-1]
        nearest = levels[(weight[:, :, None] / scale[:, :, None] - levels).abs().argmin(2)] * scale
        maps = torch.einsum("fc,nchw->nfhw", nearest - weight, activations.double())
        errors[kind] = maps.square().sum((0, 2, 3))
    eight = set(errors[FIXED4].argsort(descending=True)[:2].tolist())
    assert {index for index, kind in enumerate(formats) if kind == FIXED8} == eight
    loss = errors[SP2_4] - errors[FIXED4]
    four = [index for index in loss.argsort(descending=True).tolist() if index not in eight][:4]
    assert {index for index, kind in enumerate(formats) if kind == FIXED4} == set(four)


def test_output_error_needs_images() -> None:
    with pytest.raises(ValueError, match="'output-error' needs images; use variance"):
        assign(single(torch.ones(2, 2)), LaneMix(1, 1, 1), method="output-error")


def test_unknown_method() -> None:
    with pytest.raises(ValueError, match="must be one of variance, output-error, msq, ilmpq"):
        assign(single(torch.ones(2, 2)), LaneMix(1, 1, 1), method="hessian")

"""Methods: each paper's rule on weights made for it, its ratios in every layer, and its refusals."""

import copy
from collections import Counter

import numpy as np
import pytest
import torch

from intramix.quant.assignment.budget import Budget
from intramix.quant.assignment.lane_mix import LaneMix, joint_groups
from intramix.quant.assignment.methods import METHODS, MethodError, assign, find_method
from intramix.quant.assignment.sensitivity import (
    hessian_eigenvalues,
    hessian_traces,
    output_errors,
    trained,
    weight_variances,
)
from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4
from intramix.quant.graph.graph import Convolution
from intramix.quant.models import Demo
from intramix.quant.network.export import align_scales, export
from intramix.quant.network.model import QuantizedNetwork
from intramix.quant.quantize import prepare

pytestmark = pytest.mark.slow

IMAGES = torch.randint(0, 256, (8, 1, 8, 8), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


@pytest.fixture(scope="module")
def network() -> QuantizedNetwork:
    torch.manual_seed(0)
    return prepare(Demo().eval(), IMAGES)


def mix_for(method: str) -> LaneMix:
    return LaneMix(2, 8, 22, METHODS[method].lut_format or SP2_4)


ALONE = "block1.conv1.0"
"""A layer whose channels meet no others."""


@pytest.mark.parametrize("method", METHODS)
def test_formats_fit_the_network_and_joint_groups(network: QuantizedNetwork, method: str) -> None:
    formats = assign(network, mix_for(method), method=method, images=IMAGES)
    assert {name: len(kinds) for name, kinds in formats.items()} == {
        name: len(module.weight) for name, module in network.convolutions.items()
    }
    for group in joint_groups(network.graph):
        assert len({formats[name] for name in group.layers}) == 1
    network.set_formats(formats)
    align_scales(network)
    graph = export(network)
    for layer in graph.layers:
        if isinstance(layer, Convolution):
            assert layer.formats == formats[layer.name]
            for row, kind in zip(layer.weight, layer.formats):
                assert set(np.unique(row)) <= set(kind.levels.tolist())


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("msq", {SP2_4: 22, FIXED4: 10}),
        ("ilmpq", {FIXED8: 2, FIXED4: 8, POT_4: 22}),
        ("film-qnn", {FIXED8: 2, FIXED4: 30}),
        ("fixed-4", {FIXED4: 32}),
        ("fixed-8", {FIXED8: 32}),
        ("sp2-4", {SP2_4: 32}),
        ("pot-4", {POT_4: 32}),
    ],
)
def test_ratios_of_a_layer_of_one_tile(network: QuantizedNetwork, method: str, expected: dict) -> None:
    formats = assign(network, mix_for(method), method=method, images=IMAGES)
    assert Counter(formats["block2.conv1.0"]) == expected


def filters(formats: tuple, kind: object) -> set[int]:
    return {index for index, entry in enumerate(formats) if entry == kind}


def test_msq_gives_the_smallest_variances_to_sp2(network: QuantizedNetwork) -> None:
    formats = assign(network, LaneMix(0, 1, 1, SP2_4), method="msq")[ALONE]
    order = weight_variances(network)[ALONE].argsort().tolist()
    assert filters(formats, SP2_4) == set(order[:8])


def test_ilmpq_gives_the_largest_eigenvalues_8_bits(network: QuantizedNetwork) -> None:
    formats = assign(network, LaneMix(1, 1, 2, POT_4), method="ilmpq", images=IMAGES)[ALONE]
    order = hessian_eigenvalues(network, IMAGES)[ALONE].argsort(descending=True).tolist()
    assert filters(formats, FIXED8) == set(order[:4])
    rest = [index for index in weight_variances(network)[ALONE].argsort().tolist() if index not in order[:4]]
    assert filters(formats, POT_4) == set(rest[:8])


def test_film_qnn_gives_the_largest_map_errors_8_bits(network: QuantizedNetwork) -> None:
    formats = assign(network, LaneMix(1, 1, 6, FIXED4), method="film-qnn", images=IMAGES)[ALONE]
    order = output_errors(network, IMAGES, [FIXED4])[FIXED4][ALONE].argsort(descending=True).tolist()
    assert filters(formats, FIXED8) == set(order[:2])


def test_hbp_uses_several_widths_and_the_lanes_own_size(network: QuantizedNetwork) -> None:
    mix = mix_for("hbp")
    formats = assign(network, mix, method="hbp", images=IMAGES)
    widths = {kind.bits for name in trained(network) for kind in formats[name]}
    assert len(widths) > 3
    film = assign(network, mix, method="film-qnn", images=IMAGES)
    sizes = [
        sum(
            kind.bits * network.convolutions[name].weight[0].numel()
            for name in trained(network)
            for kind in given[name]
        )
        for given in (formats, film)
    ]
    assert 0.97 * sizes[1] < sizes[0] <= sizes[1]
    for name in trained(network):
        wide = sum(kind.bits > 4 for kind in formats[name])
        assert wide <= mix.fixed8 * -(-len(formats[name]) // mix.tile), "so many Fixed-8 lanes have the tiles"


def test_hbp_does_not_take_bits_from_filters_that_only_these_images_leave_dead(network: QuantizedNetwork) -> None:
    """Their trace is 0, though others may need them."""
    some = copy.deepcopy(network)
    dead = [3, 7, 11]
    with torch.no_grad():
        some.convolutions[ALONE].bias[dead] -= 1000.0
    assert hessian_traces(some, IMAGES)[ALONE][dead].tolist() == [0.0] * 3
    formats = assign(some, mix_for("hbp"), method="hbp", images=IMAGES)
    assert all(formats[ALONE][index].bits >= 4 for index in dead)


def test_hbp_under_a_budget_of_size_alone_knows_no_lanes(network: QuantizedNetwork) -> None:
    mix = mix_for("hbp")
    formats = assign(network, mix, method="hbp", images=IMAGES, budgets=(Budget("size", 0.75, share=True),))
    wide = {name: sum(kind.bits > 4 for kind in formats[name]) for name in trained(network)}
    assert any(count > mix.fixed8 * -(-len(formats[name]) // mix.tile) for name, count in wide.items())


def test_recipe_of_film_qnn() -> None:
    recipe = METHODS["film-qnn"].options()
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.warm_up) == (150, 512, 0.0512, 8.0)
    assert (recipe.optimizer, recipe.momentum, recipe.weight_decay) == ("sgd", 0.875, 1 / 32768)
    assert recipe.label_smoothing == 0.1
    assert METHODS["film-qnn"].options(batch_size=1024).learning_rate == pytest.approx(0.1024)
    assert METHODS["film-qnn"].options(batch_size=64, learning_rate=0.01).learning_rate == 0.01
    assert METHODS["film-qnn"].options(epochs=15).warm_up == pytest.approx(0.8)
    assert METHODS["msq"].options(epochs=None, seed=3).epochs == 8


def test_when_formats_are_assigned_anew() -> None:
    def epochs(method: str, total: int) -> list[int]:
        return [epoch for epoch in range(1, total + 1) if METHODS[method].assigns_before(epoch, total)]

    assert epochs("film-qnn", 150) == list(range(1, 101))
    assert epochs("ilmpq", 25) == [1, 11, 21]
    assert epochs("hbp", 8) == []


@pytest.mark.parametrize(
    ("method", "mix", "options", "message"),
    [
        (
            "msq",
            LaneMix(2, 8, 22, FIXED4),
            {},
            "'msq' needs LUT lanes for sp2-4, but the board's are for fixed-4; choose",
        ),
        ("msq", LaneMix(2, 8, 0), {}, "needs LUT lanes for sp2-4, and the tile has none"),
        ("ilmpq", LaneMix(2, 8, 22, SP2_4), {"images": IMAGES}, r"\(--lut-scheme pot-4\)"),
        ("film-qnn", LaneMix(2, 8, 22, FIXED4), {}, "'film-qnn' needs images; use variance"),
        ("msq", LaneMix(2, 8, 22, SP2_4), {"budgets": (Budget("size", 9),)}, "takes no budget .*; hbp, hawq-v3 do"),
        ("magic", LaneMix(2, 8, 22), {}, "method must be one of variance, .*, pot-4, not 'magic'"),
    ],
)
def test_refusals(network: QuantizedNetwork, method: str, mix: LaneMix, options: dict, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        assign(network, mix, method=method, **options)


def test_every_method_says_where_it_comes_from() -> None:
    for name in ("msq", "ilmpq", "film-qnn", "hbp", "hawq-v3"):
        text = find_method(name).assign.__doc__ or ""
        assert "20" in text, "a year"
        assert "hosen" in text or "Differs" in text, "what was chosen"

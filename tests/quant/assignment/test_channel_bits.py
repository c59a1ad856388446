"""Bits per channel and per layer: budgets kept, groups together, and refinement as good as brute force."""

import itertools

import numpy as np
import pytest
import torch

from intramix.quant.assignment.budget import Budget, BudgetError
from intramix.quant.assignment.channel_bits import bits_per_channel, bits_per_layer, deal, lane_mix_size
from intramix.quant.assignment.lane_mix import LaneMix, joint_groups
from intramix.quant.assignment.sensitivity import hessian_traces, trained
from intramix.quant.graph.formats import FIXED4, FIXED8
from intramix.quant.models import Demo
from intramix.quant.network.model import QuantizedNetwork
from intramix.quant.network.quantizers import Formats
from intramix.quant.quantize import prepare

pytestmark = pytest.mark.slow

MIX = LaneMix(2, 8, 22, FIXED4)
IMAGES = torch.randint(0, 256, (8, 1, 8, 8), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


@pytest.fixture(scope="module")
def case() -> tuple[QuantizedNetwork, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    network = prepare(Demo().eval(), IMAGES)
    return network, hessian_traces(network, IMAGES)


def size(network: QuantizedNetwork, formats: dict[str, Formats]) -> float:
    return sum(
        kind.bits * network.convolutions[name].weight[0].numel() / 8
        for name in trained(network)
        for kind in formats[name]
    )


def bit_operations(network: QuantizedNetwork, formats: dict[str, Formats]) -> float:
    total = 0.0
    for name in trained(network):
        layer = network.convolutions[name].layer
        positions = layer.shape[1] * layer.shape[2]
        bits = 8 if layer.input == "input" else network.activation_bits
        total += sum(kind.bits for kind in formats[name]) * layer.weight[0].numel() * positions * bits
    return total


def loss(network: QuantizedNetwork, traces: dict[str, torch.Tensor], formats: dict[str, Formats]) -> float:
    """Σ tr(H_c)/n_c ‖Q(w_c) − w_c‖², with the network's own codes."""
    network.set_formats(formats)
    total = 0.0
    for name, module in trained(network).items():
        rounded = torch.from_numpy(module.codes()) * module.scale[:, None, None, None]
        error = (rounded - module.weight.detach()).square().flatten(1).sum(1)
        total += float((traces[name].clamp_min(0) / module.weight[0].numel() * error).sum())
    return total


@pytest.mark.parametrize(("kind", "measure"), [("size", size), ("bit-operations", bit_operations)])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_budget_is_kept_and_used(case: tuple, kind: str, measure: object, share: float) -> None:
    network, traces = case
    eight = {name: (FIXED8,) * len(module.weight) for name, module in network.convolutions.items()}
    formats = bits_per_channel(network, traces, [Budget(kind, share, share=True)], MIX)
    used = measure(network, formats) / measure(network, eight)  # type: ignore[operator]
    assert share - 0.04 < used <= share
    for group in joint_groups(network.graph):
        assert len({formats[name] for name in group.layers}) == 1


def test_channels_do_better_than_layers_and_refined_groups_better_than_groups(case: tuple) -> None:
    network, traces = case
    budget = [Budget("size", 0.55, share=True)]
    per_layer = loss(network, traces, bits_per_layer(network, traces, budget, MIX))
    whole_layers = loss(network, traces, bits_per_channel(network, traces, budget, MIX, group_channels=1000))
    grouped = loss(network, traces, bits_per_channel(network, traces, budget, MIX))
    single = loss(network, traces, bits_per_channel(network, traces, budget, MIX, group_channels=1))
    assert single <= grouped * 1.0001 <= whole_layers * 1.0002
    assert grouped < per_layer


def test_layers_have_one_precision(case: tuple) -> None:
    network, traces = case
    formats = bits_per_layer(network, traces, [Budget("size", 0.7, share=True)], MIX)
    assert all(len(set(kinds)) == 1 for kinds in formats.values())
    assert {kinds[0].bits for name, kinds in formats.items() if name in trained(network)} == {4, 8}
    with pytest.raises(BudgetError, match="with 4 bits everywhere"):
        bits_per_layer(network, traces, [Budget("size", 0.4, share=True)], MIX)


def test_latency_keeps_filters_beyond_4_bits_to_their_lanes(case: tuple) -> None:
    network, traces = case
    modules = trained(network)
    cost = {name: module.weight[0].numel() * np.prod(module.layer.shape[1:]) for name, module in modules.items()}
    lanes = MIX.tile
    fewest = sum(-(-len(network.convolutions[name].weight) // lanes) * lanes * cost[name] for name in cost)
    formats = bits_per_channel(network, traces, [Budget("latency", float(fewest))], MIX)
    generous = bits_per_channel(network, traces, [Budget("latency", 1.0, share=True)], MIX)
    for name in cost:
        kinds = formats[name]
        assert sum(kind.bits > 4 for kind in kinds) <= MIX.fixed8 * -(-len(kinds) // lanes)
        joint = next(group.layers for group in joint_groups(network.graph) if name in group.layers)
        matters = sum(traces[other].clamp_min(0) for other in joint if other in cost) > 0
        assert {kind.bits for kind, it in zip(kinds, matters.tolist()) if it} <= {4, 8}, "fewer bits save no tile"
        assert all(kind.bits == 8 for kind, it in zip(generous[name], matters.tolist()) if it)


def test_default_budget_is_the_lanes_own_size(case: tuple) -> None:
    network, _ = case
    expected = 0.0
    for name in trained(network):
        weight = network.convolutions[name].weight
        fixed8 = MIX.counts(len(weight))[0]
        expected += weight[0].numel() * (8 * fixed8 + 4 * (len(weight) - fixed8)) / 8
    assert lane_mix_size(network, MIX) == Budget("size", expected)


@pytest.mark.parametrize("seed", range(6))
def test_deal_as_good_as_brute_force(seed: int) -> None:
    random = np.random.default_rng(seed)
    bits = (2, 3, 5, 8)
    values = random.exponential(1, (4, 4))
    for total in (8, 11, 17, 32):
        best = min(
            sum(values[channel, choice] for channel, choice in enumerate(choices))
            for choices in itertools.product(range(4), repeat=4)
            if sum(bits[choice] for choice in choices) <= total
        )
        found = deal(values, bits, total)
        assert found.sum() <= total
        assert sum(values[channel, bits.index(width)] for channel, width in enumerate(found)) == pytest.approx(best)

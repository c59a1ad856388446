"""Bits per channel, 2 … 8, or one precision per layer, by Hessian traces and an integer program.

The sensitivity of channel c to b bits is Ω_c(b) = tr(H_c)/n_c · ‖Q_b(w_c) − w_c‖² (HAWQ-V2, section 3, there per layer;
here per filter of n_c weights), added over the layers that share channel c.
"""

from collections.abc import Sequence

import numpy as np

from ..graph.formats import Scheme, WeightFormat
from ..network.model import QuantizedNetwork
from ..network.quantizers import Formats
from .allocation import allocate
from .budget import Budget
from .lane_mix import JointGroup, LaneMix, collect, joint_groups
from .problem import NARROW_BITS, AllocationProblem, ChannelSet
from .sensitivity import Measures, trained, weight_errors

CHANNEL_BITS = (2, 3, 4, 5, 6, 7, 8)
LAYER_BITS = (4, 8)
GROUP_CHANNELS = 8


def bits_per_channel(
    network: QuantizedNetwork,
    traces: Measures,
    budgets: Sequence[Budget],
    mix: LaneMix,
    *,
    bits: Sequence[int] = CHANNEL_BITS,
    group_channels: int = GROUP_CHANNELS,
) -> dict[str, Formats]:
    """Fixed-point formats of `bits` for every filter: groups by an integer program, then refined inside each group.

    The channels of a joint group are sorted by Ω_c(4) and cut into groups of `group_channels`; the program gives each
    group its bits; then the bits are dealt out anew among the channels of a group, with the smallest Σ Ω_c. That costs
    nothing more: a group's bits have the same sum at most. Under a budget of latency channels stay on their side of 4
    bits, and the first ones, as many as the tiles that are needed anyway have Fixed-8 lanes, are cut into groups of the
    Fixed-8 lanes of a tile, or `group_channels` if these are fewer.

    Parameters
    ----------
    traces: of the filters' Hessian blocks, by layer; negative ones count as 0.
    budgets: at least one; all are kept.
    mix: lanes of a tile, for a budget of latency.
    bits: the choices, ascending, 2 … 8.

    Raises
    ------
    BudgetError: a budget cannot be met.
    """
    latency = any(budget.kind == "latency" for budget in budgets)
    omegas = _omegas(network, traces, bits)
    widths = np.asarray(bits)
    reference = int(np.abs(widths - NARROW_BITS).argmin())
    members: list[tuple[int, np.ndarray]] = []
    for index, omega in enumerate(omegas):
        order = np.argsort(-omega[:, reference], kind="stable")
        first = min(len(order), mix.fixed8 * -(-len(order) // mix.tile)) if latency else 0
        cuts = [*range(0, first, min(group_channels, max(mix.fixed8, 1))), *range(first, len(order), group_channels)]
        members += [(index, part) for part in np.split(order, cuts[1:])]
    problem = AllocationProblem(
        sets=channel_sets(network), owner=np.array([index for index, _ in members]),
        channels=np.array([len(part) for _, part in members]), bits=tuple(bits),
        loss=np.stack([omegas[index][part].sum(axis=0) for index, part in members]), mix=mix,
    )  # fmt: skip
    chosen = [np.zeros(len(omega), int) for omega in omegas]
    for (index, part), average in zip(members, allocate(problem, *budgets)):
        side = (widths > NARROW_BITS) == (average > NARROW_BITS) if latency else np.ones(len(widths), bool)
        omega, total = omegas[index][part][:, side], int(average) * len(part)
        if all(budget.kind == "latency" for budget in budgets):
            total = int(widths[side].max()) * len(part)  # bits are free on either side
        chosen[index][part] = deal(omega, widths[side].tolist(), total)
    return _formats(network, chosen, bits[0])


def bits_per_layer(
    network: QuantizedNetwork,
    traces: Measures,
    budgets: Sequence[Budget],
    mix: LaneMix,
    *,
    bits: Sequence[int] = LAYER_BITS,
) -> dict[str, Formats]:
    """Fixed-point formats of one precision per layer (per joint group), by an integer program as in HAWQ-V3.

    Parameters, Raises: as `bits_per_channel`.
    """
    modules, errors = trained(network), {width: weight_errors(network, _fixed(width)) for width in bits}
    losses = []
    for group in _counted_groups(network):
        loss = np.zeros(len(bits))
        for name, part in group.slices(modules):
            weight = network.convolutions[name].weight[part]
            mean_trace = max(float(traces[name][part].sum()), 0.0) / weight.numel()
            loss += [mean_trace * float(errors[b][name][part].sum()) for b in bits]
        losses.append(loss)
    sets = channel_sets(network)
    problem = AllocationProblem(
        sets=sets, owner=np.arange(len(sets)), channels=np.array([entry.channels for entry in sets]), bits=tuple(bits),
        loss=np.stack(losses), mix=mix,
    )  # fmt: skip
    given = allocate(problem, *budgets)
    return _formats(network, [np.full(entry.channels, width) for entry, width in zip(sets, given)], bits[0])


def lane_mix_size(network: QuantizedNetwork, mix: LaneMix) -> Budget:
    """The size of the network with a lane mix's own proportions of 8-bit and 4-bit filters in every layer."""
    size = 0.0
    for entry in channel_sets(network):
        fixed8 = mix.counts(entry.channels)[0]
        size += entry.weights * (8 * fixed8 + 4 * (entry.channels - fixed8)) / 8
    return Budget("size", size)


def lane_mix_latency(network: QuantizedNetwork, mix: LaneMix) -> Budget:
    """The latency of the network with a lane mix's own proportions: no layer takes more tiles than its filters fill."""
    sets = channel_sets(network)
    return Budget("latency", float(sum(-(-entry.channels // mix.tile) * (mix.tile * entry.macs) for entry in sets)))


def channel_sets(network: QuantizedNetwork) -> tuple[ChannelSet, ...]:
    """The joint groups of a network that have weights to round, and what a channel of each costs."""
    return tuple(_channel_set(network, group) for group in _counted_groups(network))


def deal(loss: np.ndarray, bits: Sequence[int], total: int) -> np.ndarray:
    """Bits for each channel, of the smallest sum of losses, whose sum is at most `total` (exact dynamic program).

    Parameters
    ----------
    loss: float, channels × bits.
    bits: ascending; the first for every channel must be within the total.
    """
    best, choices = np.zeros(total + 1), np.zeros((len(loss), total + 1), int)
    for channel, row in enumerate(loss):
        candidates = np.full((len(bits), total + 1), np.inf)
        for index, width in enumerate(bits):
            if width <= total:
                candidates[index, width:] = best[: total + 1 - width] + row[index]
        choices[channel], best = candidates.argmin(axis=0), candidates.min(axis=0)
    result, left = np.zeros(len(loss), int), total
    for channel in reversed(range(len(loss))):
        result[channel] = bits[choices[channel, left]]
        left -= result[channel]
    return result


def _fixed(bits: int) -> WeightFormat:
    return WeightFormat(Scheme.FIXED, int(bits))


def _counted_groups(network: QuantizedNetwork) -> list[JointGroup]:
    """Those with weights that a format rounds."""
    modules = trained(network)
    return [group for group in joint_groups(network.graph) if any(group.slices(modules))]


def _channel_set(network: QuantizedNetwork, group: JointGroup) -> ChannelSet:
    weights = macs = operations = 0.0
    for name, _ in group.slices(trained(network)):
        layer = network.convolutions[name].layer
        _, height, width = layer.shape
        size = layer.weight[0].numel()
        weights += size
        macs += size * height * width
        operations += size * height * width * network.quantizer(layer.input).bits
    return ChannelSet(channels=group.channels, weights=weights, macs=macs, bit_operations=operations)


def _omegas(network: QuantizedNetwork, traces: Measures, bits: Sequence[int]) -> list[np.ndarray]:
    """Ω of every group with weights to round: channels × bits."""
    modules, errors = trained(network), {width: weight_errors(network, _fixed(width)) for width in bits}
    omegas = []
    for group in _counted_groups(network):
        omega = np.zeros((group.channels, len(bits)))
        for name, part in group.slices(modules):
            size = network.convolutions[name].layer.weight[0].numel()
            factor = (traces[name][part].clamp_min(0) / size).double().numpy()
            rounded = [errors[width][name][part].double().numpy() for width in bits]
            omega += factor[:, None] * np.stack(rounded, axis=1)
        omegas.append(omega)
    return omegas


def _formats(network: QuantizedNetwork, chosen: Sequence[np.ndarray], least: int) -> dict[str, Formats]:
    """By layer; layers whose weights are all ±1 and meet no others get the fewest bits."""
    kinds = [tuple(_fixed(width) for width in widths) for widths in chosen]
    return collect(network, _counted_groups(network), kinds, _fixed(least))

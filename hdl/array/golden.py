"""What an accumulator group leaves in the array's accumulators, from stored codes: the golden function of `Array`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..geometry import Geometry


@dataclass(frozen=True, kw_only=True)
class StepOperands:
    """One step of a group.

    Parameters
    ----------
    activations: codes, P × Ti.
    weights: stored codes, To × Ti.
    shift: first step of a pass that multiplies what is there by 16.
    count: add the codes to Σq.
    """

    activations: np.ndarray
    weights: np.ndarray
    shift: bool = False
    count: bool = True


def array_group(geometry: Geometry, steps: Sequence[StepOperands]) -> tuple[np.ndarray, np.ndarray]:
    """The accumulators (P × To) and Σq (P) of a window, int64, modulo 2^accumulator_bits; not offset-corrected."""
    modulus = 1 << geometry.accumulator_bits
    tables = np.zeros((geometry.tile_filters, 256), np.int64)
    for row, lane in zip(tables, geometry.lanes, strict=True):
        row[: 1 << lane.weight_bits] = lane.code.multiplicands
    accumulators = np.zeros((geometry.pixel_lanes, geometry.tile_filters), np.int64)
    sums = np.zeros(geometry.pixel_lanes, np.int64)
    for step in steps:
        if step.shift:
            accumulators, sums = 16 * accumulators % modulus, 16 * sums % modulus
        weights = np.take_along_axis(tables, step.weights.astype(np.int64), axis=1)
        activations = step.activations.astype(np.int64)
        accumulators = (accumulators + activations @ weights.T) % modulus
        sums = (sums + step.count * activations.sum(axis=1)) % modulus
    return accumulators, sums


def random_step(geometry: Geometry, random: np.random.Generator, **flags: bool) -> StepOperands:
    """A step with operands at random; often all codes are extreme or all weights of a filter equal."""
    g = geometry
    most = (1 << g.activation_bits) - 1
    activations = random.integers(0, most + 1, (g.pixel_lanes, g.word_channels))
    weights = np.stack([random.integers(0, 1 << lane.weight_bits, g.word_channels) for lane in g.lanes])
    if random.random() < 0.3:
        activations[:] = random.choice([0, most])
    if random.random() < 0.3:
        weights[:] = np.array([[random.integers(0, 1 << lane.weight_bits)] for lane in g.lanes])
    return StepOperands(activations=activations, weights=weights, **flags)

"""COMPUTE of the interpreter's machine: the loop nest over all groups at once, in NumPy (docs/architecture.md)."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from ...hdl.geometry import Geometry
from ...hdl.instructions import Compute
from ...hdl.isa import MAXIMUM_PASSES, MAXIMUM_SHIFT, Mode
from .state import ConstantRing, LaneMemory, Numbered, WeightRing

_GATHER_BYTES = 1 << 24
"""Activation slots gathered at once."""


@dataclasses.dataclass(frozen=True, eq=False)
class Computed:
    """What a COMPUTE made.

    Members
    -------
    outputs: uint8, planes × lanes × groups × Ti: output words; a plane is digit · tile words + word, or the pass
        in MAXIMUM.
    valid: bool, planes × lanes × groups: the word is made only of words that were written.
    accumulators: int64, groups × lanes × To: exact sums of stored weights times codes, before offsets;
        None for MAXIMUM.
    activation_sums: int64, groups × lanes: Σq; None for MAXIMUM.
    """

    outputs: np.ndarray
    valid: np.ndarray
    accumulators: np.ndarray | None = None
    activation_sums: np.ndarray | None = None


def check_compute(i: Numbered[Compute], geometry: Geometry) -> None:
    """The ranges of COMPUTE's fields, and which of them exclude each other."""
    compute = i.instruction
    i.need_counts("outputs_y", "outputs_x", "passes", "kernel_y", "kernel_x", "channels", "stride_x", "width")
    i.need(compute.passes <= MAXIMUM_PASSES, "passes", f"must be 1 … {MAXIMUM_PASSES}, not {compute.passes}")
    i.need(compute.shift <= MAXIMUM_SHIFT, "shift", f"must be 0 … {MAXIMUM_SHIFT}, not {compute.shift}")
    if compute.mode is Mode.MAXIMUM:
        i.need(compute.channels == 1, "channels", f"must be 1 in MAXIMUM, not {compute.channels}")
        for field in ("release", "release_constants", "residual", "output_digits"):
            reason = "must be 0 in MAXIMUM: it has no weights, constants, residuals or digits"
            i.need(getattr(compute, field) == 0, field, reason)
        return
    window = compute.kernel_y * compute.kernel_x * compute.channels
    i.need(compute.weight_words == window, "weight_words", f"must be kernel_y · kernel_x · channels = {window}, "
           f"not {compute.weight_words}")  # fmt: skip
    for field, offset, flag, released in (
        ("weight_offset", compute.weight_offset, "release", compute.release),
        ("constant_offset", compute.constant_offset, "release_constants", compute.release_constants),
    ):
        i.need(not released or offset == 0, field, f"must be 0 with {flag}, not {offset}")
    if not compute.output_digits:
        largest = (1 << geometry.activation_bits) - 1
        i.need(
            compute.maximum <= largest,
            "maximum",
            f"{compute.maximum} does not fit a slot (at most {largest}) without digits",
        )


def window_addresses(compute: Compute) -> tuple[np.ndarray, np.ndarray]:
    """Address of every group's first step (groups), and of its steps relative to it (passes × window); modulo 2^16."""
    shape = compute.passes, compute.kernel_y, compute.kernel_x, compute.channels
    deltas = np.full(shape, compute.delta_channel, np.int64)
    deltas[:, :, :, 0] = compute.delta_kernel_x
    deltas[:, :, 0, 0] = compute.delta_kernel_y
    deltas_of_passes = compute.delta_pass_1, compute.delta_pass_2, compute.delta_pass_3
    for number in range(1, compute.passes):
        deltas[number, 0, 0, 0] = deltas_of_passes[number - 1]
    deltas[0, 0, 0, 0] = 0
    steps = deltas.cumsum().reshape(compute.passes, -1)
    advances = np.full((compute.outputs_y, compute.outputs_x), compute.delta_x + steps[-1, -1], np.int64)
    advances[:, 0] = compute.delta_y + steps[-1, -1]
    advances[0, 0] = compute.base
    return advances.cumsum(), steps


def columns_inside(compute: Compute) -> np.ndarray:
    """Whether a step's column lies in the row held in memory: bool, outputs_x × window."""
    columns = np.arange(compute.outputs_x)[:, None] * compute.stride_x + np.arange(compute.kernel_x) - compute.pad_left
    inside = ((columns >= 0) & (columns < compute.width))[:, None, :, None]
    shape = (compute.outputs_x, compute.kernel_y, compute.kernel_x, compute.channels)
    return np.broadcast_to(inside, shape).reshape(compute.outputs_x, -1)


def activation_addresses(compute: Compute) -> np.ndarray:
    """The activation addresses that a COMPUTE reads and does not replace by zeros, ascending."""
    starts, steps = window_addresses(compute)
    inside = columns_inside(compute)
    read = np.zeros(1 << 16, bool)
    for x in range(compute.outputs_x):
        window = np.unique(steps[:, inside[x]])
        read[(starts[x :: compute.outputs_x, None] + window) & 0xFFFF] = True
    return np.flatnonzero(read)


def residual_addresses(compute: Compute, tile_words: int) -> np.ndarray:
    """The residual addresses that a COMPUTE reads: groups × digits × tile words; empty without `residual`."""
    groups = compute.groups if compute.residual else 0
    digits = 1 + compute.residual_digits
    planes = np.arange(digits * tile_words).reshape(digits, -1)
    return compute.residual_base + planes * compute.residual_pitch + np.arange(groups)[:, None, None]


class _Windows:
    """The activation words that the groups of an instruction read."""

    def __init__(self, i: Numbered[Compute], memory: LaneMemory) -> None:
        self.numbered, self.memory = i, memory
        self.starts, self.steps = window_addresses(i.instruction)
        self.inside = columns_inside(i.instruction)

    def pieces(self, lanes: int, channels: int) -> Iterator[slice]:
        """Slices of groups small enough to gather at once."""
        size = max(1, _GATHER_BYTES // (self.steps.shape[1] * lanes * channels))
        for start in range(0, len(self.starts), size):
            yield slice(start, min(start + size, len(self.starts)))

    def gather(self, groups: slice, number: int) -> tuple[np.ndarray, np.ndarray]:
        """A pass's codes (lanes × groups × window × Ti, uint8), and whether a lane's group reads valid words only."""
        addresses = (self.starts[groups, None] + self.steps[number]) & 0xFFFF
        inside = self.inside[np.arange(groups.start, groups.stop) % self.numbered.instruction.outputs_x]
        addresses[~inside] = 0
        if addresses.max() >= self.memory.depth:
            group, step = np.argwhere(addresses >= self.memory.depth)[0]
            self.numbered.fail(
                "base",
                f"step {step} of pass {number} in group {groups.start + group} reads activation address "
                f"{addresses[group, step]} of {self.memory.depth}",
            )
        codes = self.memory.words[:, addresses]
        codes[:, ~inside] = 0
        return codes, (self.memory.valid[:, addresses] | ~inside).all(axis=-1)


def maximum(i: Numbered[Compute], geometry: Geometry, activations: LaneMemory) -> Computed:
    """COMPUTE in mode MAXIMUM."""
    windows = _Windows(i, activations)
    passes, groups, lanes = i.instruction.passes, len(windows.starts), geometry.pixel_lanes
    outputs = np.empty((passes, lanes, groups, geometry.word_channels), np.uint8)
    valid = np.empty((passes, lanes, groups), bool)
    for piece in windows.pieces(lanes, geometry.word_channels):
        for number in range(passes):
            codes, good = windows.gather(piece, number)
            outputs[number, :, piece], valid[number, :, piece] = codes.max(axis=2), good
    return Computed(outputs, valid)


def convolve(
    i: Numbered[Compute],
    geometry: Geometry,
    activations: LaneMemory,
    residuals: LaneMemory,
    weights: WeightRing,
    constants: ConstantRing,
) -> Computed:
    """COMPUTE in mode CONVOLVE. Rings are read, not released."""
    compute = i.instruction
    tile = constants.released + compute.constant_offset
    i.need(
        tile < constants.written,
        "constant_offset",
        f"needs tile {tile} of constants; {constants.written} are loaded",
    )
    runs = _weight_runs(i, weights)
    sums, counts, valid = _accumulate(i, geometry, activations, runs)
    place = tile % constants.depth
    multiplier, offset, bias = (table[place] for table in (constants.multiplier, constants.offset, constants.bias))
    exact = sums - offset * counts[:, :, None]
    limit = 1 << (geometry.accumulator_bits - 1)
    held = ((exact + limit) & (2 * limit - 1)) - limit
    wrong = (held != exact) & valid[:, :, None] & (multiplier != 0)
    if wrong.any():
        lane, group, filter_lane = np.argwhere(wrong)[0]
        i.fail(
            "accumulator",
            f"group {group}, pixel lane {lane}, filter lane {filter_lane}: {exact[lane, group, filter_lane]} does not "
            f"fit {geometry.accumulator_bits} bits",
        )
    total = held * multiplier + bias
    words_valid = np.broadcast_to(valid[:, :, None], (*valid.shape, geometry.tile_words))
    if compute.residual:
        values, good = _residual(i, geometry, residuals)
        total += values * compute.residual_scale
        words_valid = words_valid & good
    codes = np.clip(total >> compute.shift, 0, compute.maximum)
    digits = [codes >> 4, codes & 15] if compute.output_digits else [codes]
    shape = (*valid.shape, geometry.tile_words, geometry.word_channels)
    outputs = np.concatenate([np.moveaxis(digit.astype(np.uint8).reshape(shape), 2, 0) for digit in digits])
    planes_valid = np.concatenate([np.moveaxis(words_valid, 2, 0)] * len(digits))
    return Computed(outputs, planes_valid, sums.swapaxes(0, 1), counts.swapaxes(0, 1))


def released_weights(i: Numbered[Compute]) -> int:
    """Weight words that the instruction frees; checks that they are freed in ring order and not read afterwards."""
    compute = i.instruction
    if not compute.release:
        return 0
    freed: list[int] = []
    for number in range(compute.passes):
        run = compute.weight_digit_mask >> number & 1
        i.need(run not in freed, "final_mask", f"pass {number} reads weight words that an earlier pass has freed")
        if compute.final_mask >> number & 1:
            i.need(
                run == len(freed), "final_mask", f"pass {number} frees run {run}; ring order frees {len(freed)} next"
            )
            freed.append(run)
    return len(freed) * compute.weight_words


def _weight_runs(i: Numbered[Compute], weights: WeightRing) -> list[np.ndarray]:
    """Multiplicands (window × To × Ti) of every pass."""
    compute = i.instruction
    runs = []
    if weights.written - weights.released > weights.depth:
        used, freed = compute.passes * compute.weight_words, released_weights(i)
        i.need(
            compute.groups == 1 and used == freed == weights.written - weights.released,
            "release",
            f"{weights.written - weights.released} words stream through a ring of {weights.depth}: one group must read "
            "each of them once and free it",
        )
    for number in range(compute.passes):
        digit = compute.weight_digit_mask >> number & 1
        start = weights.released + compute.weight_offset + digit * compute.weight_words
        end = start + compute.weight_words
        i.need(
            end <= weights.written,
            "weight_offset",
            f"pass {number} needs weight words {start} … {end - 1}; {weights.written} are loaded",
        )
        runs.append(weights.run(start, compute.weight_words))
    return runs


def _accumulate(
    i: Numbered[Compute], geometry: Geometry, activations: LaneMemory, runs: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact accumulators (lanes × groups × To), Σq (lanes × groups) and validity (lanes × groups)."""
    compute = i.instruction
    windows = _Windows(i, activations)
    lanes, groups, filters = geometry.pixel_lanes, len(windows.starts), geometry.tile_filters
    sums, counts = np.zeros((lanes, groups, filters), np.int64), np.zeros((lanes, groups), np.int64)
    valid = np.ones((lanes, groups), bool)
    # step, channel × filter. Rows are multiplied in slabs whose every partial sum is an integer that float32 holds.
    matrices = [run.transpose(0, 2, 1).reshape(-1, filters).astype(np.float32) for run in runs]
    largest = max(int(np.abs(matrix).max()) for matrix in matrices) * ((1 << geometry.activation_bits) - 1)
    slab = ((1 << 24) - 1) // max(largest, 1)
    for piece in windows.pieces(lanes, geometry.word_channels):
        for number, matrix in enumerate(matrices):
            codes, good = windows.gather(piece, number)
            flat = codes.reshape(-1, len(matrix)).astype(np.float32)
            if compute.shift_mask >> number & 1:
                sums[:, piece] *= 16
                counts[:, piece] *= 16
            for start in range(0, len(matrix), slab):
                rows = slice(start, start + slab)
                sums[:, piece] += (flat[:, rows] @ matrix[rows]).reshape(lanes, -1, filters).astype(np.int64)
            if compute.count_mask >> number & 1:
                counts[:, piece] += codes.sum(axis=(2, 3), dtype=np.int64)
            valid[:, piece] &= good
    return sums, counts, valid


def _residual(i: Numbered[Compute], geometry: Geometry, residuals: LaneMemory) -> tuple[np.ndarray, np.ndarray]:
    """Residual values (lanes × groups × To, int64) and their validity (lanes × groups × tile words)."""
    addresses = residual_addresses(i.instruction, geometry.tile_words)
    i.need(
        int(addresses.max()) < residuals.depth,
        "residual_base",
        f"reads residual address {addresses.max()} of {residuals.depth}",
    )
    words = residuals.words[:, addresses].astype(np.int64)  # lane, group, digit, word, slot
    value = words[:, :, 0] if not i.instruction.residual_digits else 16 * words[:, :, 0] + words[:, :, 1]
    return value.reshape(*value.shape[:2], -1), np.asarray(residuals.valid[:, addresses].all(axis=2))

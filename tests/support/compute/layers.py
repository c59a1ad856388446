"""Fields of COMPUTE instructions for tests, and random cases."""

import dataclasses

import numpy as np

from intramix.hdl import isa
from intramix.hdl.geometry import Geometry, LaneClass

from .arrays import BehaviouralArray
from .bench import run
from .reference import Reference

PASSES = {
    # (activation digits, weight digits): activation digit of every pass, then the masks of docs/architecture.md.
    (1, 1): ((0,), {"count_mask": 0b1, "final_mask": 0b1}),
    (2, 1): ((0, 1), {"shift_mask": 0b10, "count_mask": 0b11, "final_mask": 0b10}),
    (1, 2): ((0, 0), {"shift_mask": 0b10, "count_mask": 0b01, "weight_digit_mask": 0b10, "final_mask": 0b11}),
    (2, 2): (
        (0, 1, 0, 1),
        {"shift_mask": 0b1010, "count_mask": 0b1100, "weight_digit_mask": 0b1100, "final_mask": 0b1010},
    ),
}


def small(**fields):
    """A small geometry: Ti = 4, To = 8, P = 2, D = 2."""
    return Geometry(**{
        "word_channels": 4, "pixel_lanes": 2, "fixed8_lanes": 1, "fixed4_lanes": 4, "lut_lanes": 3,
        "activation_bits": 4, "activation_depth": 160, "residual_depth": 64, "output_depth": 96, "weight_depth": 64,
        "constant_tiles": 4,
        **fields,
    })  # fmt: skip


def window(
    *, rows, columns, channels=1, kernel=(1, 1), stride=(1, 1), outputs=(1, 1), pad_left=0, passes=(0,), base=0
):
    """Geometry fields of a COMPUTE over maps of `rows` × `columns`, plane by plane; `passes` gives each pass's digit.

    A digit is `channels` planes. For MAXIMUM give one channel, and the channel words as passes.
    """
    plane = rows * columns
    digits = [digit * channels * plane for digit in passes]
    inner = (channels - 1) * plane + kernel[1] - 1 + (kernel[0] - 1) * columns
    end = inner + digits[-1] - digits[0]
    steps = dict.fromkeys(("delta_pass_1", "delta_pass_2", "delta_pass_3"), 0)
    for number in range(1, len(digits)):
        steps[f"delta_pass_{number}"] = digits[number] - digits[number - 1] - inner
    return {
        **steps,
        "outputs_y": outputs[0],
        "outputs_x": outputs[1],
        "passes": len(passes),
        "kernel_y": kernel[0],
        "kernel_x": kernel[1],
        "channels": channels,
        "base": (base + digits[0] - pad_left) % 65536,
        "delta_channel": plane,
        "delta_kernel_x": 1 - (channels - 1) * plane,
        "delta_kernel_y": columns - (kernel[1] - 1) - (channels - 1) * plane,
        "delta_x": stride[1] - end,
        "delta_y": stride[0] * columns - (outputs[1] - 1) * stride[1] - end,
        "pad_left": pad_left,
        "stride_x": stride[1],
        "width": columns,
    }


@dataclasses.dataclass
class Case:
    """Instructions with everything they read."""

    geometry: Geometry
    instructions: list
    activations: np.ndarray
    residuals: np.ndarray
    weights: np.ndarray
    constants: list

    def expected(self):
        reference = Reference(self.geometry, self.activations, self.residuals, self.weights, self.constants)
        for fields in self.instructions:
            reference.execute({field.name: fields.get(field.name, 0) for field in isa.COMPUTE})
        return reference

    def run(self, *, latency=9, hold=7, array=None, **options):
        array = array or BehaviouralArray(self.geometry, latency=latency, hold=hold)
        return run(
            self.geometry,
            self.instructions,
            activations=self.activations,
            residuals=self.residuals,
            weights=self.weights,
            constants=self.constants,
            array=array,
            **options,
        )


def random_constants(random, geometry, *, digits=False):
    """A tile of constants that spreads accumulators of a few thousand over the codes."""
    return [
        (
            int(random.integers(-60, 120)),
            2 if digits or lane is LaneClass.FIXED8 else 0 if lane is LaneClass.LUT_POT else 1,
            int(random.integers(-4000, 20000)),
        )
        for lane in geometry.lanes
    ]


def random_weights(random, geometry, words, *, digits=False):
    """Stored codes, words × To × Ti; with `digits`, 4-bit digits for every lane."""
    limits = [16 if digits else 1 << lane.weight_bits for lane in geometry.lanes]
    return np.stack([random.integers(0, limit, (words, geometry.word_channels)) for limit in limits], axis=1)


def random_case(seed, geometry, *, count=4, pooling=True):
    """At most `count` instructions one after another that fit the memories and rings."""
    random = np.random.default_rng(seed)
    g = geometry
    instructions, weights, constants = [], [], []
    resident_words = resident_tiles = 0
    output = 0
    signals = 1 << 1 | 1 << 3 | 1 << 4
    pick = lambda *choices: choices[random.integers(len(choices))]  # noqa: E731
    for _ in range(1000):
        if len(instructions) == count:
            break
        kernel = pick((1, 1), (3, 3), (2, 3), (1, 2))
        stride = pick((1, 1), (2, 2), (1, 2))
        pad = int(random.integers(0, kernel[1]))
        outputs = (int(random.integers(1, 4)), int(random.integers(1, 5)))
        rows = (outputs[0] - 1) * stride[0] + kernel[0]
        columns = max(1, (outputs[1] - 1) * stride[1] + kernel[1] - 2 * pad)
        groups = outputs[0] * outputs[1]
        number = len(instructions)
        common = {"layer": number + 1, "signal": int(random.integers(256)) & signals}
        if pooling and random.random() < 0.25:
            passes = int(random.integers(1, 5))
            if rows * columns * passes > g.activation_depth or output + passes * groups > g.output_depth:
                continue
            instructions.append(
                {
                    **window(rows=rows, columns=columns, kernel=kernel, stride=stride, outputs=outputs, pad_left=pad,
                             passes=tuple(range(passes))),
                    **common, "mode": 1, "output_base": output, "output_pitch": groups,
                }
            )  # fmt: skip
            output += passes * groups
            continue
        digits = (int(random.integers(1, 3)), int(random.integers(1, 3)))
        if digits[1] == 2 and any(lane in (LaneClass.LUT_SP2, LaneClass.LUT_POT) for lane in g.lanes):
            continue
        channels = int(random.integers(1, 4))
        order, masks = PASSES[digits]
        size = rows * columns * channels * digits[0]
        base = int(random.integers(0, max(1, g.activation_depth - size)))
        words = kernel[0] * kernel[1] * channels
        output_digits, residual, residual_digits = (int(random.integers(2)) for _ in range(3))
        planes = g.tile_words * (1 + output_digits)
        residual_planes = g.tile_words * (1 + residual_digits)
        # Sometimes weights or constants are used once without being freed, then again.
        release = int(random.random() < 0.7)
        offset = 0 if release else resident_words
        if (
            size > g.activation_depth
            or output + planes * groups > g.output_depth
            or residual_planes * groups > g.residual_depth
            or resident_words + words * digits[1] > g.weight_depth
            or (release and resident_words)
        ):
            continue
        release_constants = int(random.random() < 0.7) if resident_tiles == 0 else 0
        if not release_constants and resident_tiles + 1 >= g.constant_tiles:
            continue
        instructions.append(
            {
                **window(rows=rows, columns=columns, channels=channels, kernel=kernel, stride=stride, outputs=outputs,
                         pad_left=pad, passes=order, base=base),
                **masks, **common, "weight_offset": offset, "weight_words": words, "release": release,
                "constant_offset": 0 if release_constants else resident_tiles, "release_constants": release_constants,
                "shift": int(random.integers(6, 13)) + 4 * (digits[0] + digits[1] - 2),
                "maximum": pick(255, 100, 20) if output_digits else pick((1 << g.activation_bits) - 1, 9, 1),
                "output_base": output, "output_pitch": groups, "output_digits": output_digits, "residual": residual,
                "residual_base": int(random.integers(0, g.residual_depth - residual_planes * groups + 1)),
                "residual_pitch": groups, "residual_digits": residual_digits,
                "residual_scale": int(random.integers(-3000, 9000)),
            }
        )  # fmt: skip
        output += planes * groups
        weights.append(random_weights(random, g, words * digits[1], digits=digits[1] == 2))
        constants.append(random_constants(random, g, digits=digits[1] == 2))
        resident_words += 0 if release else words * digits[1]
        resident_tiles += 0 if release_constants else 1
    none = np.zeros((0, g.tile_filters, g.word_channels), int)
    shape = (g.pixel_lanes, g.activation_depth, g.word_channels)
    return Case(
        g,
        instructions,
        random.integers(0, 1 << g.activation_bits, shape),
        random.integers(0, 16, (g.pixel_lanes, g.residual_depth, g.word_channels)),
        np.concatenate([none, *weights]),
        constants,
    )


def convolution_case(geometry, *, seed=0, kernel=(3, 3), channels=2, outputs=(3, 4), instructions=1, **fields):
    """Equal plain convolutions one after another, each with weights and constants of its own."""
    random = np.random.default_rng(seed)
    g = geometry
    words = kernel[0] * kernel[1] * channels
    rows, columns = outputs[0] + kernel[0] - 1, outputs[1]
    groups = outputs[0] * outputs[1]
    common = {
        **window(
            rows=rows, columns=columns, channels=channels, kernel=kernel, outputs=outputs, pad_left=kernel[1] // 2
        ),
        **PASSES[1, 1][1], "weight_words": words, "release": 1, "release_constants": 1, "shift": 10,
        "maximum": (1 << g.activation_bits) - 1, "output_pitch": groups, "signal": 1 << 1 | 1 << 4, **fields,
    }  # fmt: skip
    return Case(
        g,
        [
            {**common, "layer": number + 1, "output_base": number * groups * g.tile_words}
            for number in range(instructions)
        ],
        random.integers(0, 1 << g.activation_bits, (g.pixel_lanes, g.activation_depth, g.word_channels)),
        random.integers(0, 1 << g.activation_bits, (g.pixel_lanes, g.residual_depth, g.word_channels)),
        random_weights(random, g, words * instructions),
        [random_constants(random, g) for _ in range(instructions)],
    )

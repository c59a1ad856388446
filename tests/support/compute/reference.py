"""COMPUTE read from docs/architecture.md, step by step, on plain integers."""

import numpy as np

from intramix.hdl.encoding import weight_of
from intramix.hdl.geometry import LaneClass

MULTIPLE = (0, 8, 128)


def stored_weight(lane, code):
    """What a lane multiplies codes by: offset binary for fixed-point and SP2 lanes, signed for PoT."""
    if lane is LaneClass.LUT_POT:
        return weight_of(lane, code)
    return weight_of(lane, code) + 8 if lane is LaneClass.LUT_SP2 else code


class Reference:
    """The state that COMPUTE sees.

    Parameters
    ----------
    activations, residuals: lanes × depth × Ti.
    weights: words × To × Ti stored codes, as loaded.
    constants: a list of tiles, each a list of To (M, offset, B).
    """

    def __init__(self, geometry, activations, residuals, weights, constants):
        self.g = geometry
        self.activations, self.residuals = activations, residuals
        decoders = [
            np.array([stored_weight(lane, code) for code in range(1 << lane.weight_bits)]) for lane in geometry.lanes
        ]
        self.weights = np.stack([decoders[f][weights[:, f]] for f in range(geometry.tile_filters)], axis=1)
        self.constants = constants
        self.released = self.tiles_released = self.steps = 0
        self.outputs = np.full((geometry.pixel_lanes, geometry.output_depth, geometry.word_channels), -1)

    def _steps(self, i):
        """(group, pass, step of the run, address, column inside) of every step, in order."""
        address = i["base"]
        first = True
        for y in range(i["outputs_y"]):
            for x in range(i["outputs_x"]):
                for p in range(i["passes"]):
                    for ky in range(i["kernel_y"]):
                        for kx in range(i["kernel_x"]):
                            for c in range(i["channels"]):
                                if first:
                                    delta = 0
                                elif c:
                                    delta = i["delta_channel"]
                                elif kx:
                                    delta = i["delta_kernel_x"]
                                elif ky:
                                    delta = i["delta_kernel_y"]
                                elif p:
                                    delta = i[f"delta_pass_{p}"]
                                else:
                                    delta = i["delta_x"] if x else i["delta_y"]
                                first = False
                                address = (address + delta) % 65536
                                column = x * i["stride_x"] + kx - i["pad_left"]
                                k = (ky * i["kernel_x"] + kx) * i["channels"] + c
                                self.steps += 1
                                yield y * i["outputs_x"] + x, p, k, address, 0 <= column < i["width"]

    def _word(self, address, inside):
        if not inside:
            return np.zeros((self.g.pixel_lanes, self.g.word_channels), int)
        return self.activations[:, address].astype(int)

    def execute(self, i):
        if i["mode"]:
            best = {}
            for n, p, _, address, inside in self._steps(i):
                word = self._word(address, inside)
                best[n, p] = np.maximum(best.get((n, p), word), word)
            for (n, p), word in best.items():
                self.outputs[:, i["output_base"] + p * i["output_pitch"] + n] = word
            return

        g = self.g
        groups = i["outputs_x"] * i["outputs_y"]
        accumulators = np.zeros((groups, g.pixel_lanes, g.tile_filters), int)
        sums = np.zeros((groups, g.pixel_lanes), int)
        start = self.released + i["weight_offset"]
        previous = None
        for n, p, k, address, inside in self._steps(i):
            if (n, p) != previous and i["shift_mask"] >> p & 1:
                accumulators[n] *= 16
                sums[n] *= 16
            previous = n, p
            word = self._word(address, inside)
            weights = self.weights[start + (i["weight_words"] if i["weight_digit_mask"] >> p & 1 else 0) + k]
            accumulators[n] += word @ weights.T
            if i["count_mask"] >> p & 1:
                sums[n] += word.sum(axis=1)
            if i["release"] and n == groups - 1 and i["final_mask"] >> p & 1:
                self.released += 1

        tile = self.constants[self.tiles_released + i["constant_offset"]]
        half = 1 << (g.accumulator_bits - 1)
        for n in range(groups):
            for lane in range(g.pixel_lanes):
                for f in range(g.tile_filters):
                    multiplier, offset, bias = tile[f]
                    a = int(accumulators[n, lane, f]) - MULTIPLE[offset] * int(sums[n, lane])
                    a = (a + half) % (2 * half) - half
                    total = a * multiplier + self._residual(i, n, lane, f) * i["residual_scale"] + bias
                    y = min(max(total >> i["shift"], 0), i["maximum"])
                    d, slot = divmod(f, g.word_channels)
                    digits = (y >> 4, y & 15) if i["output_digits"] else (y,)
                    for digit, code in enumerate(digits):
                        place = i["output_base"] + (digit * g.tile_words + d) * i["output_pitch"] + n
                        self.outputs[lane, place, slot] = code
        self.tiles_released += i["release_constants"]

    def _residual(self, i, n, lane, f):
        if not i["residual"]:
            return 0
        d, slot = divmod(f, self.g.word_channels)
        planes = [digit * self.g.tile_words + d for digit in range(1 + i["residual_digits"])]
        addresses = [i["residual_base"] + plane * i["residual_pitch"] + n for plane in planes]
        codes = [int(self.residuals[lane, address, slot]) for address in addresses]
        return 16 * codes[0] + codes[1] if i["residual_digits"] else codes[0]

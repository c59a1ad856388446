"""The interpreter on hand-written programs, against plain torch, zlib and the loops of docs/architecture.md."""

import itertools
import zlib

import numpy as np
import pytest
import torch

from intramix.compiler.interpreter.interpret import (
    InterpretedMachine,
    InterpreterError,
    interpret,
    memory_for,
    run_codes,
)
from intramix.compiler.program.map_layout import MapLayout
from intramix.compiler.program.program import Program
from intramix.hdl.encoding import code_table, encode_weights, offset_code, pack_weight_words, weight_of
from intramix.hdl.geometry import Geometry, LaneClass
from intramix.hdl.isa import CONSTANT_LAYOUT, KERNEL_WORDS, Mode, OffsetCode, Opcode, Region, Token, pack
from tests.support.raw_instructions import encode


def geometry(**fields):
    given = {
        "word_channels": 8,
        "pixel_lanes": 2,
        "fixed8_lanes": 2,
        "fixed4_lanes": 2,
        "lut_lanes": 4,
        "lut_scheme": LaneClass.LUT_SP2,
        "activation_bits": 5,
        "activation_depth": 1024,
        "residual_depth": 256,
        "output_depth": 256,
        "weight_depth": 64,
        "constant_tiles": 2,
    }
    return Geometry(**(given | fields))


def bit(*tokens):
    return sum(1 << token for token in tokens)


def layout(g, name, shape, bits, region="INPUT", offset=0):
    channels, height, width = shape
    order = np.full(-(-channels // g.word_channels) * g.word_channels, -1)
    order[:channels] = np.arange(channels)
    return MapLayout(name, region, offset, channels, height, width, bits, order, g.word_channels, g.activation_bits)


def constants_bytes(g, multiplier, offsets, bias):
    """One tile: row i of the drain holds lane u · rows + i of every unit u."""
    rows = g.tile_filters // g.post_units
    lanes = [unit * rows + row for row in range(rows) for unit in range(g.post_units)]
    return b"".join(
        pack(
            CONSTANT_LAYOUT,
            {"multiplier": int(multiplier[lane]), "offset": int(offsets[lane]), "bias": int(bias[lane])},
        ).to_bytes(8, "little")
        for lane in lanes
    )


def refused(machine, field, message, opcode, /, **fields):
    with pytest.raises(InterpreterError, match=message) as caught:
        machine.execute(encode(opcode, **fields))
    assert (caught.value.opcode, caught.value.field, caught.value.index) == (opcode, field, machine.executed)


# LOAD_MAP -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("residual", [0, 1])
@pytest.mark.parametrize("by_row", [False, True])
def test_load_map_cuts_bands_with_halos_and_padding(by_row, residual):
    g = geometry(pixel_lanes=4)
    codes = np.random.default_rng(1).integers(0, 32, (16, 5, 6), np.uint8)
    place = layout(g, "x", codes.shape, 5, offset=7)
    machine = InterpretedMachine(g, {"INPUT": bytearray(7) + bytearray(place.pack(codes))})
    chunks = (
        {"chunks": 5, "chunk_words": 6, "chunk_stride": 6 * g.word_bytes}
        if by_row
        else {"chunks": 1, "chunk_words": 30}
    )
    effect = machine.execute(
        encode(
            Opcode.LOAD_MAP,
            region=Region.INPUT,
            address=7,
            planes=2,
            plane_stride=place.plane_bytes,
            row_words=6,
            pad_top=1,
            pad_bottom=2,
            lane_step=2,
            lane_rows=4,
            lane_mask=0b1011,
            residual=residual,
            base=3,
            plane_pitch=30,
            signal=bit(Token.INPUT_READY, Token.RESIDUAL_READY),
            **chunks,
        )
    )
    memory = machine.residual if residual else machine.activation
    padded = np.pad(codes.reshape(2, 8, 5, 6), ((0, 0), (0, 0), (1, 2), (0, 0)))
    written = np.zeros((4, memory.depth), bool)
    for lane, plane in itertools.product((0, 1, 3), range(2)):
        rows = padded[plane, :, 2 * lane : 2 * lane + 4]  # lane 3 starts at row 6 of 8: two rows only
        expected = rows.transpose(1, 2, 0).reshape(-1, 8)
        start = 3 + 30 * plane
        np.testing.assert_array_equal(memory.words[lane, start : start + len(expected)], expected)
        written[lane, start : start + len(expected)] = True
    np.testing.assert_array_equal(memory.valid, written)
    assert sum(len(write.words) for write in effect.writes) == written.sum()
    assert effect.read_bytes == place.bytes
    assert machine.tokens.counts[Token.INPUT_READY] == machine.tokens.counts[Token.RESIDUAL_READY] == 1


# COMPUTE against the loops of the documentation -----------------------------------------------------------------------


def stored(lane, code):
    """What the array multiplies by, from the definition of stored weights."""
    if lane is LaneClass.LUT_POT:
        return weight_of(lane, code)
    return weight_of(lane, code) + {LaneClass.FIXED8: 128}.get(lane, 8)


def loops(g, fields, memory, codes):
    """Accumulators and Σq of a lane by the loop nest, in Python integers; `codes`: words × To × Ti stored codes."""
    f = fields
    sums, counts, address, first = [], [], f["base"], True
    for _y, x in itertools.product(range(f["outputs_y"]), range(f["outputs_x"])):
        accumulators, count = [0] * g.tile_filters, 0
        for p, ky, kx, c in itertools.product(*(range(f[n]) for n in ("passes", "kernel_y", "kernel_x", "channels"))):
            if not first:
                if c:
                    address += f["delta_channel"]
                elif kx:
                    address += f["delta_kernel_x"]
                elif ky:
                    address += f["delta_kernel_y"]
                elif p:
                    address += f[f"delta_pass_{p}"]
                elif x:
                    address += f["delta_x"]
                else:
                    address += f["delta_y"]
            first = False
            if ky == kx == c == 0 and f["shift_mask"] >> p & 1:
                accumulators, count = [16 * a for a in accumulators], 16 * count
            column = x * f["stride_x"] + kx - f["pad_left"]
            word = memory[address % 65536] if 0 <= column < f["width"] else [0] * g.word_channels
            step = (ky * f["kernel_x"] + kx) * f["channels"] + c
            weight = f["weight_offset"] + (f["weight_words"] if f["weight_digit_mask"] >> p & 1 else 0) + step
            for lane, kind in enumerate(g.lanes):
                accumulators[lane] += sum(stored(kind, int(w)) * int(q) for w, q in zip(codes[weight][lane], word))
            if f["count_mask"] >> p & 1:
                count += sum(int(q) for q in word)
        sums.append(accumulators)
        counts.append(count)
    return sums, counts


@pytest.mark.parametrize("seed", range(12))
def test_compute_follows_the_loop_nest(seed):
    rng = np.random.default_rng(seed)
    scheme = [LaneClass.LUT_SP2, LaneClass.LUT_POT, LaneClass.LUT_FIXED4][seed % 3]
    g = geometry(lut_scheme=scheme, weight_ports=1 + seed % 2)
    machine = InterpretedMachine(g, {})
    machine.activation.words[:] = rng.integers(0, 32, machine.activation.words.shape)
    machine.activation.valid[:] = True
    fields = {name: int(rng.integers(1, 4)) for name in ("outputs_y", "outputs_x", "kernel_y", "kernel_x", "channels")}
    fields |= {"passes": 1 + seed % 4, "stride_x": int(rng.integers(1, 3)), "width": int(rng.integers(1, 6))}
    fields |= {"pad_left": int(rng.integers(0, 3)), "base": 500}
    deltas = ("delta_channel", "delta_kernel_x", "delta_kernel_y", "delta_x", "delta_y")
    fields |= {name: int(rng.integers(-3, 4)) for name in (*deltas, *(f"delta_pass_{n}" for n in (1, 2, 3)))}
    masks = ("shift_mask", "count_mask", "weight_digit_mask")
    fields |= {name: int(rng.integers(0, 16)) for name in masks}
    fields |= {"weight_offset": 3, "weight_words": fields["kernel_y"] * fields["kernel_x"] * fields["channels"]}
    codes = rng.integers(0, [256 if kind is LaneClass.FIXED8 else 16 for kind in g.lanes], (64, 8, g.tile_filters))
    codes = codes.swapaxes(1, 2).astype(np.uint8)
    machine.weights.append(pack_weight_words(g, codes))
    machine.constants.append(None, bytes(g.tile_filters * 8))
    computed = machine.execute(encode(Opcode.COMPUTE, **fields)).computed
    for lane in range(g.pixel_lanes):
        memory = {address: machine.activation.words[lane, address] for address in range(g.activation_depth)}
        sums, counts = loops(g, fields, memory, codes)
        np.testing.assert_array_equal(computed.accumulators[:, lane], sums)
        np.testing.assert_array_equal(computed.activation_sums[:, lane], counts)


def test_long_windows_are_exact_beyond_float32():
    g = geometry(word_channels=64, fixed8_lanes=64, fixed4_lanes=0, lut_lanes=0, post_units=8)
    machine = InterpretedMachine(g, {})
    rng = np.random.default_rng(11)
    machine.activation.words[:] = rng.integers(30, 32, machine.activation.words.shape)
    machine.activation.valid[:] = True
    codes = rng.integers(240, 256, (40, 64, 64), np.uint8)
    machine.weights.append(pack_weight_words(g, codes))
    machine.constants.append(None, bytes(g.tile_filters * 8))
    computed = machine.execute(encode(Opcode.COMPUTE, **one_step(weight_words=40))).computed
    expected = np.einsum("sfc,lsc->lf", codes.astype(np.int64), machine.activation.words[:, :40].astype(np.int64))
    assert expected.min() > 1 << 24
    np.testing.assert_array_equal(computed.accumulators[0], expected)


# Whole convolutions against torch -------------------------------------------------------------------------------------


class Convolution:
    """A program for one tile of a convolution, every field from the formulas of docs/architecture.md."""

    def __init__(self, g, rng, *, shape, bits, kernel=3, stride=1, output_bits=5, residual_bits=None, weight_digits=1):
        self.g, self.rng = g, rng
        self.kernel, self.stride, self.padding, self.weight_digits = kernel, stride, kernel // 2, weight_digits
        self.codes = rng.integers(0, 1 << bits, shape, np.uint8)
        rows, columns = ((size + 2 * self.padding - kernel) // stride + 1 for size in shape[1:])
        self.x = layout(g, "x", shape, bits)
        self.y = layout(g, "y", (g.tile_filters, rows, columns), output_bits, "OUTPUT")
        self.residual, self.residual_scale = None, 0
        if residual_bits:
            self.residual = rng.integers(0, 1 << residual_bits, (g.tile_filters, rows, columns), np.uint8)
            self.r = layout(g, "r", self.residual.shape, residual_bits, offset=-(-self.x.bytes // 64) * 64)
        self.weights = self._weights()
        self.shift, self.maximum = 15, (1 << output_bits) - 1
        self.calibrate()

    def calibrate(self):
        """M, R and B under which most outputs are inside 0 … maximum."""
        g, rng = self.g, self.rng
        sums = self.sums().numpy().reshape(g.tile_filters, -1)
        gain = self.maximum / (4 * np.maximum(sums.std(axis=1), 1)) * rng.choice([-1, 1], g.tile_filters)
        self.multiplier = np.rint(gain * (1 << self.shift)).astype(np.int64)
        centre = self.maximum / 2 - gain * sums.mean(axis=1)
        if self.residual is not None:
            self.residual_scale = -round((self.maximum << self.shift) / (4 << self.r.bits))
            centre -= self.residual_scale / (1 << self.shift) * self.residual.mean()
        self.bias = np.rint(centre * (1 << self.shift)).astype(np.int64) + (1 << self.shift - 1)

    def _weights(self):
        """To × C × kernel × kernel, each from what its lane can hold; lanes that cannot take digits hold no filter."""
        shape = (self.x.channels, self.kernel, self.kernel)
        if self.weight_digits == 2:
            used = [kind not in (LaneClass.LUT_SP2, LaneClass.LUT_POT) for kind in self.g.lanes]
            return self.rng.integers(-127, 128, (self.g.tile_filters, *shape)) * np.array(used)[:, None, None, None]
        return np.stack([self.rng.choice(sorted(code_table(kind)), shape) for kind in self.g.lanes])

    def weight_stream(self):
        """Stored words of the tile: run after run, each (ky, kx, channel word)."""
        g, words = self.g, self.x.channel_words
        padded = np.zeros((g.tile_filters, words * g.word_channels, self.kernel, self.kernel), np.int64)
        padded[:, : self.x.channels] = self.weights
        steps = padded.reshape(g.tile_filters, words, g.word_channels, self.kernel, self.kernel)
        steps = steps.transpose(3, 4, 1, 0, 2).reshape(-1, g.tile_filters, g.word_channels)
        if self.weight_digits == 2:
            runs = [(steps + 128) >> 4, (steps + 128) & 15]
        else:
            runs = [np.stack([encode_weights(kind, steps[:, lane]) for lane, kind in enumerate(g.lanes)], axis=1)]
        return pack_weight_words(g, np.concatenate(runs).astype(np.uint8))

    def parameters(self):
        """Constants at 0, then one weight stream a port, and the stride between streams."""
        g = self.g
        offsets = [offset_code(kind, digits=self.weight_digits == 2) for kind in g.lanes]
        multiplier, bias = self.multiplier.copy(), self.bias.copy()
        if self.weight_digits == 2:
            unused = [kind in (LaneClass.LUT_SP2, LaneClass.LUT_POT) for kind in g.lanes]
            multiplier[unused] = bias[unused] = self.multiplier[unused] = self.bias[unused] = 0
        data = constants_bytes(g, multiplier, offsets, bias)
        data += bytes(-len(data) % 64)
        words = self.weight_stream()
        slices = np.split(words, g.weight_ports, axis=1)
        return data + b"".join(piece.tobytes() for piece in slices), len(data), slices[0].size, len(words)

    def program(self):
        g, k, s = self.g, self.kernel, self.stride
        parameters, weights_at, port_stride, words = self.parameters()
        rows, columns = self.y.height, self.y.width
        band = -(-rows // g.pixel_lanes)
        lane_rows = (band - 1) * s + k
        pitch, row, count = lane_rows * self.x.width, self.x.width, self.x.channel_words
        maps = {
            "row_words": row, "chunks": 1, "chunk_words": self.x.height * row, "lane_mask": (1 << g.pixel_lanes) - 1,
            "region": Region.INPUT,
        }  # fmt: skip
        code = [
            encode(Opcode.LOAD_CONSTANTS, region=Region.PARAMETERS, address=0, tiles=1),
            encode(
                Opcode.LOAD_WEIGHTS, region=Region.PARAMETERS, address=weights_at, port_stride=port_stride, words=words
            ),
            encode(
                Opcode.LOAD_MAP, **maps, planes=self.x.digits * count, plane_stride=self.x.plane_bytes,
                pad_top=self.padding, pad_bottom=self.padding, lane_step=band * s, lane_rows=lane_rows, base=9,
                plane_pitch=pitch, signal=bit(Token.INPUT_READY),
            ),
        ]  # fmt: skip
        wait = bit(Token.INPUT_READY)
        if self.residual is not None:
            wait |= bit(Token.RESIDUAL_READY)
            code.append(
                encode(
                    Opcode.LOAD_MAP, **maps | {"row_words": columns, "chunk_words": rows * columns},
                    address=self.r.offset, planes=self.r.digits * g.tile_words, plane_stride=self.r.plane_bytes,
                    lane_step=band, lane_rows=band, residual=1, base=2, plane_pitch=band * columns,
                    signal=bit(Token.RESIDUAL_READY),
                )
            )  # fmt: skip
        digits = list(itertools.product(range(self.weight_digits), range(self.x.digits)))  # weight, activation
        masks = {(1, 1): (0, 1, 0, 1), (2, 1): (0b10, 0b11, 0, 0b10), (1, 2): (0b10, 0b10, 0b10, 0b11),
                 (2, 2): (0b1010, 0b1100, 0b1100, 0b1010)}[self.x.digits, self.weight_digits]  # fmt: skip
        extent = (count - 1) * pitch + (k - 1) + (k - 1) * row
        at = [digit * count * pitch for _, digit in digits]
        end = extent + at[-1] - at[0]
        passes = {f"delta_pass_{n}": at[n] - at[n - 1] - extent for n in range(1, len(digits))}
        code.append(
            encode(
                Opcode.COMPUTE, wait=wait, signal=bit(Token.OUTPUT_READY, Token.INPUT_FREE), layer=5,
                outputs_y=band, outputs_x=columns, passes=len(digits), kernel_y=k, kernel_x=k, channels=count,
                base=9 - self.padding, delta_channel=pitch, delta_kernel_x=1 - (count - 1) * pitch,
                delta_kernel_y=row - (k - 1) - (count - 1) * pitch, **passes,
                delta_x=s - end, delta_y=s * row - (columns - 1) * s - end,
                pad_left=self.padding, stride_x=s, width=row,
                shift_mask=masks[0], count_mask=masks[1], weight_digit_mask=masks[2], final_mask=masks[3],
                weight_words=k * k * count, release=1, release_constants=1, shift=self.shift, maximum=self.maximum,
                output_base=1, output_pitch=band * columns, output_digits=self.y.digits - 1,
                residual=int(self.residual is not None), residual_base=2, residual_pitch=band * columns,
                residual_digits=0 if self.residual is None else self.r.digits - 1, residual_scale=self.residual_scale,
            )
        )  # fmt: skip
        for lane in range(g.pixel_lanes):
            taken = min(band, rows - lane * band)
            if taken <= 0:
                break
            code.append(
                encode(
                    Opcode.STORE, wait=bit(Token.OUTPUT_READY) if lane == 0 else 0, region=Region.OUTPUT, layer=5,
                    address=lane * band * columns * g.word_bytes, planes=self.y.digits * g.tile_words,
                    plane_stride=self.y.plane_bytes, chunks=taken, chunk_stride=columns * g.word_bytes,
                    chunk_words=columns, lane=lane, base=1, plane_pitch=band * columns,
                    crc_start=int(lane == 0), crc_emit=int((lane + 1) * band >= rows), crc_slot=2,
                )
            )  # fmt: skip
        code.append(encode(Opcode.FINISH))
        inputs = self.x.bytes if self.residual is None else self.r.offset + self.r.bytes
        return Program(
            name="tile", geometry=g, instructions=b"".join(code), parameters=parameters, input=self.x,
            outputs=(self.y,), maps={"y": self.y}, layers=(), keeps_maps=True,
            sizes={"PARAMETERS": len(parameters), "INPUT": inputs, "OUTPUT": self.y.bytes, "WORKSPACE": 0, "LOG": 48},
        )  # fmt: skip

    def memory(self, program):
        memory = memory_for(program, self.codes)
        if self.residual is not None:
            memory["INPUT"][self.r.offset :] = self.r.pack(self.residual)
        return memory

    def sums(self):
        """Σ w·q by torch.nn.functional.conv2d in float64."""
        return torch.nn.functional.conv2d(
            torch.from_numpy(self.codes).double()[None],
            torch.from_numpy(self.weights).double(),
            stride=self.stride,
            padding=self.padding,
        )[0].long()

    def expected(self):
        """Output codes in torch's int64 (B holds the half)."""
        total = (
            self.sums() * torch.from_numpy(self.multiplier)[:, None, None] + torch.from_numpy(self.bias)[:, None, None]
        )
        if self.residual is not None:
            total += self.residual_scale * torch.from_numpy(self.residual).long()
        return torch.div(total, 1 << self.shift, rounding_mode="floor").clamp(0, self.maximum).numpy()


POT = {"lut_scheme": LaneClass.LUT_POT, "fixed8_lanes": 4, "fixed4_lanes": 4, "lut_lanes": 8}
PLAIN = {"lut_scheme": LaneClass.LUT_FIXED4}
CASES = {
    "plain": ({}, {"shape": (8, 5, 6), "bits": 5}),
    "odd rows and channels": (PLAIN, {"shape": (5, 7, 5), "bits": 5, "stride": 2}),
    "two words": (POT, {"shape": (13, 6, 5), "bits": 4, "residual_bits": 5}),
    "activation digits": ({}, {"shape": (9, 4, 4), "bits": 8, "residual_bits": 8}),
    "weight digits": (PLAIN, {"shape": (9, 5, 4), "bits": 5, "weight_digits": 2}),
    "both digits": (PLAIN, {"shape": (8, 5, 4), "bits": 8, "weight_digits": 2, "stride": 2, "output_bits": 7}),
    "digits beside lanes that cannot": ({}, {"shape": (8, 5, 4), "bits": 5, "weight_digits": 2, "kernel": 1}),
    "wide output": (POT, {"shape": (8, 5, 5), "bits": 5, "output_bits": 8, "residual_bits": 8}),
    "1×1": ({"pixel_lanes": 4}, {"shape": (24, 6, 3), "bits": 5, "kernel": 1, "stride": 2}),
    "four lanes, 5×5": ({"pixel_lanes": 4, "weight_ports": 2}, {"shape": (4, 9, 8), "bits": 5, "kernel": 5}),
    "slow drain": ({"post_units": 2, "pixel_lanes": 1}, {"shape": (8, 4, 4), "bits": 5}),
}


@pytest.mark.parametrize("case", CASES)
def test_convolution(case):
    fields, shape = CASES[case]
    g = geometry(**fields)
    tile = Convolution(g, np.random.default_rng(list(CASES).index(case)), **shape)
    program = tile.program()
    memory = tile.memory(program)
    effects = []
    machine = interpret(program, memory, observe=effects.append)
    expected = tile.expected()
    used = np.ones(len(expected), bool) if tile.weight_digits != 2 else tile.multiplier != 0
    found = tile.y.unpack(bytes(memory["OUTPUT"]))
    np.testing.assert_array_equal(found[used], expected[used])
    assert np.mean((expected > 0) & (expected < tile.maximum)) > 0.4, "the case must not be all clipped"
    assert machine.weights.released == machine.weights.written == len(tile.weight_stream())
    assert machine.constants.released == 1
    stores = b"".join(data for effect in effects for region, _, data in effect.stores if region == "OUTPUT")
    assert len(stores) == tile.y.bytes
    record = np.frombuffer(bytes(memory["LOG"][32:48]), "<u4")
    assert record.tolist() == [zlib.crc32(stores), 5, tile.y.bytes // g.word_bytes, 0]
    compute = next(effect for effect in effects if effect.instruction.opcode is Opcode.COMPUTE)
    taps = tile.kernel**2 * tile.x.channel_words * tile.x.digits * tile.weight_digits
    assert compute.steps == -(-tile.y.height // g.pixel_lanes) * tile.y.width * taps
    assert machine.tokens.counts[Token.INPUT_FREE] == 1


def test_run_codes_returns_outputs():
    tile = Convolution(geometry(), np.random.default_rng(3), shape=(8, 5, 6), bits=5)
    np.testing.assert_array_equal(run_codes(tile.program(), tile.codes)["y"], tile.expected())


def test_accumulators_may_wrap_while_the_true_sum_fits():
    """Offset-binary sums of 144 products of up to 255 · 31 pass 2^15 many times; Σ w·q does not."""
    g = geometry(accumulator_bits=16)
    tile = Convolution(g, np.random.default_rng(9), shape=(16, 5, 6), bits=5)
    tile.weights //= 8
    tile.weights[4:] = np.where(tile.weights[4:] < 0, -1, 1)
    tile.calibrate()
    program = tile.program()
    memory = tile.memory(program)
    effects = []
    interpret(program, memory, observe=effects.append)
    computed = next(effect.computed for effect in effects if effect.computed is not None)
    assert computed.accumulators.max() > 1 << 17
    np.testing.assert_array_equal(tile.y.unpack(bytes(memory["OUTPUT"])), tile.expected())


def test_a_sum_that_does_not_fit_is_refused():
    g = geometry(accumulator_bits=16)
    tile = Convolution(g, np.random.default_rng(9), shape=(16, 5, 6), bits=5)
    tile.weights[0] = 127
    program = tile.program()
    with pytest.raises(InterpreterError, match=r"COMPUTE, layer 5\): accumulator: group .* does not fit 16 bits"):
        interpret(program, tile.memory(program))


# MAXIMUM --------------------------------------------------------------------------------------------------------------


def test_maximum_with_padding_and_stride():
    g = geometry()
    codes = np.random.default_rng(2).integers(0, 32, (16, 7, 6), np.uint8)
    place = layout(g, "x", codes.shape, 5)
    regions = {"INPUT": bytearray(place.pack(codes)), "OUTPUT": bytearray(2 * 4 * 3 * g.word_bytes)}
    machine = InterpretedMachine(g, regions)
    pitch = 5 * 6  # output rows 0, 1 and 2, 3: five padded rows each, with two of overlap … rows 0 … 4 and 4 … 8
    machine.execute(
        encode(
            Opcode.LOAD_MAP, region=Region.INPUT, planes=2, plane_stride=place.plane_bytes, chunks=1, chunk_words=42,
            row_words=6, pad_top=1, pad_bottom=1, lane_step=4, lane_rows=5, lane_mask=3, base=1, plane_pitch=pitch,
        )
    )  # fmt: skip
    extent = 2 + 2 * 6
    effect = machine.execute(
        encode(
            Opcode.COMPUTE, mode=Mode.MAXIMUM, outputs_y=2, outputs_x=3, passes=2, kernel_y=3, kernel_x=3, channels=1,
            base=0, delta_kernel_x=1, delta_kernel_y=6 - 2, delta_pass_1=pitch - extent,
            delta_x=2 - extent - pitch, delta_y=12 - 4 - extent - pitch, pad_left=1, stride_x=2, width=6,
            output_base=4, output_pitch=6,
        )
    )  # fmt: skip
    assert effect.steps == 2 * 3 * 2 * 9
    for lane in range(2):
        machine.execute(
            encode(
                Opcode.STORE, region=Region.OUTPUT, address=lane * 6 * g.word_bytes, planes=2,
                plane_stride=12 * g.word_bytes, chunks=1, chunk_words=6, lane=lane, base=4, plane_pitch=6,
            )
        )  # fmt: skip
    found = layout(g, "y", (16, 4, 3), 5).unpack(machine.regions["OUTPUT"])
    expected = torch.nn.functional.max_pool2d(torch.from_numpy(codes).double()[None], 3, 2, padding=1)[0].numpy()
    np.testing.assert_array_equal(found, expected)


# STORE ----------------------------------------------------------------------------------------------------------------


def filled(**fields):
    """A machine whose output memory holds random words."""
    g = geometry(**fields)
    regions = {"OUTPUT": bytearray([0xEE]) * 400, "LOG": bytearray(64), "WORKSPACE": bytearray(100)}
    machine = InterpretedMachine(g, regions)
    machine.output.words[:] = np.random.default_rng(4).integers(0, 32, machine.output.words.shape)
    machine.output.valid[:] = True
    return machine


def word_bytes(words):
    """Words as bytes: slot c at bits 5c, in Python integers."""
    return b"".join(sum(int(code) << (5 * c) for c, code in enumerate(word)).to_bytes(5, "little") for word in words)


def test_store_writes_chunks_between_guards_and_logs():
    machine = filled()
    effect = machine.execute(
        encode(
            Opcode.STORE, region=Region.OUTPUT, address=3, planes=2, plane_stride=101, chunks=3, chunk_stride=17,
            chunk_words=2, lane=1, base=10, plane_pitch=50, crc_start=1, crc_emit=1, crc_slot=1, layer=77,
            signal=bit(Token.OUTPUT_FREE, Token.STORED),
        )
    )  # fmt: skip
    expected, stream = bytearray([0xEE]) * 400, b""
    for plane, chunk in itertools.product(range(2), range(3)):
        start = 10 + 50 * plane + 2 * chunk
        data = word_bytes(machine.output.words[1, start : start + 2])
        at = 3 + 101 * plane + 17 * chunk
        expected[at : at + 10] = data
        stream += data
    assert bytes(machine.regions["OUTPUT"]) == expected
    assert np.frombuffer(machine.regions["LOG"][16:32], "<u4").tolist() == [zlib.crc32(stream), 77, 12, 0]
    assert not machine.regions["LOG"][:16].any()
    assert effect.write_bytes == 60 + 16
    # The next STORE goes on with the same CRC.
    machine.execute(
        encode(Opcode.STORE, region=Region.WORKSPACE, planes=1, chunks=1, chunk_words=1, crc_emit=1, layer=78)
    )
    stream += word_bytes(machine.output.words[0, :1])
    assert np.frombuffer(machine.regions["LOG"][:16], "<u4").tolist() == [zlib.crc32(stream), 78, 13, 0]
    assert machine.tokens.counts[Token.STORED] == 1


def test_a_stored_map_may_be_loaded_and_no_other_byte():
    machine = filled()
    machine.execute(encode(Opcode.STORE, region=Region.WORKSPACE, address=10, planes=1, chunks=1, chunk_words=4))
    load = {"region": Region.WORKSPACE, "planes": 1, "chunks": 1, "row_words": 1, "lane_rows": 9, "lane_mask": 1}
    machine.execute(encode(Opcode.LOAD_MAP, address=10, chunk_words=4, **load))
    np.testing.assert_array_equal(machine.activation.words[0, :4], machine.output.words[0, :4])
    refused(machine, "address", "byte 30 of WORKSPACE is read, but no STORE has written it", Opcode.LOAD_MAP,
            address=10, chunk_words=5, **load)  # fmt: skip


# Rings ----------------------------------------------------------------------------------------------------------------


def one_step(**fields):
    """A COMPUTE of one output whose window is `weight_words` channel words."""
    words = fields.pop("weight_words", 4)
    given = {"outputs_y": 1, "outputs_x": 1, "passes": 1, "kernel_y": 1, "kernel_x": 1, "stride_x": 1, "width": 1}
    given |= {"channels": words, "weight_words": words, "delta_channel": 1, "count_mask": 1, "maximum": 31}
    return given | fields


def streaming(depth=16, words=64):
    """A machine, its weight words in DDR (word n holds code n in every position), and activations of 1."""
    g = geometry(weight_depth=depth, fixed8_lanes=0, fixed4_lanes=4, lut_lanes=4, lut_scheme=LaneClass.LUT_FIXED4)
    codes = np.broadcast_to((np.arange(words) % 16)[:, None, None], (words, 8, 8)).astype(np.uint8)
    zeros = bytes(constants_bytes(g, [1] * 8, [OffsetCode.NONE] * 8, [0] * 8))
    machine = InterpretedMachine(
        g, {"PARAMETERS": bytearray(pack_weight_words(g, codes).tobytes()), "INPUT": bytearray(zeros * 4)}
    )
    machine.activation.words[:, :, 0] = 1
    machine.activation.valid[:] = True
    machine.execute(encode(Opcode.LOAD_CONSTANTS, region=Region.INPUT, tiles=2))
    return machine


def load_weights(machine, first, words):
    size = machine.geometry.weight_word_bits // 8
    return machine.execute(encode(Opcode.LOAD_WEIGHTS, region=Region.PARAMETERS, address=first * size, words=words))


def test_weight_ring_wraps_and_releases_in_order():
    machine = streaming()
    load_weights(machine, 0, 12)
    seen = []
    for start in range(12, 48, 6):
        computed = machine.execute(encode(Opcode.COMPUTE, **one_step(weight_words=6, release=1, final_mask=1))).computed
        seen.append(int(computed.accumulators[0, 0, 0]))
        load_weights(machine, start, 6)
    assert seen == [sum(n % 16 for n in range(start, start + 6)) for start in range(0, 36, 6)]
    assert (machine.weights.released, machine.weights.written) == (36, 48)


def test_offsets_read_ahead_without_release():
    machine = streaming()
    load_weights(machine, 0, 16)
    computed = machine.execute(encode(Opcode.COMPUTE, **one_step(weight_offset=9, constant_offset=1))).computed
    assert computed.accumulators[0, 0, 0] == 9 + 10 + 11 + 12
    assert (machine.weights.released, machine.constants.released) == (0, 0)


def test_rings_refuse_what_program_order_forbids():
    machine = streaming()
    load_weights(machine, 0, 10)
    size = machine.geometry.weight_word_bits // 8
    refused(machine, "words", "7 words do not fit the ring in program order: 6 are free", Opcode.LOAD_WEIGHTS, words=7)
    refused(
        machine, "tiles", "1 tiles do not fit the ring in program order: 0 are free", Opcode.LOAD_CONSTANTS, tiles=1
    )
    refused(machine, "weight_offset", "pass 0 needs weight words 8 … 11; 10 are loaded", Opcode.COMPUTE,
            **one_step(weight_offset=8))  # fmt: skip
    refused(machine, "constant_offset", "needs tile 2 of constants; 2 are loaded", Opcode.COMPUTE,
            **one_step(constant_offset=2))  # fmt: skip
    refused(machine, "address", r"bytes 2048 … 2079 of PARAMETERS, which has 2048", Opcode.LOAD_WEIGHTS,
            address=64 * size, words=1)  # fmt: skip
    refused(
        machine, "address", "must be a multiple of the bus's 8 bytes, not 4", Opcode.LOAD_WEIGHTS, address=4, words=1
    )
    refused(machine, "port_stride", "must be a multiple", Opcode.LOAD_WEIGHTS, port_stride=2, words=1)
    refused(machine, "words", "must be at least 1", Opcode.LOAD_WEIGHTS)
    machine.execute(encode(Opcode.COMPUTE, **one_step(release_constants=1)))
    refused(machine, "address", "must be a multiple of 64", Opcode.LOAD_CONSTANTS, address=32, tiles=1)


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"passes": 2, "final_mask": 1, "release": 1}, "final_mask", "pass 1 reads weight words that an earlier pass"),
        ({"final_mask": 1, "weight_digit_mask": 1, "release": 1}, "final_mask", "frees run 1; ring order frees 0 next"),
        ({"release": 1, "weight_offset": 1}, "weight_offset", "must be 0 with release, not 1"),
        ({"release_constants": 1, "constant_offset": 1}, "constant_offset", "must be 0 with release_constants"),
        ({"passes": 5}, "passes", "must be 1 … 4, not 5"),
        ({"shift": 48}, "shift", "must be 0 … 47, not 48"),
        ({"outputs_x": 0}, "outputs_x", "must be at least 1, not 0"),
        ({"kernel_x": 2}, "weight_words", r"must be kernel_y · kernel_x · channels = 8, not 4"),
        ({"maximum": 32}, "maximum", r"32 does not fit a slot \(at most 31\)"),
        ({"mode": Mode.MAXIMUM}, "channels", "must be 1 in MAXIMUM, not 4"),
        ({"mode": Mode.MAXIMUM, "channels": 1, "release": 1}, "release", "must be 0 in MAXIMUM"),
        ({"base": 1021}, "base", "step 3 of pass 0 in group 0 reads activation address 1024 of 1024"),
        ({"base": 0, "delta_channel": -1}, "base", "reads activation address 65535 of 1024"),
        ({"output_base": 256}, "output_base", "the last word goes to output address 256 of 256"),
        ({"residual": 1, "residual_base": 256}, "residual_base", "reads residual address 256 of 256"),
        (
            {"output_digits": 1, "outputs_x": 2, "delta_x": -3, "output_pitch": 1},
            "output_pitch",
            "planes of 2 words overlap",
        ),
    ],
)
def test_compute_refuses(fields, field, message):
    machine = streaming()
    load_weights(machine, 0, 16)
    refused(machine, field, message, Opcode.COMPUTE, **one_step(**fields))


def test_masked_columns_may_lie_outside_the_memory():
    """The first column of a padded window is read one word before its row: address −1 for a map at 0."""
    machine = streaming()
    load_weights(machine, 0, 16)
    fields = one_step(weight_words=1, kernel_x=3, delta_kernel_x=1, base=0xFFFF, pad_left=1, width=2)
    computed = machine.execute(encode(Opcode.COMPUTE, **fields | {"weight_words": 3})).computed
    assert computed.accumulators[0, 0, 0] == 0 + 1 + 2
    assert computed.activation_sums[0, 0] == 2


# Words never written --------------------------------------------------------------------------------------------------


def test_what_comes_of_unwritten_words_may_not_be_stored():
    machine = streaming()
    load_weights(machine, 0, 16)
    machine.activation.valid[1, 2] = False
    effect = machine.execute(encode(Opcode.COMPUTE, **one_step()))
    assert effect.computed.valid.ravel().tolist() == [True, False]
    machine.regions["OUTPUT"] = np.zeros(64, np.uint8)
    machine.initialised["OUTPUT"] = np.zeros(64, bool)
    store = {"region": Region.OUTPUT, "planes": 1, "chunks": 1, "chunk_words": 1}
    machine.execute(encode(Opcode.STORE, lane=0, **store))
    refused(machine, "base", "word 0 of lane 1's output memory: instruction 2 made it of words never written",
            Opcode.STORE, lane=1, **store)  # fmt: skip
    refused(
        machine, "base", "word 1 of lane 0's output memory was never written", Opcode.STORE, lane=0, base=1, **store
    )


def test_an_unwritten_residual_counts_too():
    machine = streaming()
    load_weights(machine, 0, 16)
    machine.residual.valid[0, 7] = True
    computed = machine.execute(encode(Opcode.COMPUTE, **one_step(residual=1, residual_base=7))).computed
    assert computed.valid.ravel().tolist() == [True, False]


# Tokens, encoding, programs -------------------------------------------------------------------------------------------


def test_tokens():
    machine = filled()
    store = {"region": Region.OUTPUT, "planes": 1, "chunks": 1, "chunk_words": 1}
    refused(machine, "wait", "no OUTPUT_READY token is pending", Opcode.STORE, wait=bit(Token.OUTPUT_READY), **store)
    refused(machine, "wait", r"names a channel that STORE may not \(OUTPUT_READY legal\)", Opcode.STORE,
            wait=bit(Token.STORED), **store)  # fmt: skip
    refused(machine, "signal", r"STORE may not \(OUTPUT_FREE, STORED legal\)", Opcode.STORE,
            signal=bit(Token.OUTPUT_READY), **store)  # fmt: skip
    refused(machine, "signal", r"WEIGHTS may not \(none legal\)", Opcode.LOAD_WEIGHTS, signal=1, words=1)
    machine.tokens.counts[Token.STORED] = 255
    refused(machine, "signal", "more than 255 STORED tokens", Opcode.STORE, signal=bit(Token.STORED), **store)
    machine.tokens.counts[Token.OUTPUT_READY] = 1
    machine.execute(encode(Opcode.STORE, wait=bit(Token.OUTPUT_READY), **store))
    assert machine.tokens.counts[Token.OUTPUT_READY] == 0


def test_wrong_encodings():
    machine = filled()
    with pytest.raises(InterpreterError, match=r"instruction 0 \(unknown\): signal: .* names a channel that is none"):
        machine.execute(encode(Opcode.STORE, signal=1 << 7))
    with pytest.raises(InterpreterError, match=r"instruction 0 \(unknown\): opcode: unknown opcode 9"):
        machine.execute(bytes([9]) + bytes(63))
    with pytest.raises(InterpreterError, match="an instruction is 64 bytes, not 3"):
        machine.execute(b"abc")
    with pytest.raises(InterpreterError, match=r"FINISH, layer 0\): unused bits: bits 32 … 511 must be 0"):
        machine.execute(encode(Opcode.FINISH)[:63] + b"\x01")
    machine.execute(encode(Opcode.FINISH))
    refused(machine, "opcode", "an instruction follows FINISH", Opcode.FINISH)


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"lane_mask": 4}, "lane_mask", "0x4 names a lane beyond the 2 of the geometry"),
        ({"lane_mask": 0}, "lane_mask", "must be at least 1"),
        ({"chunk_words": 3}, "row_words", "must divide the 3 words of a plane, not 2"),
        ({"base": 1021}, "base", "plane 0 of lane 0 ends at activation address 1024 of 1024"),
        ({"address": 381}, "address", "bytes 381 … 400 of INPUT, which has 400"),
    ],
)
def test_load_map_refuses(fields, field, message):
    machine = InterpretedMachine(geometry(), {"INPUT": bytearray(400)})
    given = {"region": Region.INPUT, "planes": 1, "chunks": 1, "chunk_words": 4, "row_words": 2, "lane_rows": 2}
    refused(machine, field, message, Opcode.LOAD_MAP, **(given | {"lane_mask": 3} | fields))


def test_lanes_of_a_group_begin_with_their_own_rows():
    """Rows count from the group's first lane on; a group takes nothing of what another one reads."""
    g = geometry(pixel_lanes=4, maps_ports=2)
    codes = np.random.default_rng(5).integers(0, 32, (8, 6, 2), np.uint8)
    place = layout(g, "x", codes.shape, 5)
    machine = InterpretedMachine(g, {"INPUT": bytearray(place.pack(codes))})
    effect = machine.execute(
        encode(
            Opcode.LOAD_MAP, region=Region.INPUT, address=3 * 2 * g.word_bytes, planes=1, chunks=1, chunk_words=6,
            row_words=2, lane_step=1, lane_rows=2, lane_mask=0b1100, base=7,
        )
    )  # fmt: skip
    words = codes.transpose(1, 2, 0)
    assert [write.lane for write in effect.writes] == [2, 3]
    np.testing.assert_array_equal(machine.activation.words[2, 7:11], words[3:5].reshape(4, 8))
    np.testing.assert_array_equal(machine.activation.words[3, 7:11], words[4:6].reshape(4, 8))
    assert not machine.activation.valid[:2].any()
    load = {"region": Region.INPUT, "planes": 1, "chunks": 1, "chunk_words": 2, "row_words": 2, "lane_rows": 1}
    refused(machine, "lane_mask", "0x6 names lanes of two groups, each of 2 lanes", Opcode.LOAD_MAP, **load,
            lane_mask=0b0110)  # fmt: skip
    refused(machine, "lane_mask", "0x10 names a lane beyond the 4", Opcode.LOAD_MAP, **load, lane_mask=0b1_0000)


def test_kernels_belong_to_a_group():
    g = geometry(pixel_lanes=4, maps_ports=2, depthwise_channels=8)
    machine = InterpretedMachine(g, {"INPUT": bytearray(400), "PARAMETERS": bytearray(400)})
    kernels = {"region": Region.PARAMETERS, "planes": 1, "chunks": 1, "chunk_words": KERNEL_WORDS}
    kernels |= {"row_words": KERNEL_WORDS}
    machine.execute(encode(Opcode.LOAD_MAP, **kernels, lane_rows=1, lane_mask=0b0100, kernels=1))
    load = {"region": Region.INPUT, "planes": 1, "chunks": 1, "chunk_words": 9, "source_words": 3, "row_words": 1}
    load |= {"lane_rows": 1, "depthwise": 1, "source_stride": 1}
    machine.execute(encode(Opcode.LOAD_MAP, **load, lane_mask=0b1000))
    refused(machine, "kernel_base", "plane 0's kernels were never loaded", Opcode.LOAD_MAP, **load, lane_mask=0b0010)
    refused(machine, "lane_mask", "names lanes of two groups", Opcode.LOAD_MAP, **kernels, lane_rows=1, lane_mask=6,
            kernels=1)  # fmt: skip


def test_crc_registers_belong_to_a_group():
    """The same register of two groups: each record is that of its own lanes' words."""
    machine = filled(pixel_lanes=4, maps_ports=2)
    fields = {"region": Region.OUTPUT, "planes": 1, "chunks": 1, "chunk_words": 2, "crc_register": 3, "layer": 1}
    for lane, crc in ((0, {"crc_start": 1}), (2, {"crc_start": 1}), (1, {"crc_emit": 1, "crc_slot": 2}),
                      (3, {"crc_emit": 1, "crc_slot": 3})):  # fmt: skip
        machine.execute(encode(Opcode.STORE, lane=lane, **fields, **crc))
    log = np.frombuffer(machine.regions["LOG"], "<u4").reshape(-1, 4)
    for slot, lanes in ((2, (0, 1)), (3, (2, 3))):
        stream = b"".join(word_bytes(machine.output.words[lane, :2]) for lane in lanes)
        assert log[slot].tolist() == [zlib.crc32(stream), 1, 4, 0]
    machine = filled(pixel_lanes=4, maps_ports=2)
    machine.execute(encode(Opcode.STORE, lane=0, **fields, crc_start=1))
    refused(machine, "crc_emit", "CRC register 3 was never started in the group of lane 2", Opcode.STORE, lane=2,
            crc_emit=1, **fields)  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"lane": 2}, "lane", "must be below 2, not 2"),
        ({"base": 256}, "base", "the last word is read from output address 256 of 256"),
        ({"planes": 0}, "planes", "must be at least 1"),
        ({"address": 396}, "address", "bytes 396 … 400 of OUTPUT, which has 400"),
        ({"crc_emit": 1, "crc_register": 5}, "crc_emit", "CRC register 5 was never started"),
        ({"crc_start": 1, "crc_emit": 1, "crc_slot": 4}, "crc_slot", "bytes 64 … 79 of LOG, which has 64"),
    ],
)
def test_store_refuses(fields, field, message):
    given = {"region": Region.OUTPUT, "planes": 1, "chunks": 1, "chunk_words": 1}
    refused(filled(), field, message, Opcode.STORE, **(given | fields))


def test_wrong_programs():
    tile = Convolution(geometry(), np.random.default_rng(3), shape=(8, 5, 6), bits=5)
    program = tile.program()
    memory = tile.memory(program)
    object.__setattr__(program, "instructions", program.instructions[:-64])
    with pytest.raises(InterpreterError, match="opcode: the program ends without FINISH"):
        interpret(program, memory)
    object.__setattr__(program, "instructions", program.instructions[:-1])
    with pytest.raises(ValueError, match="must be a multiple of 64 bytes"):
        interpret(program, memory)
    del memory["OUTPUT"][-1]
    with pytest.raises(ValueError, match=r"memory OUTPUT must have at least 150 bytes for program 'tile', not 149"):
        interpret(program, memory)

"""Instructions for the depthwise unit, the words that it is given for them, and those that must come."""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from intramix.hdl import isa
from intramix.hdl.dma.depthwise_golden import depthwise_plane
from intramix.hdl.encoding import kernel_words
from intramix.hdl.geometry import Dsp, Geometry

MULTIPLIER_BITS, BIAS_BITS = 18, 44
BORDERS = tuple(itertools.product((0, 1), repeat=4))


def geometry(word_channels: int, activation_bits: int, depthwise_channels: int, dsp: Dsp = Dsp.DSP48E1) -> Geometry:
    return Geometry(
        word_channels=word_channels, pixel_lanes=1, fixed8_lanes=0, fixed4_lanes=word_channels, lut_lanes=0,
        activation_bits=activation_bits, depthwise_channels=depthwise_channels, dsp=dsp,
    )  # fmt: skip


@dataclasses.dataclass
class Load:
    """A LOAD_MAP as the unit sees it, with what belongs to its planes."""

    codes: np.ndarray
    """planes × rows × columns × Ti."""
    weights: np.ndarray | None = None
    """planes × 3 × 3 × Ti; None: the words pass as they are."""
    multiplier: np.ndarray | None = None
    bias: np.ndarray | None = None
    borders: tuple[int, int, int, int] = (0, 0, 0, 0)
    stride: int = 1
    shift: int = 0
    maximum: int = 0
    row: int = 0
    """Of the kernel memory, where the kernels go and come from."""

    def kernel_rows(self, layer: int) -> dict:
        """The fields of `DepthwiseRows` that load the kernels."""
        return {"layer": layer, "kernels": 1, "row": self.row}

    def rows(self, layer: int) -> dict:
        """The fields of `DepthwiseRows`."""
        if self.weights is None:
            return {"layer": layer, "depthwise": 0}
        top, bottom, left, right = self.borders
        last_column = self.codes.shape[2] + left + right - 1
        source = {"last_column": last_column, "top": top, "bottom": bottom, "left": left, "right": right,
                  "skip": self.stride - 1}  # fmt: skip
        return {"layer": layer, "depthwise": 1, "source": source, "shift": self.shift, "maximum": self.maximum,
                "row": self.row, "planes": len(self.codes)}  # fmt: skip


def random_load(g: Geometry, random: np.random.Generator, *, shape: tuple[int, int], borders: tuple[int, int, int, int],
                stride: int, planes: int = 1, usual: bool = True) -> Load:
    """Planes of rows × columns through the unit.

    `usual`: constants that spread the codes over their range; otherwise of any magnitude, with any shift.
    """
    channels = (planes, g.word_channels)
    weights = random.integers(-128, 128, (planes, 3, 3, g.word_channels))
    extreme = random.choice([-128, 127], (planes, 1, 1, g.word_channels))
    weights = np.where(random.random(extreme.shape) < 0.2, extreme, weights)

    def spread(bits: int) -> np.ndarray:
        """Signed, of any magnitude alike."""
        return random.integers(-(2**62), 2**62, channels) >> random.integers(63 - bits, 63, channels)

    if usual:
        magnitude = int(random.integers(1, MULTIPLIER_BITS))
        multiplier = random.integers(1 << magnitude - 1, 1 << magnitude, channels)
        multiplier *= random.choice([-1, 1, 1], channels)
        bias = random.integers(0, 2, channels) << magnitude + 6 + g.activation_bits
        shift = magnitude + 7
    else:
        multiplier, bias = spread(MULTIPLIER_BITS), spread(BIAS_BITS)
        shift = int(random.choice([0, 15, 16, 32, 40, 47]))
    return Load(
        random.integers(0, 1 << g.activation_bits, (planes, *shape, g.word_channels)), weights, multiplier, bias,
        borders, stride, shift, int(random.choice([15, (1 << g.activation_bits) - 1])),
        int(random.integers(isa.KERNEL_ROWS - planes * isa.KERNEL_WORDS + 1)),
    )  # fmt: skip


def every_small_load(g: Geometry, random: np.random.Generator) -> Iterator[Load]:
    """Every combination of borders and strides, with the smallest sizes and some beyond; words that pass between."""
    for borders, stride in itertools.product(BORDERS, (1, 2)):
        top, bottom, left, right = borders
        least = max(1, 3 - top - bottom), max(1, 3 - left - right)
        for extra in ((0, 0), (int(random.integers(0, 4)), int(random.integers(0, 5)))):
            shape = least[0] + extra[0], least[1] + extra[1]
            planes = 1 + int(random.random() < 0.3)
            yield random_load(g, random, shape=shape, borders=borders, stride=stride, planes=planes,
                              usual=bool(random.random() < 0.7))  # fmt: skip
        if random.random() < 0.3:
            yield Load(random.integers(0, 1 << g.activation_bits, (2, 1, int(random.integers(1, 5)), g.word_channels)))


def packed(g: Geometry, slots: np.ndarray) -> int:
    """A word of slots."""
    return sum(int(code) << g.activation_bits * slot for slot, code in enumerate(slots))


def all_rows(loads: list[Load]) -> Iterator[dict]:
    """The fields of `DepthwiseRows` of loads, and of the loads of their kernels."""
    for layer, load in enumerate(loads):
        if load.weights is not None:
            yield load.kernel_rows(layer)
        yield load.rows(layer)


def all_words(g: Geometry, loads: list[Load], random: np.random.Generator) -> Iterator[dict]:
    """The words that come for loads, and for the loads of their kernels."""
    for load in loads:
        if load.weights is not None:
            yield from given_kernels(g, load, random)
        yield from given_words(g, load, random)


def given_kernels(g: Geometry, load: Load, random: np.random.Generator) -> Iterator[dict]:
    """The fields of the words that come for the kernels of a load's planes."""
    planes = zip(load.weights, load.multiplier, load.bias)
    kernels = np.concatenate([kernel_words(*plane) for plane in planes])
    unused = random.integers(0, 1 << g.activation_bits - 4, kernels.shape)
    for number, slots in enumerate(kernels | unused << 4):
        yield {"data": packed(g, slots), "last": number == len(kernels) - 1, "tag": {"plane_end": 1, "final": 1}}


def given_words(g: Geometry, load: Load, random: np.random.Generator) -> Iterator[dict]:
    """The fields of the words that come for a load: of every plane its rows, in one or more chunks."""
    for plane, codes in enumerate(load.codes):
        final = plane == len(load.codes) - 1
        words = codes.reshape(-1, g.word_channels)
        last_chunk = int(random.integers(len(words)))
        for number, slots in enumerate(words):
            end = number == len(words) - 1
            yield {"data": packed(g, slots), "last": end or number == last_chunk - 1,
                   "tag": {"plane_end": number >= last_chunk, "final": final}}  # fmt: skip


def expected_words(g: Geometry, load: Load) -> list[tuple[int, bool, bool]]:
    """Words that must come: (data, last of its plane, last of all)."""
    result = []
    for plane, codes in enumerate(load.codes):
        if load.weights is not None:
            codes = depthwise_plane(
                codes, load.weights[plane], multiplier=load.multiplier[plane], bias=load.bias[plane],
                borders=load.borders, stride=load.stride, shift=load.shift, maximum=load.maximum,
            )  # fmt: skip
        words = codes.reshape(-1, g.word_channels)
        for number, slots in enumerate(words):
            end = number == len(words) - 1
            result.append((packed(g, slots), end, end and plane == len(load.codes) - 1))
    return result

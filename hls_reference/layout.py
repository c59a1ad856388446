"""How maps and weights lie behind the ports of the HLS kernels (include/intramix/ports.h)."""

import dataclasses
from typing import cast

import numpy as np

from ..compiler.place.lanes import lane_masks, place
from ..compiler.program.map_layout import DIGIT_BITS
from ..hdl.encoding import encode_weights
from ..hdl.geometry import Geometry
from ..hdl.lane_classes import LaneClass
from ..quant.graph.graph import Convolution, TensorType
from .builds import HlsBuild
from .errors import HlsError


@dataclasses.dataclass(frozen=True, eq=False)
class HlsMap:
    """A map's place and order: [digit][beat][row][column], Tn slots of a pixel in a beat.

    Members
    -------
    address: its first beat.
    order: the tensor's channel at every position, −1 where there is none; whole beats.
    """

    tensor: TensorType
    build: HlsBuild
    address: int
    order: np.ndarray

    @property
    def beats(self) -> int:
        """Beats of channels."""
        return len(self.order) // self.build.channels

    @property
    def digits(self) -> int:
        return 1 if self.tensor.bits <= self.build.activation_bits else 2

    @property
    def length(self) -> int:
        """Beats in memory."""
        return self.digits * self.beats * self.tensor.height * self.tensor.width

    def pack(self, codes: np.ndarray) -> bytes:
        """Codes (channels × height × width) as they lie in memory; positions without a channel hold 0.

        Raises
        ------
        ValueError: the shape is not the tensor's.
        """
        if codes.shape != self.tensor.shape:
            raise ValueError(f"map {self.tensor.name!r} must have shape {self.tensor.shape}, not {codes.shape}")
        stored = np.zeros((len(self.order), *codes.shape[1:]), np.uint8)
        used = self.order >= 0
        stored[used] = codes[self.order[used]]
        planes = [stored] if self.digits == 1 else [stored >> DIGIT_BITS, stored & ((1 << DIGIT_BITS) - 1)]
        slots = np.stack(planes).reshape(len(planes), self.beats, self.build.channels, *codes.shape[1:])
        slots = np.moveaxis(slots, 2, -1)
        bits = (slots[..., None] >> np.arange(self.build.activation_bits, dtype=np.uint8)) & 1
        bits = bits.reshape(self.length, -1)
        padded = np.pad(bits, ((0, 0), (0, self.build.port_bits - bits.shape[1])))
        return np.packbits(padded, axis=1, bitorder="little").tobytes()

    def unpack(self, data: bytes) -> np.ndarray:
        """The inverse of `pack`: uint8 codes, channels × height × width."""
        bits = np.unpackbits(np.frombuffer(data, np.uint8).reshape(self.length, -1), axis=1, bitorder="little")
        slot_bits, channels = self.build.activation_bits, self.build.channels
        slots = bits[:, : channels * slot_bits].reshape(self.length, channels, slot_bits)
        values = (slots << np.arange(slot_bits, dtype=np.uint8)).sum(axis=2, dtype=np.uint8)
        values = values.reshape(self.digits, self.beats, self.tensor.height, self.tensor.width, channels)
        planes = np.moveaxis(values, -1, 2).reshape(self.digits, -1, self.tensor.height, self.tensor.width)
        stored = planes[0] if self.digits == 1 else (planes[0] << DIGIT_BITS) | planes[1]
        codes = np.zeros(self.tensor.shape, np.uint8)
        used = self.order >= 0
        codes[self.order[used]] = stored[used]
        return codes


# Filters --------------------------------------------------------------------------------------------------------------


def place_filters(layer: Convolution, build: HlsBuild) -> np.ndarray:
    """The filter in each lane: tiles × Tm, −1 where a lane idles; FILM-QNN's order, 8-bit filters first in a tile.

    Raises
    ------
    HlsError: no lane of the build holds a filter's weights.
    """
    geometry = cast(Geometry, build)  # the names that `compiler.lanes` reads mean the same here
    masks = lane_masks(layer.weight, geometry, digits=False)
    if not masks.all():
        index = int(np.flatnonzero(masks == 0)[0])
        raise HlsError(
            f"layer {layer.name!r}, filter {index}: no lane of {build.name} holds its {layer.formats[index].name} "
            f"weights ({int(layer.weight[index].min())} … {int(layer.weight[index].max())}); "
            f"its lanes are {', '.join(kind.value for kind in dict.fromkeys(build.lanes))}: use another lut_scheme"
        )
    placement = place(masks, geometry)
    if placement is None:
        raise HlsError(f"layer {layer.name!r}: its filters fit no number of tiles of {build.name}")
    return placement.lanes


def stored_order(lanes: np.ndarray, build: HlsBuild) -> np.ndarray:
    """The channel at each stored position: lanes in order, without the beats at the end that hold none."""
    order = lanes.reshape(-1)
    last = int(np.flatnonzero(order >= 0)[-1]) // build.channels + 1
    return order[: last * build.channels].copy()


def lane_codes(kind: LaneClass, weights: np.ndarray) -> np.ndarray:
    """Weights (… × Tn) as the nibbles (uint8) that a lane stores, least significant first.

    Fixed point is two's complement here, as in the paper, where the RTL stores offset binary; the others are as in the
    RTL.
    """
    if not kind.code.is_offset_binary:
        return encode_weights(kind, weights)
    if kind is LaneClass.FIXED8:
        octets = weights.astype(np.uint8)
        return np.stack([octets & 15, octets >> 4], axis=-1).reshape(*weights.shape[:-1], -1)
    return weights.astype(np.uint8) & 15


def lane_weights(kind: LaneClass) -> tuple[int, ...]:
    """The integer weight that each stored code of a lane means here, from code 0 on."""
    weights = kind.code.weights
    half = len(weights) // 2
    return (*weights[half:], *weights[:half]) if kind.code.is_offset_binary else weights


def pack_weights(layer: Convolution, lanes: np.ndarray, order: np.ndarray, build: HlsBuild) -> bytes:
    """A convolution's weights: [filter tile][channel tile][tap] frames of words (include/intramix/ports.h).

    Parameters
    ----------
    lanes: `place_filters`.
    order: of the input's channels.
    """
    taps = layer.kernel[0] * layer.kernel[1]
    flat = layer.weight.reshape(*layer.weight.shape[:2], taps)
    weights = np.zeros((lanes.size, len(order), taps), np.int64)
    used, known = np.flatnonzero(lanes.reshape(-1) >= 0), np.flatnonzero(order >= 0)
    weights[np.ix_(used, known)] = flat[np.ix_(lanes.reshape(-1)[used], order[known])]
    weights = weights.reshape(len(lanes), build.filters, -1, build.channels, taps)
    tiles = np.moveaxis(weights, (2, 4, 1, 3), (1, 2, 3, 4))  # filter tile, channel tile, tap, filter, channel
    pieces = [lane_codes(kind, tiles[..., lane, :]) for lane, kind in enumerate(build.lanes)]
    nibbles = np.concatenate(pieces, axis=-1)
    size = build.frames_per_tap * build.frame_words * build.channels
    padded = np.pad(nibbles, ((0, 0), (0, 0), (0, 0), (0, size - nibbles.shape[-1])))
    return (padded[..., 0::2] | padded[..., 1::2] << 4).astype(np.uint8).tobytes()


def pack_depthwise(layer: Convolution, order: np.ndarray, build: HlsBuild) -> bytes:
    """A depthwise layer's weights: [output beat][tap] a byte per channel, padded to whole beats.

    Raises
    ------
    HlsError: a weight is not −128 … 127.
    """
    low, high = int(layer.weight.min()), int(layer.weight.max())
    if low < -128 or high > 127:
        raise HlsError(
            f"layer {layer.name!r}: its weights reach {low} … {high}; the depthwise kernel takes −128 … 127: use "
            "formats of at most 8 fixed-point bits, sp2-5 or pot-4"
        )
    taps = layer.kernel[0] * layer.kernel[1]
    weights = np.zeros((len(order), taps), np.int64)
    used = order >= 0
    weights[used] = layer.weight.reshape(-1, taps)[order[used]]
    octets = np.moveaxis(weights.reshape(-1, build.channels, taps), 2, 1).astype(np.uint8)
    size = build.depthwise_beats * build.beat_bytes
    return np.pad(octets, ((0, 0), (0, 0), (0, size - build.channels))).tobytes()

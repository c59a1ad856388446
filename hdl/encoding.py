"""How weights are stored, in the weight ring and in the depthwise unit: the functions that the compiler packs with and
the lanes decode.

A stored weight is `LaneClass.weight_bits` wide; what its codes mean is the class's `WeightCode`.
"""

import numpy as np

from . import isa
from .geometry import Geometry
from .isa import OffsetCode
from .lane_classes import LaneClass

_OFFSET_CODES = {0: OffsetCode.NONE, 8: OffsetCode.EIGHT, 128: OffsetCode.ONE_HUNDRED_TWENTY_EIGHT}


def weight_of(lane: LaneClass, code: int) -> int:
    """The signed integer weight that a lane computes with for a stored code."""
    return lane.code.weights[code]


def code_table(lane: LaneClass) -> dict[int, int]:
    """Stored code by weight, for every weight the lane can hold (the lowest code where several mean the same)."""
    table: dict[int, int] = {}
    for code, weight in enumerate(lane.code.weights):
        table.setdefault(weight, code)
    return table


def encode_weights(lane: LaneClass, weights: np.ndarray) -> np.ndarray:
    """Stored codes (uint8) of integer weights.

    Raises
    ------
    ValueError: the lane cannot hold a weight.
    """
    table = code_table(lane)
    values, inverse = np.unique(weights, return_inverse=True)
    try:
        codes = np.array([table[int(value)] for value in values], np.uint8)
    except KeyError as error:
        raise ValueError(f"a {lane.value} lane cannot hold the weight {error.args[0]}") from None
    return codes[inverse].reshape(weights.shape)


def offset_code(lane: LaneClass, *, digits: bool = False) -> OffsetCode:
    """What the lane's accumulator owes: the multiple of Σq that its offset added.

    With `digits` the tile runs as two 4-bit weight digits of w + 128, whatever the lane.
    """
    return OffsetCode.ONE_HUNDRED_TWENTY_EIGHT if digits else _OFFSET_CODES[lane.code.offset]


def kernel_words(weights: np.ndarray, multiplier: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Kernels as the depthwise unit keeps them: uint8 digits, KERNEL_WORDS × channels (see `isa.KERNEL_LAYOUT`).

    Parameters
    ----------
    weights: rows × columns × channels.
    multiplier, bias: by channel; half of the rounding is in the bias.

    Raises
    ------
    ValueError: a value does not fit its field.
    """
    words = np.zeros((isa.KERNEL_WORDS, len(multiplier)), np.uint8)
    for channel, kernel in enumerate(np.reshape(weights, (isa.KERNEL_TAPS, -1)).T):
        fields = {f"weight_{tap}": int(weight) for tap, weight in enumerate(kernel)}
        fields |= {"multiplier": int(multiplier[channel]), "offset": OffsetCode.NONE, "bias": int(bias[channel])}
        packed = isa.pack(isa.KERNEL_LAYOUT, fields, what="kernel")
        words[:, channel] = [packed >> isa.DIGIT_BITS * digit & 15 for digit in range(isa.KERNEL_WORDS)]
    return words


def pack_weight_words(geometry: Geometry, codes: np.ndarray) -> np.ndarray:
    """Weight words of a tile as bytes: steps × (weight_word_bits / 8), uint8.

    Parameters
    ----------
    codes: uint8, steps × To × Ti stored codes; lane-major within a word, channels ascending, least significant first.
    """
    steps = len(codes)
    pieces = []
    for lane, kind in enumerate(geometry.lanes):
        shifts = np.arange(kind.weight_bits, dtype=np.uint8)
        pieces.append(((codes[:, lane, :, None] >> shifts) & 1).reshape(steps, -1))
    bits = np.concatenate(pieces, axis=1)
    padding = geometry.weight_word_bits - bits.shape[1]
    return np.packbits(np.pad(bits, ((0, 0), (0, padding))), axis=1, bitorder="little")

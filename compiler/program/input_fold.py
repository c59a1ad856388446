"""How pixels of an input are gathered into the channels of a smaller number of positions."""

import dataclasses
import itertools
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

ROW_BITS = 64
"""Bits of a position that come from one row of the image, at most."""


@dataclasses.dataclass(frozen=True)
class AxisFold:
    """One axis: position p holds pixels stride · p + offset, for every offset; 0 where that lies outside the image."""

    stride: int
    offsets: tuple[int, ...]
    positions: int


@dataclasses.dataclass(frozen=True)
class InputFold:
    """Rows and columns gathered independently; channel number n of a position is pixel and channel `channels[n]`."""

    image_channels: int
    rows: AxisFold
    columns: AxisFold

    @cached_property
    def channels(self) -> tuple[tuple[int, int, int], ...]:
        """By channel of the folded map: offset of the row, offset of the column, channel of the image."""
        return tuple(itertools.product(self.rows.offsets, self.columns.offsets, range(self.image_channels)))

    @property
    def row_channels(self) -> int:
        """Channels of a position that come from one row of the image."""
        return len(self.columns.offsets) * self.image_channels

    def pack(self, codes: np.ndarray, *, slot_bits: int, word_channels: int) -> np.ndarray:
        """Words (channel word × positions × positions × bytes, uint8) of an image (channels × height × width).

        Each row's share of a position becomes one integer, of at most `ROW_BITS`, once; words are cut out of a few of
        these. A host packs every image, so this is what it spends its time with.
        """
        assert self.row_channels * slot_bits <= ROW_BITS
        _, height, width = codes.shape
        kind = np.uint32 if self.row_channels * slot_bits <= 32 else np.uint64
        shape = self.rows.positions, self.columns.positions
        # Rows of zeros above and below the image, which offsets reach.
        above = max(0, -self.rows.offsets[0])
        below = max(0, self.rows.stride * (shape[0] - 1) + self.rows.offsets[-1] - height + 1)
        rows = np.zeros((above + height + below, shape[1]), kind)
        for number, (offset, channel) in enumerate(itertools.product(self.columns.offsets, range(len(codes)))):
            here, there = _overlap(self.columns, offset, width)
            pixels = np.left_shift(codes[channel, :, there], number * slot_bits, dtype=kind)
            rows[above : above + height, here] |= pixels
        parts = [rows[above + offset :: self.rows.stride][: shape[0]].astype(np.uint64) for offset in self.rows.offsets]

        word_bits = word_channels * slot_bits
        words = -(-len(self.channels) // word_channels)
        pieces = _pieces(word_bits // 8)
        packed = np.empty((words, *shape), np.dtype([(f"{byte}", f"<u{size}") for byte, size in pieces]))
        for word, (byte, size) in itertools.product(range(words), pieces):
            begin = word * word_bits + 8 * byte
            piece = np.zeros(shape, np.uint64)
            for number, part in enumerate(parts):
                shift = number * self.row_channels * slot_bits - begin
                if -self.row_channels * slot_bits < shift < 8 * size:
                    piece |= part << shift if shift >= 0 else part >> -shift
            packed[word][f"{byte}"] = piece
        return packed.view(np.uint8).reshape(words, *shape, -1)

    def scatter(self, folded: np.ndarray, height: int, width: int) -> np.ndarray:
        """The image of a folded map; pixels that it does not hold are 0."""
        codes = np.zeros((self.image_channels, height, width), folded.dtype)
        for number, (dy, dx, channel) in enumerate(self.channels):
            positions_y, pixels_y = _overlap(self.rows, dy, height)
            positions_x, pixels_x = _overlap(self.columns, dx, width)
            codes[channel, pixels_y, pixels_x] = folded[number, positions_y, positions_x]
        return codes

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "InputFold":
        """The inverse of `dataclasses.asdict`."""
        rows, columns = (
            AxisFold(axis["stride"], tuple(axis["offsets"]), axis["positions"])
            for axis in (fields["rows"], fields["columns"])
        )
        return cls(fields["image_channels"], rows, columns)


def _pieces(size: int) -> list[tuple[int, int]]:
    """First byte and bytes, 8, 4, 2 or 1, of the integers that `size` bytes are made of."""
    pieces = []
    begin = 0
    while begin < size:
        part = min(8, 1 << (size - begin).bit_length() - 1)
        pieces.append((begin, part))
        begin += part
    return pieces


def _overlap(axis: AxisFold, offset: int, size: int) -> tuple[slice, slice]:
    """Positions whose pixel of this offset lies inside an image of `size` pixels, and those pixels."""
    first = max(0, -(offset // axis.stride))
    last = min(axis.positions, (size - 1 - offset) // axis.stride + 1)
    if last <= first:
        return slice(0, 0), slice(0, 0)
    begin = axis.stride * first + offset
    return slice(first, last), slice(begin, axis.stride * (last - 1) + offset + 1, axis.stride)

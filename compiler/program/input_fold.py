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
    """One axis: position p holds pixels stride · p + offset, for every offset, of which some may lie outside the
    image."""

    stride: int
    offsets: tuple[int, ...]
    positions: int

    def reach(self, size: int) -> tuple[int, int]:
        """Pixels before and after an image of `size` pixels that positions hold."""
        return max(0, -self.offsets[0]), max(0, self.stride * (self.positions - 1) + self.offsets[-1] - size + 1)

    def moved(self, pixels: int) -> "AxisFold":
        """The same pixels of an image before which so many others have been put."""
        return AxisFold(self.stride, tuple(offset + pixels for offset in self.offsets), self.positions)


@dataclasses.dataclass(frozen=True)
class InputFold:
    """Rows and columns gathered independently; channel number n of a position is pixel and channel `channels[n]`.

    Members
    -------
    border: codes of pixels outside the image, one for each of its channels. Empty: 0.
    """

    image_channels: int
    rows: AxisFold
    columns: AxisFold
    border: tuple[int, ...] = ()

    @cached_property
    def channels(self) -> tuple[tuple[int, int, int], ...]:
        """By channel of the folded map: offset of the row, offset of the column, channel of the image."""
        return tuple(itertools.product(self.rows.offsets, self.columns.offsets, range(self.image_channels)))

    @property
    def row_channels(self) -> int:
        """Channels of a position that come from one row of the image."""
        return len(self.columns.offsets) * self.image_channels

    @property
    def plain(self) -> bool:
        """Whether a position is a pixel."""
        return all(axis.stride == 1 and axis.offsets == (0,) for axis in (self.rows, self.columns))

    def laid(self, images: np.ndarray) -> tuple["InputFold", np.ndarray]:
        """The same without a border, and images (N × channels × height × width) around which it is laid."""
        if not self.border:
            return self, images
        axes = (self.rows, self.columns)
        reaches = [axis.reach(size) for axis, size in zip(axes, images.shape[2:], strict=True)]
        larger = [size + sum(reach) for size, reach in zip(images.shape[2:], reaches, strict=True)]
        result = np.empty((*images.shape[:2], *larger), images.dtype)
        result[...] = np.asarray(self.border, images.dtype)[:, None, None]
        inside = (slice(before, before + size) for (before, _), size in zip(reaches, images.shape[2:], strict=True))
        result[:, :, *inside] = images
        rows, columns = (axis.moved(before) for axis, (before, _) in zip(axes, reaches, strict=True))
        return InputFold(self.image_channels, rows, columns), result

    def pack(self, codes: np.ndarray, *, slot_bits: int, word_channels: int) -> np.ndarray:
        """Words (channel word × positions × positions × bytes, uint8) of an image (channels × height × width).

        Each row's share of a position becomes one integer, of at most `ROW_BITS`, once; words are cut out of a few of
        these. A host packs every image, so this is what it spends its time with. A border must have been `laid`.
        """
        assert not self.border
        assert self.row_channels * slot_bits <= ROW_BITS
        _, height, width = codes.shape
        kind = np.uint32 if self.row_channels * slot_bits <= 32 else np.uint64
        shape = self.rows.positions, self.columns.positions
        # Rows of zeros above and below the image, which offsets reach.
        above, below = self.rows.reach(height)
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
        return cls(fields["image_channels"], rows, columns, tuple(fields.get("border", ())))


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

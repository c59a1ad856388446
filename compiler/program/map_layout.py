"""How a feature map lies in DDR: [digit][channel word][image][row][column], `Ti · A` bits a word, dense,
little-endian."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...hdl.isa import DIGIT_BITS
from .input_fold import InputFold
from .map_border import NO_BORDER, MapBorder

Bytes = bytes


@dataclasses.dataclass(frozen=True, eq=False)
class MapLayout:
    """A feature map's place and order.

    The maps of a batch lie in one: every plane has the rows of all its images, one image after the other.

    Members
    -------
    name: the tensor.
    region: an `isa.Region` by name, "INPUT", "OUTPUT" or "WORKSPACE".
    offset: bytes from the region's base.
    channels, height, width, bits: of the tensor, of one image.
    order: int64 per channel position (`channel_words · word_channels` of them): the tensor's channel there, or
        −1 for a position that holds no channel (its code is 0 as stored by the accelerator, and not compared).
    word_channels, slot_bits: Ti and A of the geometry.
    fold: how pixels were folded into channels, which then lie in the fold's order, dense; rows and columns are its
        positions. None: not folded.
    scale, zero_point: of the tensor: the real value of code q is scale · (q − zero_point).
    pitch: planes from a digit to the next. More than its own channel words where the map is part of a chain of maps
        that are concatenated: digits of other maps lie between its own then. 0: its own channel words.
    images: that are computed at once.
    border: positions around each image that hold code `zero_point`, in every slot. A folded map has none.
    """

    name: str
    region: str
    offset: int
    channels: int
    height: int
    width: int
    bits: int
    order: np.ndarray
    word_channels: int
    slot_bits: int
    fold: InputFold | None = None
    scale: float = 1.0
    zero_point: int = 0
    pitch: int = 0
    images: int = 1
    border: MapBorder = NO_BORDER

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its codes: channels × height × width, with the images in front if there are several."""
        one = self.channels, self.height, self.width
        return one if self.images == 1 else (self.images, *one)

    @property
    def digits(self) -> int:
        """Words that hold one position's codes: 1, or 2 where codes are wider than a slot (upper digit first)."""
        return 1 if self.bits <= self.slot_bits else 2

    @property
    def channel_words(self) -> int:
        return len(self.order) // self.word_channels

    @property
    def image_rows(self) -> int:
        """Rows of an image as stored, with its border."""
        inside = self.fold.rows.positions if self.fold else self.height
        return self.border.top + inside + self.border.bottom

    @property
    def rows(self) -> int:
        """Rows of all images as stored."""
        return self.images * self.image_rows

    @property
    def columns(self) -> int:
        """Columns as stored, with the border."""
        inside = self.fold.columns.positions if self.fold else self.width
        return self.border.left + inside + self.border.right

    @property
    def word_bytes(self) -> int:
        return self.word_channels * self.slot_bits // 8

    @property
    def plane_bytes(self) -> int:
        """Bytes of one channel word's plane."""
        return self.rows * self.columns * self.word_bytes

    @property
    def digit_bytes(self) -> int:
        """Bytes from a digit to the next."""
        return (self.pitch or self.channel_words) * self.plane_bytes

    @property
    def dense(self) -> bool:
        """Whether the planes of all digits follow one another."""
        return self.digits == 1 or self.pitch in (0, self.channel_words)

    @property
    def bytes(self) -> int:
        """From the first byte to the last; where digits of other maps lie between, they are counted."""
        return (self.digits - 1) * self.digit_bytes + self.channel_words * self.plane_bytes

    def holds(self, address: int) -> bool:
        """Whether a byte of the region is one of the map's."""
        digit, place = divmod(address - self.offset, self.digit_bytes)
        return 0 <= digit < self.digits and place < self.channel_words * self.plane_bytes

    def plane(self, digit: int, word: int) -> int:
        """The plane, counted from the map's first, of a digit of a channel word."""
        return digit * (self.pitch or self.channel_words) + word

    def stored_row(self, image: int, row: int) -> int:
        """Where a row of an image lies, counted over all images as stored; a row of the border above is below 0."""
        return image * self.image_rows + self.border.top + row

    def stored_column(self, column: int) -> int:
        """Where a column lies; one of the border to the left is below 0."""
        return self.border.left + column

    def address(self, plane: int, row: int, column: int) -> int:
        """Bytes from the region's base of a word of a plane; rows and columns as stored, rows over all images."""
        return self.offset + plane * self.plane_bytes + (row * self.columns + column) * self.word_bytes

    def place(self, address: int) -> tuple[int, int, int]:
        """Plane, row and column of the word that holds a byte of the region: the inverse of `address`."""
        plane, within = divmod(address - self.offset, self.plane_bytes)
        return plane, *divmod(within // self.word_bytes, self.columns)

    def pack(self, codes: np.ndarray) -> Bytes:
        """Codes, of `shape`, as they lie in DDR, with their border; what lies between digits is 0.

        Raises
        ------
        ValueError: the shape or a code's range is not the tensor's.
        """
        if codes.shape != self.shape:
            raise ValueError(f"map {self.name} must have shape {self.shape}, not {codes.shape}")
        if codes.size and (codes.min() < 0 or codes.max() >= 1 << self.bits):
            raise ValueError(f"map {self.name} must have codes 0 … {(1 << self.bits) - 1}, not "
                             f"{codes.min()} … {codes.max()}")
        codes = codes.astype(np.uint8, copy=False).reshape(self.images, self.channels, self.height, self.width)
        fold = self.fold
        if fold:
            fold, codes = fold.laid(codes)
            codes = codes[:, :, : self.image_rows, : self.columns] if fold.plain else codes
        if fold and not fold.plain:
            slots, width = self.slot_bits, self.word_channels
            words = [
                np.concatenate([fold.pack(image, slot_bits=slots, word_channels=width) for image in digit], axis=1)
                for digit in self._digits(codes)
            ]
            return np.stack(words).tobytes()
        around = self.zero_point if self.border else 0
        stored = np.full((len(self.order), self.rows, self.columns), around, np.uint8)
        used = self.order >= 0
        for inside, image in zip(self._images(stored), codes):
            inside[used] = image[self.order[used]]
            inside[~used] = 0
        planes = self._digits(stored)
        packed = np.stack(planes).reshape(self.digits, self.channel_words, -1, self._run, self.rows, self.columns)
        # Neighbouring slots are joined, then pairs of them, until a run is one integer.
        for kind, bits in self._joins:
            joined = np.left_shift(packed[:, :, :, 1::2], bits, dtype=kind)
            joined |= packed[:, :, :, 0::2]
            packed = joined
        runs = packed.view(np.uint8).reshape(*packed.shape, -1)[:, :, :, 0]  # digit, word, run, row, column, byte
        result = np.empty((*runs.shape[:2], self.rows, self.columns, *self._run_places), np.uint8)
        for run, place in np.ndindex(*self._run_places):  # long inner loops: rows and columns
            result[..., run, place] = runs[:, :, run, ..., place]
        return self._spread(result)

    def unpack(self, data: Bytes | np.ndarray) -> np.ndarray:
        """The inverse of `pack`: uint8 codes, of `shape`.

        Raises
        ------
        ValueError: the data's size is not the map's.
        """
        raw = np.frombuffer(data, np.uint8) if isinstance(data, bytes | bytearray) else data
        if raw.size != self.bytes:
            raise ValueError(f"map {self.name} is {self.bytes} bytes, not {raw.size}")
        raw = self._gathered(raw)
        places = raw.reshape(self.digits, self.channel_words, self.rows, self.columns, *self._run_places)
        runs = np.zeros((*places.shape[:2], places.shape[4], self.rows, self.columns, self._run), np.uint8)
        for run, place in np.ndindex(*self._run_places):
            runs[:, :, run, ..., place] = places[..., run, place]
        packed = runs.view(f"<u{self._run}").reshape(*runs.shape[:3], 1, self.rows, self.columns)
        for kind, bits in reversed(self._joins):
            parts = np.empty((*packed.shape[:4], 2, *packed.shape[4:]), f"<u{np.dtype(kind).itemsize // 2}")
            parts[:, :, :, :, 0] = packed & ((1 << bits) - 1)
            parts[:, :, :, :, 1] = packed >> bits
            packed = parts.reshape(*packed.shape[:3], -1, *packed.shape[4:])
        planes = packed.reshape(self.digits, len(self.order), self.rows, self.columns)
        stored = planes[0] if self.digits == 1 else (planes[0] << DIGIT_BITS) | planes[1]
        return np.stack([self._image(rows) for rows in self._images(stored)]).reshape(self.shape)

    def _images(self, stored: np.ndarray) -> list[np.ndarray]:
        """The images of stored codes, channel positions × rows × columns, without their borders: views."""
        top, left = self.border.top, self.border.left
        bottom, right = self.image_rows - self.border.bottom, self.columns - self.border.right
        return [rows[:, top:bottom, left:right] for rows in np.split(stored, self.images, axis=1)]

    def _image(self, stored: np.ndarray) -> np.ndarray:
        """The codes of an image, channels × height × width, from those stored."""
        channels = len(self.fold.channels) if self.fold else self.channels
        folded = np.zeros((channels, *stored.shape[1:]), np.uint8)
        used = self.order >= 0
        folded[self.order[used]] = stored[used]
        return self.fold.scatter(folded, self.height, self.width) if self.fold else folded

    def _digits(self, codes: np.ndarray) -> list[np.ndarray]:
        return [codes] if self.digits == 1 else [codes >> DIGIT_BITS, codes & ((1 << DIGIT_BITS) - 1)]

    def _spread(self, packed: np.ndarray) -> Bytes:
        """The map's bytes, from those of its planes alone."""
        if self.dense:
            return packed.tobytes()
        result = np.zeros(self.bytes, np.uint8)
        for digit, part in enumerate(packed.reshape(self.digits, -1)):
            result[digit * self.digit_bytes :][: part.size] = part
        return result.tobytes()

    def _gathered(self, raw: np.ndarray) -> np.ndarray:
        """The inverse of `_spread`."""
        if self.dense:
            return raw
        size = self.channel_words * self.plane_bytes
        return np.concatenate([raw[digit * self.digit_bytes :][:size] for digit in range(self.digits)])

    @property
    def _run(self) -> int:
        """Slots that fill whole bytes and are at most 64 bits: 1, 2, 4 or 8."""
        return math.gcd(self.word_channels, 8)

    @property
    def _run_places(self) -> tuple[int, int]:
        """Runs of a word, bytes of a run."""
        return self.word_channels // self._run, self._run * self.slot_bits // 8

    @property
    def _joins(self) -> list[tuple[str, int]]:
        """How the slots of a run become one integer, two into one: the integer's type and the bits of each half."""
        return [(f"<u{2 << level}", self.slot_bits << level) for level in range(self._run.bit_length() - 1)]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_dict` is its inverse. One without a border has no word of it."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        border = fields.pop("border")
        fields |= {"order": self.order.tolist(), "fold": self.fold and dataclasses.asdict(self.fold)}
        return fields | ({"border": dataclasses.asdict(border)} if border else {})

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "MapLayout":
        fold = fields["fold"] and InputFold.from_dict(fields["fold"])
        border = MapBorder.from_dict(fields["border"]) if "border" in fields else NO_BORDER
        return cls(**{**fields, "order": np.asarray(fields["order"], np.int64), "fold": fold, "border": border})

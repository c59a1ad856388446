"""What the host lays around stored maps when it loads a program (`map_border`)."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from ...hdl.isa import DIGIT_BITS
from .map_border import MapBorder
from .map_layout import MapLayout


@dataclasses.dataclass(frozen=True, kw_only=True)
class BorderFill:
    """What the host writes into a region once, when it loads a program: the borders of planes that follow one another.

    No instruction writes there, so that every run finds it.

    Members
    -------
    tensor: whose border it is.
    region: an `isa.Region` by name.
    offset: bytes from the region's base to the first plane.
    planes: how many, each image of a batch counted as one.
    rows, columns: of a plane, the border included.
    border: around each plane.
    word: what lies at each of its positions.
    """

    tensor: str
    region: str
    offset: int
    planes: int
    rows: int
    columns: int
    border: MapBorder
    word: bytes

    @property
    def bytes(self) -> int:
        """Bytes that are written."""
        inside = (self.rows - self.border.top - self.border.bottom) * (
            self.columns - self.border.left - self.border.right
        )
        return self.planes * (self.rows * self.columns - inside) * len(self.word)

    @property
    def end(self) -> int:
        """Bytes from the region's base to the end of the last plane."""
        return self.offset + self.planes * self.rows * self.columns * len(self.word)

    def lay(self, region: np.ndarray) -> None:
        """Writes the border into a region's bytes (uint8)."""
        for part in self._parts(region):
            part[...] = np.frombuffer(self.word, np.uint8)

    def mark(self, known: np.ndarray) -> None:
        """Sets the flags (bool, one for each byte of the region) of the bytes that are written."""
        for part in self._parts(known):
            part[...] = True

    def _parts(self, region: np.ndarray) -> Iterator[np.ndarray]:
        """Views of the rows above and below, and of the columns at the sides."""
        shape = self.planes, self.rows, self.columns, len(self.word)
        planes, border = region[self.offset : self.end].reshape(shape), self.border
        yield planes[:, : border.top]
        yield planes[:, self.rows - border.bottom :]
        yield planes[:, :, : border.left]
        yield planes[:, :, self.columns - border.right :]


def border_fills(layout: MapLayout) -> list[BorderFill]:
    """What the host lays around a map, by digit; none where it has no border."""
    if not layout.border:
        return []
    code = layout.zero_point
    digits = [code] if layout.digits == 1 else [code >> DIGIT_BITS, code & ((1 << DIGIT_BITS) - 1)]
    return [
        BorderFill(
            tensor=layout.name,
            region=layout.region,
            offset=layout.offset + number * layout.digit_bytes,
            planes=layout.channel_words * layout.images,
            rows=layout.image_rows,
            columns=layout.columns,
            border=layout.border,
            word=_word(layout, digit),
        )
        for number, digit in enumerate(digits)
    ]


def _word(layout: MapLayout, digit: int) -> bytes:
    """A word that has a digit in each slot."""
    slots = sum(digit << slot * layout.slot_bits for slot in range(layout.word_channels))
    return slots.to_bytes(layout.word_bytes, "little")

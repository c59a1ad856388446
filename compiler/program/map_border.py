"""Borders: positions around a stored map that hold the code of the value 0, for the layers that pad it.

The machine pads with code 0 only. A map whose code of the value 0 is another one is stored with a border instead
(docs/decisions/0016-border-of-maps.md): the host lays it when it loads the program, STOREs write what is inside, and a
layer that pads the map reads it with as much of the border as it asks for.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class MapBorder:
    """Positions around each image of a map: rows above and below, columns to the left and right."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any(dataclasses.astuple(self))

    def around(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of a map with its border."""
        return self.top + height + self.bottom, self.left + width + self.right

    @classmethod
    def union(cls, borders: Iterable["MapBorder"]) -> "MapBorder":
        """The smallest border that holds all of some."""
        sides = zip(*(dataclasses.astuple(border) for border in borders), strict=True)
        return cls(*(max(side) for side in sides))

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "MapBorder":
        """The inverse of `dataclasses.asdict`.

        Raises
        ------
        ValueError: a side is missing, unknown, or no number of positions.
        """
        sides = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(fields, Mapping) or sorted(fields) != sorted(sides):
            raise ValueError(f"a border must have the sides {', '.join(sides)}, not {fields!r}")
        for side, value in fields.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"a border's {side} must be an integer of at least 0, not {value!r}")
        return cls(**fields)


NO_BORDER = MapBorder()

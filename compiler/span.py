"""Spans of rows, columns, words or images, and boxes of rows and columns, from 0. Ends are one past the last."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """`begin` … `end` − 1."""

    begin: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.begin

    @property
    def slice(self) -> slice:
        """For indexing."""
        return slice(self.begin, self.end)

    def shifted(self, by: int) -> "Span":
        """The span, counted from `by` before."""
        return Span(self.begin + by, self.end + by)


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    """Rows and columns of a map."""

    rows: Span
    columns: Span


@dataclasses.dataclass(frozen=True, slots=True)
class Padded:
    """A span of a map (rows, or columns) with `before` zeros before it and `after` zeros after it."""

    span: Span
    before: int
    after: int

    @property
    def size(self) -> int:
        """With the zeros."""
        return self.before + self.span.size + self.after

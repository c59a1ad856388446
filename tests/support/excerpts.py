"""What pages show of a command's output, compared with what it printed.

An excerpt leaves out lines, of a table whole rows and columns. What it has must be printed, in its order. Cells of a
table that fold into several lines are joined, so a page may show them unfolded.
"""

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

_BORDER = re.compile(r"^[ ━─┏┓┗┛┡┩└┘├┤┳┻╇┴┼┬╪]+$")
_BARS = re.compile(r"[┃│]")
_LEFT_OUT = {"", "…"}

Item = str | dict[str, str]
"""A line, or a row of a table by its headings."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Varying:
    """What is not the same each time.

    Members
    -------
    columns: headings of a table whose cells are not compared.
    patterns: what is put in the place of parts of lines and cells, on both sides.
    """

    columns: Collection[str] = ()
    patterns: Sequence[tuple[str, str]] = ()

    def masked(self, text: str) -> str:
        for pattern, replacement in self.patterns:
            text = re.sub(pattern, replacement, text)
        return " ".join(text.split())


def missing(excerpt: str, printed: str, varying: Varying) -> str | None:
    """The first thing in an excerpt that was not printed after those before it."""
    found = iter(list(items(printed)))
    for wanted in items(excerpt):
        if not any(_fits(wanted, each, varying) for each in found):
            return str(wanted)
    return None


def items(text: str) -> Iterator[Item]:
    """Lines, and rows of tables, of which the first is the heading and yields nothing."""
    heading: list[str] | None = None
    row: dict[str, str] | None = None
    for line in [*text.splitlines(), ""]:
        if _BARS.search(line):
            cells = [cell.strip() for cell in _BARS.split(line.strip().strip("┃│"))]
            if heading is None:
                heading = cells
            elif "┃" in line:  # a heading of two lines
                heading = [" ".join(filter(None, pair)) for pair in zip(heading, cells)]
            elif row is not None and not cells[0]:
                row = {name: " ".join(filter(None, (row[name], cell))) for name, cell in zip(heading, cells)}
            else:
                if row is not None:
                    yield row
                row = dict(zip(heading, cells))
            continue
        if row is not None:
            yield row
            row = None
        if not _BORDER.match(line):
            heading = None
            if line.strip() not in _LEFT_OUT:
                yield line.strip()


def _fits(wanted: Item, printed: Item, varying: Varying) -> bool:
    if isinstance(wanted, Mapping) and isinstance(printed, Mapping):
        return all(
            name in varying.columns or varying.masked(cell) == varying.masked(printed.get(name, ""))
            for name, cell in wanted.items()
        )
    return isinstance(wanted, str) and isinstance(printed, str) and varying.masked(wanted) == varying.masked(printed)

"""What the commands print with: one console, progress bars, tables."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_WIDTH = None if sys.stdout.isatty() else 150
"""Tables that go to a file or a pipe are not folded to a terminal's width."""
_ENOUGH = 10_000
"""Characters that no table fills."""
_FOLDED = 1.25
"""How much wider than the terminal a table's lines may be, without folds, before columns that can be spared go."""

console = Console(highlight=False, emoji=False, width=_WIDTH)
errors = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)

Advance = Callable[[int, int, str], None]
"""Called with (done, total, note): moves a bar; a total of 0 is one that nobody knows."""

_PLAIN_SECONDS = 30.0
"""Where there is no terminal, how long a bar is silent before it says in a line how far it is."""


class _CountColumn(MofNCompleteColumn):
    """How much is done, of how much; nothing where that is not known."""

    def render(self, task: Task) -> Text:
        return Text("") if task.total is None else super().render(task)


@contextmanager
def bar(title: str) -> Iterator[Advance]:
    """A progress bar for as long as the block runs; shows its time when it ends.

    In a file or a pipe it is a line now and then.
    """
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        _CountColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        progress.add_task(title, total=None, note="")
        (task,) = progress.tasks
        told = time.monotonic()

        def advance(done: int, total: int, note: str = "") -> None:
            nonlocal told
            task.total = total or None
            progress.update(task.id, completed=done, note=escape(note))
            if not console.is_terminal and time.monotonic() - told >= _PLAIN_SECONDS:
                told = time.monotonic()
                what = [f"{done:,} of {total:,}"] if total else []
                console.print(f"… {title}: {', '.join([*what, *filter(None, [note])])}", markup=False)

        yield advance
        total, note = (1, "") if task.total is None else (task.total, task.fields["note"])
        progress.update(task.id, completed=total, total=total, note=note)


@contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """A spinner for work of unknown length; the value is called with a note on what is happening."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=1, note="")
        yield lambda note: progress.update(task, note=note)
        progress.update(task, completed=1)


def table(
    title: str, columns: list[tuple[str, str]], rows: list[list[str]], footer: list[str] | None = None, *,
    spare: Sequence[str] = (),
) -> None:  # fmt: skip
    """Prints a table; `columns` are (heading, justification).

    Numbers are never cut or broken: where the terminal is too narrow for them, columns are left out, and a line says
    which.

    Parameters
    ----------
    spare: headings of the columns that may be left out, the least important first. Where these do not do, the last of
        the others are left out, but for the first two.
    """
    shown, hidden = list(range(len(columns))), []
    headings = [heading for heading, _ in columns]
    marked = [headings.index(heading) for heading in spare]
    others = [index for index in reversed(shown[2:]) if index not in marked]
    result = _table(title, columns, rows, footer, shown)
    while not _fits(result, folded=not marked) and (marked or others):
        hidden.append((marked or others).pop(0))
        shown = [index for index in shown if index not in hidden]
        result = _table(title, columns, rows, footer, shown)
    console.print(result)
    if hidden:
        names = ", ".join(headings[index] for index in sorted(hidden) if headings[index])
        what = "1 column" if len(hidden) == 1 else f"{len(hidden)} columns"
        console.print(f"[dim]{what} hidden, the terminal is narrow: {names}[/]")


def _table(
    title: str, columns: list[tuple[str, str]], rows: list[list[str]], footer: list[str] | None, shown: Sequence[int]
) -> Table:
    """The table of some columns; those on the right hold numbers, as wide as the widest."""
    result = Table(title=title, title_justify="left", show_footer=footer is not None)
    for index in shown:
        heading, justify = columns[index]
        cells = [*(row[index] for row in rows), *(footer[index : index + 1] if footer else ())]
        number = justify == "right"
        result.add_column(
            heading, justify=justify, footer=footer[index] if footer else "", overflow="fold",  # type: ignore[arg-type]
            min_width=max((Text.from_markup(cell).cell_len for cell in cells), default=0) if number else None,
        )  # fmt: skip
    for row in rows:
        result.add_row(*(row[index] for index in shown))
    return result


def _fits(result: Table, *, folded: bool) -> bool:
    """Whether the terminal holds a table, with its text in about two lines, or `folded` at every word."""
    widths = Measurement.get(console, console.options.update(width=_ENOUGH), result)
    return widths.minimum <= console.width and (folded or widths.maximum <= _FOLDED * console.width)

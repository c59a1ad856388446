"""What the commands print with: one console, progress bars, tables."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

_WIDTH = None if sys.stdout.isatty() else 150
"""Tables that go to a file or a pipe are not folded to a terminal's width."""

console = Console(highlight=False, emoji=False, width=_WIDTH)
errors = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)

Advance = Callable[[int, int, str], None]
"""Called with (done, total, note): moves a bar; a total of 0 is one that nobody knows."""


@contextmanager
def bar(title: str) -> Iterator[Advance]:
    """A progress bar for as long as the block runs; shows its time when it ends."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        progress.add_task(title, total=None, note="")
        (task,) = progress.tasks

        def advance(done: int, total: int, note: str = "") -> None:
            task.total = total or None
            progress.update(task.id, completed=done, note=note)

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


def table(title: str, columns: list[tuple[str, str]], rows: list[list[str]], footer: list[str] | None = None) -> None:
    """Prints a table; `columns` are (heading, justification)."""
    result = Table(title=title, title_justify="left", show_footer=footer is not None)
    for index, (heading, justify) in enumerate(columns):
        result.add_column(heading, justify=justify, footer=footer[index] if footer else "")  # type: ignore[arg-type]
    for row in rows:
        result.add_row(*row)
    console.print(result)

"""`intramix cache`: the simulators that are kept, and how to be rid of them."""

import time
from pathlib import Path

import click

from ...sim.cache import ENVIRONMENT_VARIABLE, cache_directory
from ...sim.cache_contents import LIMIT_VARIABLE, Entry, Kind, entries, limit_bytes, remove
from ..figures.cache import CacheFigures, CacheKindFigures
from ..shared.console import console, table
from ..shared.options import json_option
from ..shared.output import write_figures


@click.command()
@click.option("--clear", is_flag=True, help="Remove all of it; simulators are built anew when they are needed.")
@json_option
def cache(clear: bool, json_path: Path | None) -> None:
    """Show the cache of simulators and Verilog, and clear it.

    It lies in ~/.cache/intramix, or where INTRAMIX_CACHE says. A build that makes it larger than INTRAMIX_CACHE_GB
    (10) removes what was used longest ago.
    """
    held, limit = entries(), limit_bytes()
    if clear:
        remove(held)
    figures = _figures(held, limit, cleared=clear)
    if held:
        columns = [("", "left"), ("number", "right"), ("MB", "right"), ("last used", "left")]
        rows = [
            [entry.kind, str(entry.number), _megabytes(entry.bytes),
             time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_used))]
            for entry in figures.kinds
        ]  # fmt: skip
        footer = ["all", str(len(held)), _megabytes(figures.bytes), "" if clear else f"of {_megabytes(limit)} MB"]
        table("What was removed from the cache" if clear else "The cache", columns, rows, footer)
    state = ("cleared" if clear else "") if held else "empty"
    console.print(f"{figures.folder}{': ' if state else ''}{state}", soft_wrap=True)
    console.print(f"[dim]{ENVIRONMENT_VARIABLE} moves it, {LIMIT_VARIABLE} limits it, --clear empties it.[/]")
    write_figures(json_path, figures)


def _figures(held: list[Entry], limit: int, *, cleared: bool) -> CacheFigures:
    by_kind = {kind: [entry for entry in held if entry.kind is kind] for kind in Kind}
    return CacheFigures(
        folder=str(cache_directory()),
        limit_bytes=limit,
        bytes=sum(entry.size for entry in held),
        cleared=cleared,
        kinds=tuple(
            CacheKindFigures(
                kind=kind.title, number=len(some), bytes=sum(entry.size for entry in some), last_used=some[-1].used
            )
            for kind, some in by_kind.items()
            if some
        ),
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"

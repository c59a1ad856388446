"""Figures on disk: `--json`."""

from pathlib import Path
from typing import Any

import click

from ...files import write_json
from ...runtime.figures.fields import to_json

json_option = click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Also write the figures to this file as JSON; docs/json.md explains its keys.",
)


def write_figures(path: Path | None, figures: Any) -> None:
    """Writes figures (a dataclass of `Means` fields) where `--json` asks for them; None: it does not.

    Raises
    ------
    OSError: the file cannot be written.
    """
    if path is not None:
        write_json(path, to_json(figures))

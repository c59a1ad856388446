"""Results on disk: whole or not at all."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click

json_option = click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Also write the figures as JSON; docs/json.md explains the keys.",
)


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file by renaming a finished one into place; makes its folder.

    Raises
    ------
    OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, figures: dict[str, Any]) -> None:
    """Writes figures under the keys that docs/json.md documents."""
    write_whole(path, json.dumps(figures, indent=2, ensure_ascii=False) + "\n")

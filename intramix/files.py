"""Files that are written whole or not at all: every folder writes with it, and it imports nothing of Intramix."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def write_whole(path: "str | os.PathLike[str]", content: "str | bytes | memoryview") -> None:
    """Writes a file under a temporary name beside it and then renames it, so that nobody ever sees a part of it. Text
    is written as UTF-8. The folder is made if it is not there.

    Raises
    ------
    OSError: the folder or the file cannot be written; a file that was there before is unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave the new name with no contents
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def write_json(path: "str | os.PathLike[str]", figures: Any) -> None:
    """Writes figures (dictionaries, lists, numbers, text) as JSON, whole or not at all; raises as `write_whole`."""
    write_whole(path, json.dumps(figures, indent=2, ensure_ascii=False) + "\n")

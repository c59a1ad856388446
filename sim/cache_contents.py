"""What the cache holds, and how it is kept small: what was used longest ago goes first."""

import contextlib
import dataclasses
import enum
import os
import pathlib
import shutil
import time
from collections.abc import Iterable

from .cache import CacheError, cache_directory

LIMIT_VARIABLE = "INTRAMIX_CACHE_GB"
DEFAULT_LIMIT_GB = 10.0
_KEPT_SECONDS = 3600.0
"""What was used in this time is not removed to make room: another process may be about to load it."""
_ABANDONED_SECONDS = 24 * 3600.0
"""A folder in which something is built is not older; one that is was left by a process that was killed."""


class Kind(enum.Enum):
    """Kinds of entries, by how their names begin."""

    VERILOG = "accelerator-"
    SIMULATOR = "simulator-"
    OBJECTS = "runtime-"
    COCOTB = "cocotb-"
    ABANDONED = ".build-"

    @property
    def title(self) -> str:
        """For people."""
        return _TITLES[self]


_TITLES = {
    Kind.VERILOG: "Verilog of accelerators",
    Kind.SIMULATOR: "simulators",
    Kind.OBJECTS: "objects of all simulators",
    Kind.COCOTB: "builds of cocotb",
    Kind.ABANDONED: "builds that were stopped",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A file or a folder of the cache.

    Members
    -------
    size: bytes on disk of all that is in it.
    used: when it was made or last used, in seconds of `time.time()`.
    """

    path: pathlib.Path
    kind: Kind
    size: int
    used: float


def entries() -> list[Entry]:
    """What the cache holds, what was used longest ago first. Locks, which are empty, and files of others are left out.

    Raises
    ------
    CacheError: the cache cannot be written.
    """
    found = []
    for path in cache_directory().iterdir():
        kind = next((kind for kind in Kind if path.name.startswith(kind.value)), None)
        if kind is None or path.suffix == ".lock":
            continue
        with contextlib.suppress(FileNotFoundError):  # another process removed it
            used = path.stat().st_mtime
            if kind is not Kind.ABANDONED or time.time() - used > _ABANDONED_SECONDS:
                found.append(Entry(path=path, kind=kind, size=_size(path), used=used))
    return sorted(found, key=lambda entry: entry.used)


def limit_bytes() -> int:
    """How large the cache may become: `$INTRAMIX_CACHE_GB`, or 10 GB.

    Raises
    ------
    CacheError: the variable is no number, or a negative one.
    """
    text = os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_LIMIT_GB)
    try:
        limit = float(text) * 1e9
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise CacheError(f"{LIMIT_VARIABLE} must be a number of gigabytes, at least 0, not {text!r}")
    return round(limit)


def mark_used(path: pathlib.Path) -> None:
    """Says that an entry is used now."""
    with contextlib.suppress(OSError):
        os.utime(path)


def trim() -> list[Entry]:
    """Removes what was used longest ago until the rest is within the limit; what was removed.

    Entries of the last hour stay, whatever their size.

    Raises
    ------
    CacheError: as `entries` and `limit_bytes`.
    """
    limit, held = limit_bytes(), entries()
    excess, removed = sum(entry.size for entry in held) - limit, []
    for entry in held:
        if excess <= 0 or time.time() - entry.used < _KEPT_SECONDS:
            break
        removed.append(entry)
        excess -= entry.size
    remove(removed)
    return removed


def remove(removed: Iterable[Entry]) -> None:
    """Removes entries. A simulator that a process has loaded goes on in that process.

    Raises
    ------
    OSError: one cannot be removed.
    """
    for entry in removed:
        with contextlib.suppress(FileNotFoundError):
            if entry.path.is_dir():
                shutil.rmtree(entry.path)
            else:
                entry.path.unlink()


def _size(path: pathlib.Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_blocks * 512 for file in files)

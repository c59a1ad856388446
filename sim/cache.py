"""Where built simulators are kept: `$INTRAMIX_CACHE`, or `~/.cache/intramix`."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
from collections.abc import Iterable, Iterator

ENVIRONMENT_VARIABLE = "INTRAMIX_CACHE"


class CacheError(OSError):
    """The cache cannot be written; the message names the directory and the variable that moves it."""


def cache_directory() -> pathlib.Path:
    """The cache's directory, created if it is not there.

    Raises
    ------
    CacheError: it cannot be created or written.
    """
    configured = os.environ.get(ENVIRONMENT_VARIABLE)
    directory = pathlib.Path(configured).expanduser() if configured else pathlib.Path.home() / ".cache" / "intramix"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(
            f"the cache {directory} cannot be created ({error.strerror}); "
            f"set {ENVIRONMENT_VARIABLE} to a directory that can"
        ) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise CacheError(f"the cache {directory} cannot be written; set {ENVIRONMENT_VARIABLE} to a directory that can")
    return directory


def digest(parts: Iterable[str]) -> str:
    """A name for contents: equal exactly when all parts are (24 hexadecimal digits of SHA-256)."""
    state = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        state.update(len(encoded).to_bytes(8, "little"))
        state.update(encoded)
    return state.hexdigest()[:24]


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds the cache's lock of this name: of several processes that want an entry one makes it, the others wait."""
    with (cache_directory() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

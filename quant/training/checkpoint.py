"""Checkpoints of a training run: written whole or not at all, read without executing code, and exact to go on from."""

import dataclasses
import io
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ...files import write_whole
from .recipe import TrainingError

VERSION = 1


class TrainingStopped(Exception):
    """Training was interrupted and saved; the message says where, and how to go on."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where a run is saved, after every epoch and when it is interrupted.

    Members
    -------
    path: of the file.
    resume: go on from the file, if it is there.
    conditions: plain values that a run to go on with must share with the one that was saved (the method, the data …).
    """

    path: Path
    resume: bool = False
    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def load(self, options: Mapping[str, Any]) -> dict[str, Any] | None:
        """The state that was saved; None where training starts from the beginning.

        Raises
        ------
        TrainingError: there is a file but `resume` is not set; it is damaged, or of a run with other conditions.
        """
        if not self.path.exists():
            return None
        if not self.resume:
            raise TrainingError(
                f"{self.path} has a training run already; go on with it (--resume), or choose another folder"
            )
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            version, conditions, state = content["version"], content["conditions"], content["state"]
        except Exception as error:  # whatever damaged bytes lead the reader to: KeyError, IndexError, RuntimeError …
            raise TrainingError(f"{self.path} is damaged or no checkpoint; remove it to start anew") from error
        if version != VERSION:
            raise TrainingError(f"{self.path} has version {version} of the format, not {VERSION}; start anew elsewhere")
        expected = {**self.conditions, **options}
        for key in {**expected, **conditions}:
            if expected.get(key) != conditions.get(key):
                raise TrainingError(
                    f"{self.path} was made with {key} = {conditions.get(key)!r}, not {expected.get(key)!r}; go on with "
                    "the options that it was started with, or choose another folder"
                )
        return state  # type: ignore[no-any-return]

    def save(self, options: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Replaces the file.

        Raises
        ------
        OSError: it cannot be written; the file that was there stays.
        """
        buffer = io.BytesIO()
        torch.save({"version": VERSION, "conditions": {**self.conditions, **options}, "state": dict(state)}, buffer)
        write_whole(self.path, buffer.getbuffer())


class Interruption:
    """Whether someone asked the run to stop."""

    requested = False

    def request(self, number: int, frame: Any) -> None:
        """A signal handler: the first signal asks for a stop at the end of the step, the next one stops at once."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def interruption(enabled: bool) -> Iterator[Interruption]:
    """While it lasts, Ctrl-C and SIGTERM only ask to stop (in the main thread, and if enabled)."""
    asked = Interruption()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield asked
        return
    previous = {number: signal.signal(number, asked.request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

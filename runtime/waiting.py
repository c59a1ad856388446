"""Procedures that wait for a device, written once and run both ways: blocking, or in an event loop."""

from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

Result = TypeVar("Result")
Waiting = Generator[float, bool, Result]
"""Yields how many seconds it would wait for the interrupt, and is sent whether it came."""


def run_blocking(procedure: Waiting[Result], wait: Callable[[float], bool]) -> Result:
    """Runs a procedure to its end with a `wait` that blocks. What `wait` raises, the procedure sees, and passes on."""
    try:
        seconds = next(procedure)
        while True:
            try:
                came = wait(seconds)
            except BaseException as error:
                seconds = procedure.throw(error)
            else:
                seconds = procedure.send(came)
    except StopIteration as end:
        return end.value


async def run_awaiting(procedure: Waiting[Result], wait: Callable[[float], Awaitable[bool]]) -> Result:
    """The same with a `wait` that is awaited: other tasks of the event loop go on meanwhile."""
    try:
        seconds = next(procedure)
        while True:
            try:
                came = await wait(seconds)
            except BaseException as error:
                seconds = procedure.throw(error)
            else:
                seconds = procedure.send(came)
    except StopIteration as end:
        return end.value

"""The tiers: which tests start a simulator is written beside them, and a test that is not marked cannot start one.

`make test-fast` leaves out what is marked `simulator` (Verilator and a C++ compiler build one, or it comes from the
cache) and `slow`. Simulators live in the cache, so that a test without the mark, and every process that it starts, is
given a cache that cannot be: its first simulator fails with `FORBIDDEN` in the message.
"""

import os
from collections.abc import Iterator

import pytest

from intramix.sim.cache import ENVIRONMENT_VARIABLE
from tests.support.tiers import FORBIDDEN


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """For the whole of a test: a fixture of a module or of the session may start the simulator."""
    if item.get_closest_marker("simulator") or item.get_closest_marker("long"):
        return (yield)
    before = os.environ.get(ENVIRONMENT_VARIABLE)
    os.environ[ENVIRONMENT_VARIABLE] = FORBIDDEN
    try:
        return (yield)
    finally:
        os.environ.pop(ENVIRONMENT_VARIABLE)
        if before is not None:
            os.environ[ENVIRONMENT_VARIABLE] = before

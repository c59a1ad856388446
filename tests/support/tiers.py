"""What keeps simulators out of the fast tier: see `tests/conftest.py`."""

import os

from intramix.sim.cache import ENVIRONMENT_VARIABLE

FORBIDDEN = "/dev/null/tests that start a simulator are marked `simulator`"
"""The cache of tests without the mark; no file can be there."""


def simulators_are_forbidden() -> bool:
    """Whether the running test, or a process that it started, must not start a simulator."""
    return os.environ.get(ENVIRONMENT_VARIABLE) == FORBIDDEN

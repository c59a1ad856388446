"""Every test of the compiler can be run on each of the small geometries."""

import pytest

from intramix.hdl.geometry import Geometry
from tests.support.geometries import SMALL


@pytest.fixture(params=SMALL)
def geometry(request: pytest.FixtureRequest) -> Geometry:
    """Each of the small geometries."""
    return SMALL[request.param]


@pytest.fixture
def geometries() -> dict[str, Geometry]:
    """The small geometries by name."""
    return SMALL

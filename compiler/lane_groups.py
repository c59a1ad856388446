"""Groups of pixel lanes: each has a maps port, and so LOAD_MAPs and STOREs, of its own (`Geometry.maps_ports`).

The groups' instructions of an engine are handed out in program order and run side by side. They alternate where they
can, so that none waits behind those of another one; tokens come in program order, as if they ran one by one.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import TypeVar

from ..hdl.geometry import Geometry
from ..hdl.isa import Opcode

T = TypeVar("T")


def group_of(lane: int, geometry: Geometry) -> int:
    """The group that a lane belongs to."""
    return lane // geometry.group_lanes


def map_group(opcode: Opcode, fields: Mapping[str, int], geometry: Geometry) -> int:
    """The group that executes a LOAD_MAP or STORE."""
    return group_of(fields["lane"] if opcode is Opcode.STORE else fields["lane_mask"].bit_length() - 1, geometry)


def lanes_of(group: int, geometry: Geometry) -> range:
    """The lanes of a group."""
    return range(group * geometry.group_lanes, (group + 1) * geometry.group_lanes)


def alternate(groups: Iterable[Iterable[T]]) -> list[T]:
    """The first of every group, then the second of every group that has one, and so on."""
    return [item for turn in itertools.zip_longest(*groups) for item in turn if item is not None]


def alternating_lanes(geometry: Geometry) -> list[int]:
    """All lanes, the groups by turns: with two groups of P/2 lanes 0, P/2, 1, P/2 + 1, …"""
    return alternate(lanes_of(group, geometry) for group in range(geometry.maps_ports))

"""Groups of pixel lanes: each has a maps port, and so LOAD_MAPs and STOREs, of its own (`Geometry.maps_ports`).

The groups' instructions of an engine are handed out in program order and run side by side. They alternate where they
can, so that none waits behind those of another one; tokens come in program order, as if they ran one by one.
"""

import itertools
from collections.abc import Iterable
from typing import TypeVar

from ...hdl.geometry import Geometry
from ...hdl.instructions import LoadMap, Store
from ...hdl.isa import LAYER_BITS, STORE

T = TypeVar("T")


def group_of(lane: int, geometry: Geometry) -> int:
    """The group that a lane belongs to."""
    return lane // geometry.group_lanes


def map_group(instruction: LoadMap | Store, geometry: Geometry) -> int:
    """The group that executes a LOAD_MAP or STORE."""
    lane = instruction.lane if isinstance(instruction, Store) else instruction.lane_mask.bit_length() - 1
    return group_of(lane, geometry)


def log_slots(layer: int, geometry: Geometry) -> range:
    """The slots of the log that a layer's records go to, by group."""
    return range(layer * geometry.maps_ports, (layer + 1) * geometry.maps_ports)


def most_layers(geometry: Geometry) -> int:
    """Layers that a program can number: each has a number, and a slot of the log in every group."""
    slots = next(1 << field.width for field in STORE if field.name == "crc_slot")
    return min(1 << LAYER_BITS, slots // geometry.maps_ports)


def lanes_by_group(count: int, geometry: Geometry) -> list[range]:
    """The first `count` lanes, group by group; groups without any of them are left out."""
    size = geometry.group_lanes
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def alternate(groups: Iterable[Iterable[T]]) -> list[T]:
    """The first of every group, then the second of every group that has one, and so on."""
    return [item for turn in itertools.zip_longest(*groups) for item in turn if item is not None]


def alternating_lanes(geometry: Geometry) -> list[int]:
    """All lanes, the groups by turns: with two groups of P/2 lanes 0, P/2, 1, P/2 + 1, …"""
    return alternate(lanes_by_group(geometry.pixel_lanes, geometry))

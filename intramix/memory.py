"""A board's memory as the simulator and the cycle model assume it."""

from typing import Any

from .hdl.geometry import Geometry
from .platforms.boards import Board
from .platforms.zynq.systems import board_system
from .sim.conditions import DdrConditions


def conditions_of(board: Board, geometry: Geometry | None = None, **overrides: Any) -> DdrConditions:
    """The memory of a board: 75 % of its peak, 40 cycles of latency, unless told otherwise; its processing system's
    ports, where there are fewer than the accelerator has masters.

    Parameters
    ----------
    geometry: of the accelerator; None: the board's. One with another number of masters has a port for each.
    overrides: fields of `DdrConditions`.
    """
    own = board.geometry
    shared: tuple[tuple[str, ...], ...] = ()
    masters = {(each.weight_ports, each.maps_ports) for each in (own, geometry or own)}
    if board.part is not None and len(masters) == 1:
        ports = board_system(board).assign(own)
        shared = tuple(names for names in ports.values() if len(names) > 1)
    conditions: dict[str, Any] = {
        "peak_bytes_per_second": board.memory_bytes_per_second, "clock_hz": board.clock_hz, "shared_ports": shared,
    }  # fmt: skip
    return DdrConditions(**(conditions | overrides))

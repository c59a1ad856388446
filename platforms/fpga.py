"""Amaranth's vendor platforms: those of amaranth-boards where it has the board, else made of the board's part."""

import re
from importlib import import_module
from typing import Any

from amaranth.vendor import XilinxPlatform

from .boards import Board
from .errors import BitstreamError

_SERIES7 = re.compile(r"(xc7z\d+s?)([a-z]+\d+)-(\w+)")
_ULTRASCALE = re.compile(r"(xczu\w+)-(\w+)-(\d-\w)")


def vendor_platform(board: Board, *, toolchain: str = "Vivado") -> XilinxPlatform:
    """A platform for a board's part; a design that uses no pin of the fabric needs nothing else of the board.

    Parameters
    ----------
    toolchain: as `amaranth.vendor.XilinxPlatform` names it.

    Raises
    ------
    BitstreamError: the board has no part, or its name is not that of a Zynq.
    """
    name = board.part.name if board.part else ""
    match = _SERIES7.fullmatch(name) or _ULTRASCALE.fullmatch(name)
    if match is None:
        raise BitstreamError(f"board {board.name!r}: part {name or 'none'!r} is no Zynq that can be built for")
    if board.platform:
        module, _, platform = board.platform.partition(":")
        return getattr(import_module(module), platform)(toolchain=toolchain)
    device, package, speed = match.groups()
    members: dict[str, Any] = {"device": device, "package": package, "speed": speed, "resources": [], "connectors": []}
    return type(f"{board.name} platform", (XilinxPlatform,), members)(toolchain=toolchain)

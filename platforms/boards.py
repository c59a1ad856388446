"""Boards and parts as data. A variant of a board is `dataclasses.replace` with two lines."""

import dataclasses

from ..hdl.geometry import Dsp, Geometry, GeometryError, LaneClass


class UnknownBoardError(ValueError):
    """A board name that is not in `BOARDS`; the message lists those that are."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A device: what synthesis may use of it.

    Members
    -------
    name: as vendor tools spell it.
    family: yosys' name for `synth_xilinx -family`.
    """

    name: str
    family: str
    lut: int
    ff: int
    dsp: int
    bram36: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """A board: its part, its memory, and the geometry that Intramix builds for it.

    Members
    -------
    clock_hz: the clock at which figures are stated.
    memory_bytes_per_second: peak of the memory that the accelerator's ports reach.
    geometry: the preset; `geometry_for` varies it.
    """

    name: str
    title: str
    part: Part | None
    clock_hz: int
    memory: str
    memory_bytes_per_second: float
    geometry: Geometry

    def geometry_for(
        self, *, activation_bits: int | None = None, lut_scheme: LaneClass | None = None
    ) -> Geometry:
        """The preset with other activation slots or another scheme in its LUT lanes.

        Raises
        ------
        GeometryError: the variant is not legal.
        """
        changes: dict[str, object] = {}
        if activation_bits is not None:
            changes["activation_bits"] = activation_bits
        if lut_scheme is not None:
            changes["lut_scheme"] = lut_scheme
        return dataclasses.replace(self.geometry, **changes)  # type: ignore[arg-type]


XC7Z020 = Part(name="xc7z020clg400-1", family="xc7", lut=53_200, ff=106_400, dsp=220, bram36=140)

LUT_LIMIT = 0.85
"""Share of a part's LUTs above which routing is not to be expected; DSPs and BRAMs may all be used."""

_SMALL = Board(
    name="small",
    title="(simulation only)",
    part=None,
    clock_hz=100_000_000,
    memory="DDR3-1050, 16 bit",
    memory_bytes_per_second=2.1e9,
    geometry=Geometry(
        word_channels=8,
        pixel_lanes=2,
        fixed8_lanes=1,
        fixed4_lanes=3,
        lut_lanes=4,
        lut_scheme=LaneClass.LUT_SP2,
        activation_depth=2048,
        residual_depth=512,
        output_depth=512,
        weight_depth=512,
    ),
)

_PYNQ_Z2 = Board(
    name="pynq-z2",
    title="TUL PYNQ-Z2",
    part=XC7Z020,
    clock_hz=100_000_000,
    memory="DDR3-1050, 16 bit",
    memory_bytes_per_second=2.1e9,
    geometry=Geometry(
        word_channels=16,
        pixel_lanes=4,
        fixed8_lanes=2,
        fixed4_lanes=8,
        lut_lanes=22,
        lut_scheme=LaneClass.LUT_FIXED4,
        dsp=Dsp.DSP48E1,
        activation_depth=4096,
        residual_depth=512,
        output_depth=1024,
        weight_depth=1024,
        weight_ports=2,
    ),
)

BOARDS = {board.name: board for board in (_SMALL, _PYNQ_Z2)}


def board(name: str) -> Board:
    """The board of a name.

    Raises
    ------
    UnknownBoardError: there is none.
    """
    try:
        return BOARDS[name]
    except KeyError:
        raise UnknownBoardError(f"board {name!r} is unknown; the boards are {', '.join(BOARDS)}") from None


__all__ = ["BOARDS", "LUT_LIMIT", "Board", "GeometryError", "Part", "UnknownBoardError", "board"]

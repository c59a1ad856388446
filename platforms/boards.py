"""Boards and parts as data. A variant of a board is `dataclasses.replace` with two lines."""

import dataclasses
from collections.abc import Mapping
from typing import Any

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
    other_schemes: the preset where the LUT lanes have another scheme than `geometry`'s, which leaves less room; None:
        the same.
    vivado_board: Vivado's name of its files of the board, without their version; "" where it has none.
    platform: module and class of amaranth-boards' platform, where it has the board.
    system_parameters: of Vivado's processing-system IP, as the board is wired: used where those files are missing.
    """

    name: str
    title: str
    part: Part | None
    clock_hz: int
    memory: str
    memory_bytes_per_second: float
    geometry: Geometry
    other_schemes: Geometry | None = None
    vivado_board: str = ""
    platform: str = ""
    system_parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def geometry_for(
        self, *, activation_bits: int | None = None, lut_scheme: LaneClass | None = None
    ) -> Geometry:
        """The preset with other activation slots or another scheme in its LUT lanes.

        Raises
        ------
        GeometryError: the variant is not legal.
        """
        geometry, changes = self.geometry, dict[str, object]()
        if activation_bits is not None:
            changes["activation_bits"] = activation_bits
        if lut_scheme is not None:
            changes["lut_scheme"] = lut_scheme
            if lut_scheme is not geometry.lut_scheme and self.other_schemes is not None:
                geometry = self.other_schemes
        return dataclasses.replace(geometry, **changes)  # type: ignore[arg-type]


XC7Z007S = Part(name="xc7z007sclg400-1", family="xc7", lut=14_400, ff=28_800, dsp=66, bram36=50)
XC7Z010 = Part(name="xc7z010clg400-1", family="xc7", lut=17_600, ff=35_200, dsp=80, bram36=60)
XC7Z020 = Part(name="xc7z020clg400-1", family="xc7", lut=53_200, ff=106_400, dsp=220, bram36=140)
XC7Z045 = Part(name="xc7z045ffg900-2", family="xc7", lut=218_600, ff=437_200, dsp=900, bram36=545)
XCZU9EG = Part(name="xczu9eg-ffvb1156-2-e", family="xcup", lut=274_080, ff=548_160, dsp=2_520, bram36=912)
XCZU15EG = Part(name="xczu15eg-ffvb1156-2-e", family="xcup", lut=341_280, ff=682_560, dsp=3_528, bram36=744)
"""Its 112 UltraRAMs are not used."""

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

_XC7Z020_GEOMETRY = Geometry(
    word_channels=16,
    pixel_lanes=4,
    fixed8_lanes=2,
    fixed4_lanes=8,
    lut_lanes=22,
    lut_scheme=LaneClass.LUT_FIXED4,
    dsp=Dsp.DSP48E1,
    activation_depth=4096,
    residual_depth=1024,
    output_depth=1024,
    weight_depth=1024,
    constant_tiles=64,
    post_units=4,
    logic_addends=1,
    weight_ports=2,
)

_XC7Z020_DEPTHWISE = dataclasses.replace(
    _XC7Z020_GEOMETRY, fixed4_lanes=6, lut_lanes=24, logic_addends=0, depthwise_channels=8
)
"""Two filters less on DSPs leave 32 of them, 8 for the depthwise unit."""

_PYNQ_Z2 = Board(
    name="pynq-z2",
    title="TUL PYNQ-Z2",
    part=XC7Z020,
    clock_hz=100_000_000,
    memory="DDR3-1050, 16 bit",
    memory_bytes_per_second=2.1e9,
    # Half of the ring, the residual and the output memories is 42 block RAMs, for the map memory: 160 KiB.
    geometry=dataclasses.replace(
        _XC7Z020_DEPTHWISE, weight_depth=512, residual_depth=512, output_depth=512, map_words=16384
    ),
    other_schemes=_XC7Z020_GEOMETRY,
    vivado_board="tul.com.tw:pynq-z2:part0",
    system_parameters={
        "PCW_CRYSTAL_PERIPHERAL_FREQMHZ": "50",
        "PCW_UIPARAM_DDR_PARTNO": "MT41J256M16 RE-125",
        "PCW_UIPARAM_DDR_BUS_WIDTH": "16 Bit",
        "PCW_UIPARAM_DDR_FREQ_MHZ": "525",
    },
)

_PYNQ_Z2_LUT = dataclasses.replace(
    _PYNQ_Z2,
    name="pynq-z2-lut",
    title="… without DSPs, for open tools",
    geometry=dataclasses.replace(
        _XC7Z020_GEOMETRY, dsp=Dsp.NONE, fixed8_lanes=1, fixed4_lanes=3, lut_lanes=12, post_units=1,
        logic_addends=0,
    ),
    other_schemes=None,
)
"""Open place and route was reported to give wrong products of DSPs (openXC7/nextpnr-xilinx#159)."""

_PYNQ_Z2_OPEN = dataclasses.replace(
    _PYNQ_Z2,
    name="pynq-z2-open",
    title="… with half the array, which open tools can hold",
    geometry=dataclasses.replace(_XC7Z020_DEPTHWISE, lut_lanes=8),
    other_schemes=None,
)
"""nextpnr-xilinx takes half a LUT more for every carry bit than yosys counts: the whole preset needs 105 % of them."""

_PYNQ_Z1 = dataclasses.replace(
    _PYNQ_Z2, name="pynq-z1", title="Digilent PYNQ-Z1", vivado_board="www.digilentinc.com:pynq-z1:part0"
)
_ARTY_Z7_20 = dataclasses.replace(
    _PYNQ_Z2, name="arty-z7-20", title="Digilent Arty Z7-20", vivado_board="digilentinc.com:arty-z7-20:part0",
    platform="amaranth_boards.arty_z7:ArtyZ720Platform",
)  # fmt: skip
_MICROZED: dict[str, Any] = {
    "system_parameters": {}, "memory": "DDR3-1066, 32 bit", "memory_bytes_per_second": 4.2e9,
}  # fmt: skip
"""What both MicroZeds have otherwise than the boards that they vary."""
_MICROZED_7020 = dataclasses.replace(
    _PYNQ_Z2, name="microzed-7020", title="Avnet MicroZed 7020", vivado_board="em.avnet.com:microzed_7020:part0",
    platform="amaranth_boards.microzed_z020:MicroZedZ020Platform", **_MICROZED,
)  # fmt: skip

_CORA_Z7_10 = dataclasses.replace(
    _PYNQ_Z2, name="cora-z7-10", title="Digilent Cora Z7-10", vivado_board="digilentinc.com:cora-z7-10:part0",
    platform="amaranth_boards.cora_z7:CoraZ7_10Platform", part=XC7Z010,
    geometry=dataclasses.replace(
        _XC7Z020_GEOMETRY, word_channels=8, pixel_lanes=2, fixed8_lanes=1, fixed4_lanes=7, lut_lanes=8, weight_ports=1,
        post_units=2, logic_addends=0,
    ),
    other_schemes=None,
)  # fmt: skip
_CORA_Z7_07S = dataclasses.replace(
    _CORA_Z7_10, name="cora-z7-07s", title="Digilent Cora Z7-07S", vivado_board="digilentinc.com:cora-z7-07s:part0",
    platform="amaranth_boards.cora_z7:CoraZ7_07SPlatform", part=XC7Z007S,
)  # fmt: skip
_MICROZED_7010 = dataclasses.replace(
    _CORA_Z7_10, name="microzed-7010", title="Avnet MicroZed 7010", vivado_board="em.avnet.com:microzed_7010:part0",
    platform="amaranth_boards.microzed_z010:MicroZedZ010Platform", **_MICROZED,
)  # fmt: skip

_ZC706 = Board(
    name="zc706",
    title="Xilinx ZC706",
    part=XC7Z045,
    clock_hz=100_000_000,
    memory="DDR3-1066, 32 bit",
    memory_bytes_per_second=4.2e9,
    geometry=Geometry(
        word_channels=32,
        pixel_lanes=4,
        fixed8_lanes=4,
        fixed4_lanes=16,
        lut_lanes=44,
        lut_scheme=LaneClass.LUT_FIXED4,
        dsp=Dsp.DSP48E1,
        activation_depth=4096,
        residual_depth=1024,
        output_depth=1024,
        weight_depth=1024,
        constant_tiles=64,
        post_units=8,
        depthwise_channels=16,
        weight_ports=4,
        maps_ports=2,
    ),
    vivado_board="xilinx.com:zc706:part0",
    system_parameters={"preset": "ZC706"},
)

_ULTRASCALE: dict[str, Any] = {
    "dsp": Dsp.DSP48E2,
    "accumulator_bits": 27,
    "constant_tiles": 64,
    "maps_bus_bits": 128,
    "weights_bus_bits": 128,
    "weight_ports": 4,
    "maps_ports": 2,
    "address_bits": 40,
    "maximum_burst": 256,
}
"""What the geometries of Zynq UltraScale+ share: the DSP, and 128-bit AXI4 ports to 40-bit addresses."""

_ZCU102 = Board(
    name="zcu102",
    title="Xilinx ZCU102",
    part=XCZU9EG,
    clock_hz=150_000_000,
    memory="DDR4-2133, 64 bit",
    memory_bytes_per_second=17e9,
    geometry=Geometry(
        word_channels=32,
        pixel_lanes=8,
        fixed8_lanes=4,
        fixed4_lanes=28,
        lut_lanes=32,
        lut_scheme=LaneClass.LUT_FIXED4,
        activation_depth=4096,
        residual_depth=2048,
        output_depth=2048,
        weight_depth=2048,
        post_units=8,
        depthwise_channels=32,
        **_ULTRASCALE,
    ),
    vivado_board="xilinx.com:zcu102:part0",
)

_ZU15EG = Board(
    name="zu15eg",
    title="(any XCZU15EG)",
    part=XCZU15EG,
    clock_hz=150_000_000,
    memory="DDR4-2133, 64 bit",
    memory_bytes_per_second=17e9,
    # A tile of 96 filters fits, too, and is slower: networks have multiples of 64 (docs/decisions/0011-groups.md).
    geometry=Geometry(
        word_channels=32,
        pixel_lanes=8,
        fixed8_lanes=4,
        fixed4_lanes=44,
        lut_lanes=16,
        lut_scheme=LaneClass.LUT_FIXED4,
        activation_depth=4096,
        residual_depth=2048,
        output_depth=2048,
        weight_depth=1024,
        post_units=8,
        depthwise_channels=32,
        **_ULTRASCALE,
    ),
)

BOARDS = {
    board.name: board
    for board in (
        _SMALL, _PYNQ_Z2, _PYNQ_Z2_LUT, _PYNQ_Z2_OPEN, _PYNQ_Z1, _ARTY_Z7_20, _MICROZED_7020, _CORA_Z7_10,
        _CORA_Z7_07S, _MICROZED_7010, _ZC706, _ZCU102, _ZU15EG,
    )
}  # fmt: skip


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

"""Builds of the HLS accelerator: what synthesis is parametrized with, per board."""

import dataclasses
import json
import math
import zlib
from functools import cached_property

from ..hdl.geometry import SLOT_BITS
from ..hdl.lane_classes import LaneClass
from ..platforms.boards import BOARDS, XC7Z020, Board
from .errors import HlsError
from .performance import TileModel

RECORD_VERSION = 1
"""Of the layer table and the layouts behind the ports; part of a build's signature."""
REQUANTIZER_BITS = 48
"""A DSP's accumulator. acc·M + r·R + B always fits: |acc·M| ≤ 2^(26 + 17), |r·R| < 2^(8 + 17), |B| ≤ 2^43."""
ACCUMULATION_LATENCY = 4
"""Iterations after which an accumulator is used again at the earliest: what its adder may take at II = 1."""

LUT_PRODUCTS = {
    LaneClass.LUT_FIXED4: "lut_multiply_fixed4",
    LaneClass.LUT_SP2: "lut_multiply_sp2",
    LaneClass.LUT_POT: "lut_multiply_pot",
}
"""The function of include/intramix/lut_multiply.h that multiplies by a weight of the class."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HlsBuild:
    """An accelerator of the HLS kernels.

    Parameters
    ----------
    part, clock_hz: as the tools want them.
    port_bits: of the wide AXI ports.
    channels: Tn, channels of a beat and of a tile.
    eight_bit, dsp_four, lut_four: filters of a tile, in this order: 8 bits, 4 bits on DSPs, 4 bits on LUTs. Tm is
        their sum.
    eight_bits_on_dsp: whether 8-bit products are packed on DSPs or made of LUTs.
    lut_scheme: of the LUT filters.
    group: G, channels of an on-chip word in the performance model.
    tile_rows, tile_columns: Tr, Tc: the accumulators' size.
    input_depth: pixels of an input tile, halo included.
    taps: most positions of a kernel that the weight buffer holds.
    vector_words: beats of a linear layer's input that are held on chip.

    Raises
    ------
    HlsError: fields disagree.
    """

    name: str
    part: str
    clock_hz: int
    port_bits: int
    channels: int
    eight_bit: int
    dsp_four: int
    lut_four: int
    eight_bits_on_dsp: bool
    lut_scheme: LaneClass
    activation_bits: int
    accumulator_bits: int
    group: int
    tile_rows: int
    tile_columns: int
    input_depth: int
    taps: int = 64
    vector_words: int = 256

    def __post_init__(self) -> None:
        def require(condition: bool, field: str, reason: str) -> None:
            if not condition:
                raise HlsError(f"HLS build {self.name}: {field} = {getattr(self, field)}: {reason}")

        slots = f"{SLOT_BITS[0]} … {SLOT_BITS[-1]}"
        require(self.activation_bits in SLOT_BITS, "activation_bits", f"must be {slots}, what a packed field holds")
        require(self.port_bits in (32, 64, 128, 256, 512), "port_bits", "must be 32, 64, 128, 256 or 512")
        require(
            self.channels * self.activation_bits <= self.port_bits,
            "activation_bits",
            f"{self.channels} channels of a pixel must fit a beat of {self.port_bits} bits: use fewer bits",
        )
        require(self.channels % 2 == 0, "channels", "must be even: an 8-bit filter's weights are two words")
        require(
            self.filters % self.channels == 0,
            "channels",
            f"the {self.filters} filters of a tile must be whole beats of them",
        )
        require(16 <= self.accumulator_bits <= 27, "accumulator_bits", "must be 16 … 27, a multiplier's input")
        known = ", ".join(kind.value for kind in LUT_PRODUCTS)
        require(self.lut_scheme in LUT_PRODUCTS, "lut_scheme", f"the kernels have products for {known}")

    # What follows from it ---------------------------------------------------------------------------------------------

    @property
    def filters(self) -> int:
        """Tm."""
        return self.eight_bit + self.dsp_four + self.lut_four

    @property
    def tile_words(self) -> int:
        """Beats of a tile's outputs."""
        return self.filters // self.channels

    @property
    def lanes(self) -> tuple[LaneClass, ...]:
        """The class of every filter of a tile, in order."""
        return (
            (LaneClass.FIXED8,) * self.eight_bit
            + (LaneClass.FIXED4,) * self.dsp_four
            + (self.lut_scheme,) * self.lut_four
        )

    # The names under which `compiler.place.lanes` reads a geometry.
    @property
    def tile_filters(self) -> int:
        return self.filters

    @property
    def word_channels(self) -> int:
        return self.channels

    @property
    def output_depth(self) -> int:
        """Pixels of an output tile, in pairs of a row."""
        return 2 * self.tile_rows * -(-self.tile_columns // 2)

    @property
    def weight_words(self) -> int:
        """Words of a tap of a tile: two per 8-bit filter."""
        return self.filters + self.eight_bit

    @property
    def weight_word_bits(self) -> int:
        return 4 * self.channels

    @property
    def frame_beats(self) -> int:
        return math.lcm(self.weight_word_bits, self.port_bits) // self.port_bits

    @property
    def frame_words(self) -> int:
        return math.lcm(self.weight_word_bits, self.port_bits) // self.weight_word_bits

    @property
    def frames_per_tap(self) -> int:
        return -(-self.weight_words // self.frame_words)

    @property
    def depthwise_beats(self) -> int:
        """Beats of a depthwise tap: a byte per channel."""
        return -(-8 * self.channels // self.port_bits)

    @property
    def beat_bytes(self) -> int:
        return self.port_bits // 8

    @property
    def macs_per_cycle(self) -> int:
        return 2 * self.filters * self.channels

    @property
    def dsps(self) -> int:
        """DSPs of the packed products; the requantizers' are not in it."""
        eight = self.eight_bit if self.eight_bits_on_dsp else 0
        return self.channels * (eight + -(-self.dsp_four // 2))

    @property
    def tile_model(self) -> TileModel:
        """The build as FILM-QNN's model sees it."""
        return TileModel(
            tm=self.filters, tn=self.channels, tr=self.tile_rows, tc=self.tile_columns, group=self.group,
            port_bits=self.port_bits, share=self.eight_bit / self.filters, activation_bits=self.activation_bits,
            pixels=2,
        )  # fmt: skip

    @cached_property
    def signature(self) -> int:
        """Equal for tables and kernels that fit each other; 31 bits."""
        fields = {**dataclasses.asdict(self), "lut_scheme": self.lut_scheme.value}
        for name in ("name", "part", "clock_hz"):
            del fields[name]
        text = json.dumps({"version": RECORD_VERSION, "requantizer": REQUANTIZER_BITS, **fields}, sort_keys=True)
        return zlib.crc32(text.encode()) & 0x7FFFFFFF


def _build(board: Board, **fields) -> HlsBuild:  # type: ignore[no-untyped-def]
    """A build of a board's name that takes from its preset what the kernels share with the RTL."""
    geometry = board.geometry
    return HlsBuild(
        name=board.name, part=(board.part or XC7Z020).name, clock_hz=board.clock_hz, lut_scheme=geometry.lut_scheme,
        activation_bits=geometry.activation_bits, accumulator_bits=geometry.accumulator_bits, **fields,
    )  # fmt: skip


def _small() -> HlsBuild:
    """The RTL's small geometry, with tiles so small that small networks need many."""
    board = BOARDS["small"]
    geometry = board.geometry
    return _build(
        board, port_bits=64, channels=geometry.word_channels, eight_bit=geometry.fixed8_lanes,
        dsp_four=geometry.fixed4_lanes, lut_four=geometry.lut_lanes, eight_bits_on_dsp=True, group=4,
        tile_rows=4, tile_columns=5, input_depth=160,
    )  # fmt: skip


BUILDS = {
    build.name: build
    for build in (
        _small(),
        # FILM-QNN's 36 + 144 DSPs; 9 of its 15 LUT filters, so that a tile's outputs are whole beats of 12.
        _build(
            BOARDS["pynq-z2"], port_bits=64, channels=12, eight_bit=3, dsp_four=24, lut_four=9,
            eight_bits_on_dsp=True, group=6, tile_rows=14, tile_columns=28, input_depth=1024,
        ),
        # Not in FILM-QNN: lanes by its equations for 900 DSPs, at the share of LUTs that it reaches elsewhere.
        _build(
            BOARDS["zc706"], port_bits=128, channels=24, eight_bit=6, dsp_four=62, lut_four=52, eight_bits_on_dsp=True,
            group=8, tile_rows=14, tile_columns=28, input_depth=1024,
        ),
        # FILM-QNN puts the 8-bit products on LUTs here; 158 of its 170 4-bit filters, so that outputs are whole beats.
        _build(
            BOARDS["zcu102"], port_bits=128, channels=24, eight_bit=10, dsp_four=158, lut_four=0,
            eight_bits_on_dsp=False, group=8, tile_rows=14, tile_columns=28, input_depth=1024,
        ),
    )
}
"""By name. Tm, Tn, Tr, Tc are not published; see docs/hls.md for how these were chosen."""


def build_for(
    name: str, *, activation_bits: int | None = None, lut_scheme: LaneClass | None = None
) -> HlsBuild:
    """The build of a board, or a variant of it.

    Raises
    ------
    HlsError: there is none of that name, or the variant is not legal.
    """
    if name not in BUILDS:
        raise HlsError(f"board {name!r} has no HLS build; those that have are {', '.join(BUILDS)}")
    changes: dict = {}
    if activation_bits is not None:
        changes["activation_bits"] = activation_bits
    if lut_scheme is not None:
        changes["lut_scheme"] = lut_scheme
    return dataclasses.replace(BUILDS[name], **changes)

"""The geometry of an accelerator: what the user chooses, and what follows from it.

`Geometry` is the only object that parametrizes the hardware, the compiler and the models. It knows no board.
"""

import dataclasses
import enum
import json
import zlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .isa import CONSTANT_LAYOUT, MAP_ADDRESS_BITS
from .lane_classes import LaneClass

ISA_VERSION = 4
"""Version of the instruction set and the register map; part of the hardware signature."""

SLOT_BITS = range(4, 7)
"""Bits that an activation slot may have: a digit fills at least 4, and a packed multiplier takes at most 6."""
CONSTANT_BITS = sum(field.width for field in CONSTANT_LAYOUT)
"""Bits of one filter's requantization constants."""


class GeometryError(ValueError):
    """A geometry that cannot be built; the message names the field, the reason and a legal value."""


class Dsp(enum.Enum):
    """The technology of multipliers."""

    DSP48E1 = "dsp48e1"
    """7 series: 25 × 18."""
    DSP48E2 = "dsp48e2"
    """UltraScale+: 27 × 18."""
    NONE = "none"
    """No DSP primitive in the netlist; multipliers are left to logic. Packs like DSP48E1."""


_CHOICES: Mapping[str, tuple[LaneClass | Dsp, ...]] = {
    "lut_scheme": tuple(lane for lane in LaneClass if lane.is_lut),
    "dsp": tuple(Dsp),
}
"""Fields of a geometry that are members of an enumeration, and which of them they can be."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Geometry:
    """A legal accelerator geometry.

    Parameters
    ----------
    word_channels: Ti, channels of an activation word.
    pixel_lanes: P, positions computed at once, each with a private activation memory.
    fixed8_lanes, fixed4_lanes, lut_lanes: filter lanes of a tile, by class; their sum is To. Lanes of a tile are
        numbered in this order.
    lut_scheme: the class of the LUT lanes.
    activation_bits: A, bits of one activation slot in a word (4-bit digits of wider tensors ride in the same slots).
    dsp: multiplier technology.
    activation_depth, residual_depth, output_depth: words of a pixel lane's activation, residual and output memory.
    weight_depth: steps held in the weight ring; a power of two.
    constant_tiles: tiles held in the ring of requantization constants; a power of two.
    post_units: U, requantizers per pixel lane; 0 chooses one per output word of a tile.
    logic_addends: those of them that compute the residual's share in logic and so need one DSP, not two.
    depthwise_channels: channels a cycle of the unit, one for each of `maps_ports`, that convolves maps depthwise while
        they are loaded; 0: no such unit.
    map_words: words of the map memory, where maps stay on the chip; 0: none.
    accumulator_bits: width of every accumulator.
    maps_bus_bits, weights_bus_bits: data width of the AXI4 masters (the instruction master is always 64 bits).
    weight_ports: AXI4 masters that load weights, each an equal slice of a weight word.
    maps_ports: AXI4 masters for maps. Each loads and stores those of a lane group, an equal share of the pixel lanes;
        the groups are independent of each other.
    address_bits: width of AXI4 addresses.
    maximum_burst: beats of a burst (16 for the AXI3 ports of Zynq-7000).

    Raises
    ------
    GeometryError: a field is out of range, or two fields disagree.
    """

    word_channels: int
    pixel_lanes: int
    fixed8_lanes: int
    fixed4_lanes: int
    lut_lanes: int
    lut_scheme: LaneClass = LaneClass.LUT_FIXED4
    activation_bits: int = 5
    dsp: Dsp = Dsp.DSP48E1
    activation_depth: int = 4096
    residual_depth: int = 1024
    output_depth: int = 1024
    weight_depth: int = 1024
    constant_tiles: int = 16
    post_units: int = 0
    logic_addends: int = 0
    depthwise_channels: int = 0
    map_words: int = 0
    accumulator_bits: int = 25
    maps_bus_bits: int = 64
    weights_bus_bits: int = 64
    weight_ports: int = 1
    maps_ports: int = 1
    address_bits: int = 32
    maximum_burst: int = 16

    def __post_init__(self) -> None:
        if self.post_units == 0 and self.word_channels > 0:
            object.__setattr__(self, "post_units", max(1, self.tile_filters // self.word_channels))
        _check(self)

    # Derived ------------------------------------------------------------------------------------------------------

    @property
    def tile_filters(self) -> int:
        """To: filters computed together."""
        return self.fixed8_lanes + self.fixed4_lanes + self.lut_lanes

    @property
    def tile_words(self) -> int:
        """Output words of one pixel of a tile, To / Ti."""
        return self.tile_filters // self.word_channels

    @cached_property
    def lanes(self) -> tuple[LaneClass, ...]:
        """The class of every filter lane of a tile, in lane order: Fixed-8, Fixed-4 on DSPs, LUT."""
        return (
            (LaneClass.FIXED8,) * self.fixed8_lanes
            + (LaneClass.FIXED4,) * self.fixed4_lanes
            + (self.lut_scheme,) * self.lut_lanes
        )

    @property
    def word_bits(self) -> int:
        """Bits of an activation word, Ti · A."""
        return self.word_channels * self.activation_bits

    @property
    def word_bytes(self) -> int:
        return self.word_bits // 8

    @property
    def weight_payload_bits(self) -> int:
        """Bits of a weight word that lanes use: Σ lanes Ti · weight bits."""
        return self.word_channels * sum(lane.weight_bits for lane in self.lanes)

    @property
    def weight_slice_bits(self) -> int:
        """Bits of a weight word that one weight port loads: a whole number of its beats."""
        unit = self.weights_bus_bits * self.weight_ports
        return -(-self.weight_payload_bits // unit) * self.weights_bus_bits

    @property
    def weight_word_bits(self) -> int:
        """Bits of a stored weight word: the payload, padded to whole beats of every port."""
        return self.weight_slice_bits * self.weight_ports

    @property
    def drain_cycles(self) -> int:
        """Cycles in which an accumulator group leaves: To / requantizers of a pixel lane."""
        return self.tile_filters // self.post_units

    @property
    def group_lanes(self) -> int:
        """Pixel lanes of a lane group: those that share one of `maps_ports`."""
        return self.pixel_lanes // self.maps_ports

    @property
    def group(self) -> "Geometry":
        """The geometry that the engines of one lane group are built for: its lanes are all there are."""
        return dataclasses.replace(self, pixel_lanes=self.group_lanes, maps_ports=1)

    @property
    def cycles_per_word(self) -> float:
        """Cycles in which a word of a map comes from memory, or goes to it, through one of `maps_ports`, at best."""
        return max(1.0, self.word_bits / self.maps_bus_bits)

    @property
    def macs_per_cycle(self) -> int:
        return self.word_channels * self.tile_filters * self.pixel_lanes

    @property
    def signature(self) -> int:
        """32-bit hardware signature: equal for programs and hardware that fit each other.

        A field that came later counts only where it is used: without it, programs and hardware are those of before.
        """
        fields = self.to_dict()
        if not self.map_words:
            del fields["map_words"]
        text = json.dumps({"isa": ISA_VERSION, **fields}, sort_keys=True)
        return zlib.crc32(text.encode())

    # Interchange --------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_dict` is its inverse."""
        return {
            field.name: value.value if isinstance(value := getattr(self, field.name), enum.Enum) else value
            for field in dataclasses.fields(self)
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Geometry":
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - known):
            raise GeometryError(f"geometry field {unknown[0]!r} is unknown; the fields are {', '.join(sorted(known))}")
        values = dict(fields)
        for name, choices in _CHOICES.items():
            if name in values:
                try:
                    values[name] = type(choices[0])(values[name])
                except ValueError:
                    legal = ", ".join(member.value for member in choices)
                    raise GeometryError(f"geometry field {name} must be one of {legal}, not {values[name]!r}") from None
        try:
            return cls(**values)
        except TypeError as error:
            raise GeometryError(f"geometry is incomplete: {error}") from None


def _check(geometry: Geometry) -> None:
    g = geometry
    for field in dataclasses.fields(g):
        value = getattr(g, field.name)
        if field.type in (int, "int") and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise GeometryError(f"geometry field {field.name} must be a non-negative integer, not {value!r}")
        choices = _CHOICES.get(field.name)
        if choices and not isinstance(value, type(choices[0])):
            legal = ", ".join(str(member) for member in choices)
            raise GeometryError(f"geometry field {field.name} must be one of {legal}, not {value!r}")

    def require(condition: bool, field: str, reason: str) -> None:
        if not condition:
            raise GeometryError(f"geometry field {field} = {getattr(g, field)}: {reason}")

    require(g.word_channels in (4, 8, 16, 32, 64), "word_channels", "must be 4, 8, 16, 32 or 64")
    require(g.pixel_lanes in (1, 2, 4, 8, 16), "pixel_lanes", "must be 1, 2, 4, 8 or 16")
    require(
        g.activation_bits in SLOT_BITS,
        "activation_bits",
        f"a slot must be {SLOT_BITS[0]} … {SLOT_BITS[-1]} bits, what a packed multiplier takes; wider maps travel as "
        "4-bit digits",
    )
    require(g.word_bits % 8 == 0, "activation_bits", "a word (word_channels × activation_bits) must be whole bytes")
    lut_classes = ", ".join(kind.value for kind in LaneClass if kind.is_lut)
    require(g.lut_scheme.is_lut, "lut_scheme", f"must be one of {lut_classes}")
    require(g.tile_filters > 0, "fixed4_lanes", "a tile needs at least one filter lane")
    require(
        g.tile_filters % g.word_channels == 0,
        "fixed4_lanes",
        f"fixed8_lanes + fixed4_lanes + lut_lanes = {g.tile_filters} must be a multiple of "
        f"word_channels = {g.word_channels}",
    )
    require(g.tile_words <= 4, "word_channels", f"a tile has {g.tile_words} output words; at most 4 are possible")
    for name in ("weight_depth", "constant_tiles"):
        value = getattr(g, name)
        require(value >= 2 and value & (value - 1) == 0, name, "must be a power of two, at least 2")
    for name, least, most in (
        ("activation_depth", 16, 65536),
        ("residual_depth", 16, 4096),
        ("output_depth", 16, 4096),
        ("weight_depth", 2, 4096),
        ("constant_tiles", 2, 64),
        ("map_words", 0, (1 << MAP_ADDRESS_BITS) - 1),
    ):
        require(least <= getattr(g, name) <= most, name, f"must be {least} … {most}")
    require(
        g.post_units % g.tile_words == 0 and g.tile_filters % g.post_units == 0,
        "post_units",
        f"must be a multiple of the {g.tile_words} output words of a tile and divide its {g.tile_filters} filters",
    )
    require(g.logic_addends <= g.post_units, "logic_addends", f"must be at most post_units = {g.post_units}")
    require(
        g.depthwise_channels == 0 or g.word_channels % g.depthwise_channels == 0,
        "depthwise_channels",
        f"must be 0 or divide word_channels = {g.word_channels}",
    )
    require(
        g.map_words == 0 or (g.map_words >= 16 and g.map_words % g.maps_ports == 0),
        "map_words",
        f"must be 0, or at least 16 and a multiple of maps_ports = {g.maps_ports}",
    )
    widest = 27 if g.dsp is Dsp.DSP48E2 else 25
    require(16 <= g.accumulator_bits <= widest, "accumulator_bits", f"must be 16 … {widest}, the multiplier's input")
    for name in ("maps_bus_bits", "weights_bus_bits"):
        require(getattr(g, name) in (32, 64, 128), name, "must be 32, 64 or 128")
    require(g.weight_ports in (1, 2, 4), "weight_ports", "must be 1, 2 or 4")
    require(g.maps_ports in (1, 2), "maps_ports", "must be 1 or 2")
    require(g.maps_ports <= g.pixel_lanes, "maps_ports", f"must be at most pixel_lanes = {g.pixel_lanes}")
    require(
        (g.post_units * CONSTANT_BITS) % g.weights_bus_bits == 0,
        "weights_bus_bits",
        f"must divide a row of constants, post_units × {CONSTANT_BITS} = {g.post_units * CONSTANT_BITS} bits",
    )
    require(32 <= g.address_bits <= 64, "address_bits", "must be 32 … 64")
    require(g.maximum_burst in (1, 2, 4, 8, 16, 32, 64, 128, 256), "maximum_burst", "must be a power of two up to 256")

"""What a geometry occupies, without a synthesis: DSPs and BRAMs counted, LUTs by a model.

The model's costs of a multiply-accumulate are those that `benchmarks.lane_cost` measures
(docs/decisions/0001-lut-lanes.md), those of LUT lanes as `hdl.lane_classes` has them; the rest is fitted to whole
accelerators that yosys has synthesised, `SYNTHESISED`.
"""

import dataclasses

from ..hdl.dma.map_memory import block_rams, slice_bits
from ..hdl.geometry import CONSTANT_BITS, Dsp, Geometry
from ..hdl.isa import DEPTHWISE_COLUMNS, DIGIT_BITS, KERNEL_ROWS
from ..hdl.lane_classes import LaneClass, LutCost
from .boards import Part
from .synthesis import Resources

_DSP_LANE = {Dsp.DSP48E1: (3.5, 6.2), Dsp.DSP48E2: (2.3, 3.7)}
"""LUTs a 4-bit multiply-accumulate on DSPs with activations of 4 and of 5 bits; an 8-bit one costs two."""
_BASE, _WORD_BIT, _REQUANTIZER = 5_400.0, 58.5, 100.0
_LOGIC_ADDEND, _REQUANTIZER_WITHOUT_DSPS = 260.0, 1_300.0
_DEPTHWISE_LANE, _DEPTHWISE_CHOICE, _DEPTHWISE_UNIT = (275.0, 345.0), 90.0, 350.0
"""A lane of the depthwise unit with activations of 4 and of 5 bits, each time that the channels of a lane double, and
what it takes beside its lanes."""
_MAPS_PORT = 800.0
"""The maps and store engines of a second lane group."""

_MAP_MEMORY, _MAP_MEMORY_BIT = 300.0, 2.0
"""A lane group's way to the map memory, and a bit of its words on it."""

LUT_ERROR = 0.10
"""Largest relative error of the model on the geometries that were synthesised."""

_RAMB18_WIDTH = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
_LUT_ROWS = 64
"""Rows of a memory up to which it is made of LUTs."""


@dataclasses.dataclass(frozen=True)
class Occupancy:
    """LUTs, DSPs and BRAMs of a geometry; `source` says where they come from."""

    lut: int
    dsp: int
    bram36: float
    source: str

    def fits(self, part: Part) -> bool:
        """Whether a part can be expected to hold it (`Resources.fits`)."""
        return Resources(lut=self.lut, dsp=self.dsp, bram36=self.bram36).fits(part)


def occupancy(geometry: Geometry) -> Occupancy:
    """The figures of a synthesis, where the geometry was synthesised, else an estimate."""
    found = SYNTHESISED.get(geometry.signature)
    if found is not None:
        return Occupancy(found.lut, found.dsp, found.bram36, "yosys")
    return Occupancy(round(estimate_lut(geometry)), count_dsp(geometry), count_bram36(geometry), "estimate")


def count_dsp(geometry: Geometry) -> int:
    """Multipliers of the array (two filters × two pixels each), and two a requantizer or one."""
    g = geometry
    if g.dsp is Dsp.NONE:
        return 0
    half_lanes = 2 * g.fixed8_lanes + g.fixed4_lanes
    requantizers = (2 * g.post_units - g.logic_addends) * g.pixel_lanes + g.maps_ports * g.depthwise_channels
    return g.word_channels * -(-half_lanes // 2) * -(-g.pixel_lanes // 2) + requantizers


def count_bram36(geometry: Geometry) -> float:
    """Every memory in columns of RAMB36 and RAMB18, as synthesis cuts it."""
    g = geometry
    lane = sum(_halves(depth, g.word_bits) for depth in (g.activation_depth, g.residual_depth, g.output_depth))
    bus = g.weights_bus_bits  # both rings are cut into beats
    weights = g.weight_word_bits // bus * _halves(g.weight_depth, bus)
    constants = g.post_units * CONSTANT_BITS // bus * _halves(g.constant_tiles * g.drain_cycles, bus)
    units = 0
    if g.depthwise_channels:
        unit = _halves(DEPTHWISE_COLUMNS, 2 * g.word_bits) + _halves(KERNEL_ROWS, DIGIT_BITS * g.word_channels)
        units = g.maps_ports * unit
    if g.map_words:
        bank = g.map_words // g.maps_ports
        units += 2 * g.maps_ports * block_rams(g.word_bits, bank, slice_bits(g.word_bits, bank))
    return (g.pixel_lanes * lane + weights + constants + units) / 2


def estimate_lut(geometry: Geometry) -> float:
    """LUTs of the array by class of lane, and of the rest."""
    g = geometry

    def of_activation_bits(costs: tuple[float, float]) -> float:
        return costs[0] + (g.activation_bits - 4) * (costs[1] - costs[0])

    macs = g.word_channels * g.pixel_lanes
    lut = _lut_cost(g.lut_scheme)
    fixed4 = of_activation_bits(_lut_cost(LaneClass.LUT_FIXED4).mac if g.dsp is Dsp.NONE else _DSP_LANE[g.dsp])
    lanes = (2 * g.fixed8_lanes + g.fixed4_lanes) * fixed4 + g.lut_lanes * of_activation_bits(lut.mac)
    decoders = g.lut_lanes * g.word_channels * lut.decoder
    requantizer = _REQUANTIZER_WITHOUT_DSPS if g.dsp is Dsp.NONE else _REQUANTIZER
    requantizers = g.pixel_lanes * (requantizer * g.post_units + _LOGIC_ADDEND * g.logic_addends)
    units = 0.0
    if g.depthwise_channels:
        doublings = (g.word_channels // g.depthwise_channels).bit_length() - 1
        lane = of_activation_bits(_DEPTHWISE_LANE) + _DEPTHWISE_CHOICE * doublings
        units = g.maps_ports * (_DEPTHWISE_UNIT + g.depthwise_channels * lane)
    if g.map_words:
        units += g.maps_ports * (_MAP_MEMORY + _MAP_MEMORY_BIT * g.word_bits)
    rest = units + _MAPS_PORT * (g.maps_ports - 1) + _BASE + _WORD_BIT * g.word_bits + requantizers
    return macs * lanes + decoders + rest


def _lut_cost(kind: LaneClass) -> LutCost:
    assert kind.lut_cost is not None, f"{kind.value} lanes are not made of LUTs"
    return kind.lut_cost


def _halves(depth: int, width: int) -> int:
    """RAMB18 that a memory takes, a RAMB36 counting two."""
    if depth <= _LUT_ROWS:
        return 0
    rows, narrow = next(entry for entry in _RAMB18_WIDTH if depth <= entry[0])
    banks = -(-depth // rows)
    wide = 9 if rows == 4096 else 2 * narrow
    rest = width % wide
    half = rest <= narrow and rows < 4096  # of 4,096 rows, only the RAMB36 has parity bits to use
    return banks * (width // wide * 2 + (0 if rest == 0 else 1 if half else 2))


SYNTHESISED: dict[int, Resources] = {
    0x2986326B: Resources(lut=45_201, ff=71_161, dsp=200, bram36=132.5),  # pynq-z2
    0x9D98F43D: Resources(lut=38_760, ff=65_773, dsp=200, bram36=116),  # pynq-z2 --activation-bits 4
    0x7A2AD1CA: Resources(lut=44_312, ff=61_536, dsp=220, bram36=128),  # pynq-z2 --lut-scheme sp2-4
    0x0D24D27D: Resources(lut=143_620, ff=209_162, dsp=864, bram36=412),  # zc706
    0x90347C68: Resources(lut=118_820, ff=188_882, dsp=864, bram36=395),  # zc706 --activation-bits 4
    0x691B50D2: Resources(lut=215_160, ff=318_131, dsp=2_496, bram36=830),  # zcu102
    0x5EC5B0D7: Resources(lut=175_806, ff=287_066, dsp=2_496, bram36=781),  # zcu102 --activation-bits 4
    0x0F75F9A6: Resources(lut=164_758, ff=268_177, dsp=3_520, bram36=592),  # zu15eg
    0x38AB19A3: Resources(lut=129_585, ff=243_689, dsp=3_520, bram36=543),  # zu15eg --activation-bits 4
    0x3444FEDE: Resources(lut=9_208, ff=13_685, dsp=28, bram36=15),  # small
}
"""Whole accelerators by signature: `intramix synthesize`, yosys 0.70, hierarchy kept, neither placed nor routed. All
but `small`, `pynq-z2` and `zcu102` are from before docs/decisions/0014-clock.md."""

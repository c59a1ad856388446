"""FILM-QNN's performance model: equations 5 to 15 of Sun et al., FPGA 2022, doi 10.1145/3490422.3502364.

Names follow the paper: N8dsp is the number of 8-bit products a cycle on DSPs, Tm × Tn × Tr × Tc a tile, G the
activations of an on-chip word, R the share of 8-bit filters. Where the paper's
activations have 5 bits a parameter stands here.
"""

import dataclasses
import math
from collections.abc import Iterable

from .errors import HlsError
from .shapes import LayerShape

BRAM_BITS = 18 * 1024
"""Bits of one BRAM18: the paper's 18k."""
C8_DSP, C4_DSP = 1 / 2, 1 / 4
"""DSPs of an 8-bit and of a 4-bit product."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LutCosts:
    """LUTs of a product, read off the paper's figure: on LUTs, and what one on a DSP still needs."""

    eight: float = 59.8
    four: float = 38.5
    eight_on_dsp: float = 6.6
    four_on_dsp: float = 13.4


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaneSplit:
    """Products a cycle, by width and what makes them; real numbers before they are rounded to a build."""

    n8dsp: float = 0.0
    n8lut: float = 0.0
    n4dsp: float = 0.0
    n4lut: float = 0.0

    @property
    def total(self) -> float:
        """Equation 5's objective."""
        return self.n8dsp + self.n8lut + self.n4dsp + self.n4lut

    @property
    def dsps(self) -> float:
        """Left side of equation 6."""
        return self.n8dsp * C8_DSP + self.n4dsp * C4_DSP

    def luts(self, costs: LutCosts = LutCosts()) -> float:
        """Left side of equation 7."""
        return (
            self.n8lut * costs.eight
            + self.n4lut * costs.four
            + self.n8dsp * costs.eight_on_dsp
            + self.n4dsp * costs.four_on_dsp
        )

    @property
    def share_of_eight(self) -> float:
        """Left side of equation 8."""
        return (self.n8dsp + self.n8lut) / self.total


def lane_split(
    *, dsps: float, luts: float, share: float = 0.05, eight_on_dsp: bool = False, costs: LutCosts = LutCosts()
) -> LaneSplit:
    """The split that fills DSPs first and then LUTs: maximises (5) subject to (6), (7), (8) with all three tight.

    Parameters
    ----------
    dsps, luts: Sdsp · γdsp and Slut · γlut, what multipliers may use.
    share: R.
    eight_on_dsp: 8-bit products on DSPs; otherwise on LUTs, which is the paper's closed form (equations 9 and 10).

    Raises
    ------
    HlsError: the LUTs do not suffice for what the DSPs need beside them.
    """
    if not eight_on_dsp:
        q = (1 - share) / share
        n4dsp = dsps / C4_DSP  # (9)
        n8lut = ((costs.four - costs.four_on_dsp) * dsps + C4_DSP * luts) / (
            q * costs.four * C4_DSP + C4_DSP * costs.eight
        )  # (10)
        split = LaneSplit(n8lut=n8lut, n4dsp=n4dsp, n4lut=q * n8lut - n4dsp)
    else:
        # n8dsp = R·T, n4dsp = (Sdsp − C8·R·T)/C4, n4lut = (1 − R)·T − n4dsp; then (7) is linear in the total T.
        n4_slope = C8_DSP * share / C4_DSP
        slope = costs.eight_on_dsp * share - costs.four_on_dsp * n4_slope + costs.four * (1 - share + n4_slope)
        total = (luts - (costs.four_on_dsp - costs.four) * dsps / C4_DSP) / slope
        n4dsp = dsps / C4_DSP - n4_slope * total
        split = LaneSplit(n8dsp=share * total, n4dsp=n4dsp, n4lut=(1 - share) * total - n4dsp)
    if min(split.n4lut, split.n4dsp) < 0:
        raise HlsError(
            f"{luts:.0f} LUTs cannot serve {dsps:.0f} DSPs with {share:.0%} of the products at 8 bits: offer fewer DSPs"
        )
    return split


@dataclasses.dataclass(frozen=True, kw_only=True)
class TileModel:
    """Tiles and ports, as equations 12 to 15 see them.

    Parameters
    ----------
    tm, tn, tr, tc: filters, channels, output rows and columns of a tile.
    group: G.
    port_bits: Sport.
    input_ports, weight_ports: p_in, p_wgt.
    share: R.
    activation_bits: the paper's 5.
    pixels: pixels that an iteration computes: 1 in the paper's loop nest, 2 in these kernels, which hold
        Tm · Tn products twice.
    """

    tm: int
    tn: int
    tr: int
    tc: int
    group: int
    port_bits: int
    input_ports: int = 1
    weight_ports: int = 1
    share: float = 0.05
    activation_bits: int = 5
    pixels: int = 1

    @property
    def macs_per_cycle(self) -> int:
        return self.tm * self.tn * self.pixels

    def buffers(self, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> tuple[int, int, int]:
        """Equation 14: Bin, Bout, Bwgt in BRAM18, one copy of each."""
        rows, columns = self._input_tile(kernel, stride)
        word = self.activation_bits * self.group
        b_in = self.tn / self.group * math.ceil(rows * columns * word / BRAM_BITS)
        b_out = self.tm / self.group * math.ceil(self.tr * self.tc * word / BRAM_BITS)
        b_wgt = (
            self.tm / 2 * (1 + self.share) * self.tn / self.group
            * math.ceil(kernel[0] * kernel[1] * 8 * self.group / BRAM_BITS)
        )  # fmt: skip
        return math.ceil(b_in), math.ceil(b_out), math.ceil(b_wgt)

    def brams(self, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> int:
        """Left side of equation 12: two of every buffer, in BRAM18. Accumulators are not in it."""
        return 2 * sum(self.buffers(kernel, stride))

    def tile_cycles(self, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> tuple[float, float, float]:
        """Equation 15: Ccmpt, Cwgt, Cin of one step of the loop nest."""
        rows, columns = self._input_tile(kernel, stride)
        taps = kernel[0] * kernel[1]
        compute = taps * self.tr * math.ceil(self.tc / self.pixels)
        bits = 8 * self.share + 4 * (1 - self.share)
        weights = self.tm * self.tn * taps * bits / (self.weight_ports * self.port_bits)
        inputs = self.tn * rows * columns * self.activation_bits / (self.input_ports * self.port_bits)
        return compute, weights, inputs

    def is_compute_bound(self, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> bool:
        """Equation 13."""
        compute, weights, inputs = self.tile_cycles(kernel, stride)
        return max(weights, inputs) <= compute

    def _input_tile(self, kernel: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int]:
        return (self.tr - 1) * stride[0] + kernel[0], (self.tc - 1) * stride[1] + kernel[1]


def choose_tiles(
    base: TileModel, *, macs: int, brams: int, sizes: Iterable[int] = (7, 14, 28, 56), kernel: tuple[int, int] = (3, 3)
) -> TileModel:
    """Equation 11: the tile with the largest Tm · Tn that keeps (12) and (13); among equals the smallest Tr · Tc.

    Parameters
    ----------
    base: gives G, ports, R and pixels; its tile is not used.
    macs: most products a cycle, from `lane_split`.
    brams: S_BRAM in BRAM18.
    sizes: candidates of Tr = Tc.

    Raises
    ------
    HlsError: no candidate keeps (12) and (13).
    """
    best: TileModel | None = None
    for size in sorted(sizes):
        for tn in range(base.group, macs // base.pixels + 1, base.group):
            tm = macs // base.pixels // tn
            tile = dataclasses.replace(base, tm=tm, tn=tn, tr=size, tc=size)
            if tile.brams(kernel) > brams or not tile.is_compute_bound(kernel):
                continue
            if best is None or tile.tm * tile.tn > best.tm * best.tn:
                best = tile
    if best is None:
        raise HlsError(f"no tile keeps equations 12 and 13 within {brams} BRAM18: offer more memory or fewer products")
    return best


@dataclasses.dataclass(frozen=True)
class LayerCycles:
    """What the model says of a layer: its cycles, the steps of its loop nest, and what bounds them."""

    name: str
    cycles: float
    steps: int
    bound: str


def layer_cycles(shape: LayerShape, tile: TileModel, *, depthwise_lanes: int = 1) -> LayerCycles:
    """Cycles of a layer: steps of the loop nest, each the slowest of equation 15 (double buffering hides the others).

    Tr and Tc are cut to the layer's map. Equation 15 has no term for digits: a layer of two repeats its steps.

    Parameters
    ----------
    depthwise_lanes: channels that a depthwise layer computes at once: Tn in these kernels; docs/hls.md says what
        the paper may mean.
    """
    cut = dataclasses.replace(tile, tr=min(tile.tr, shape.output_rows), tc=min(tile.tc, shape.output_columns))
    steps = math.ceil(shape.output_rows / cut.tr) * math.ceil(shape.output_columns / cut.tc)
    if shape.depthwise:
        cut = dataclasses.replace(cut, tm=depthwise_lanes, tn=1, pixels=1)
        steps *= math.ceil(shape.filters / depthwise_lanes)
        compute, weights, inputs = cut.tile_cycles(shape.kernel, shape.stride)
        inputs *= depthwise_lanes
    else:
        steps *= math.ceil(shape.filters / cut.tm) * math.ceil(shape.channels / cut.tn) * shape.digits
        compute, weights, inputs = cut.tile_cycles(shape.kernel, shape.stride)
    slowest = max((compute, "compute"), (weights, "weights"), (inputs, "inputs"))
    return LayerCycles(shape.name, steps * slowest[0], steps, slowest[1])


def network_cycles(
    shapes: Iterable[LayerShape], tile: TileModel, *, depthwise_lanes: int = 1
) -> tuple[LayerCycles, ...]:
    """`layer_cycles` of every layer."""
    return tuple(layer_cycles(shape, tile, depthwise_lanes=depthwise_lanes) for shape in shapes)

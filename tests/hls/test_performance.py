"""FILM-QNN's equations against a linear program, values worked out by hand, enumeration, and published totals."""

import math

import pytest
from scipy.optimize import linprog

from intramix.hls_reference.builds import BUILDS
from intramix.hls_reference.errors import HlsError
from intramix.hls_reference.performance import (
    LaneSplit,
    LutCosts,
    TileModel,
    choose_tiles,
    lane_split,
    layer_cycles,
    network_cycles,
)
from intramix.hls_reference.shapes import NETWORKS, LayerShape, shapes_of
from intramix.quant.graph.random_graph import random_graph
from tests.support.kernels import KERNEL_KINDS

COSTS = LutCosts()


def optimum(dsps, luts, share, *, eight_on_dsp):
    """Equations 5 to 8 as a linear program over (N8dsp, N8lut, N4dsp, N4lut)."""
    rows = [
        [0.5, 0, 0.25, 0],
        [COSTS.eight_on_dsp, COSTS.eight, COSTS.four_on_dsp, COSTS.four],
        [share - 1, share - 1, share, share],
    ]
    bounds = [(0, None if eight_on_dsp else 0), (0, 0 if eight_on_dsp else None), (0, None), (0, None)]
    result = linprog([-1, -1, -1, -1], A_ub=rows, b_ub=[dsps, luts, 0], bounds=bounds)
    assert result.success
    return -result.fun


@pytest.mark.parametrize("eight_on_dsp", [False, True])
@pytest.mark.parametrize(("dsps", "luts", "share"), [(180, 26_000, 0.05), (2048, 160_000, 0.05), (900, 120_000, 0.1)])
def test_lane_split_is_the_linear_program_s(dsps, luts, share, eight_on_dsp):
    split = lane_split(dsps=dsps, luts=luts, share=share, eight_on_dsp=eight_on_dsp)
    assert split.total == pytest.approx(optimum(dsps, luts, share, eight_on_dsp=eight_on_dsp))
    assert split.dsps == pytest.approx(dsps)  # (6)
    assert split.luts() == pytest.approx(luts)  # (7)
    assert split.share_of_eight == pytest.approx(share)  # (8)


def test_too_few_luts_for_the_dsps():
    with pytest.raises(HlsError, match="5000 LUTs cannot serve 2048 DSPs"):
        lane_split(dsps=2048, luts=5000)


def test_published_builds_in_equations_6_to_8():
    pynq = LaneSplit(n8dsp=72, n4dsp=576, n4lut=360)
    assert pynq.dsps == 180
    assert pynq.luts() < 53_200 * 0.85 - 15_000
    assert pynq.share_of_eight >= 0.05
    zcu = LaneSplit(n8lut=512, n4dsp=8192)
    assert zcu.dsps == 2048
    assert zcu.share_of_eight >= 0.05


@pytest.mark.parametrize(("board", "dsps", "luts"), [("pynq-z2", 220, 53_200), ("zc706", 900, 218_600),
                                                     ("zcu102", 2520, 274_080)])
def test_builds_keep_equations_6_to_8_and_12(board, dsps, luts):
    build = BUILDS[board]
    per_filter = 2 * build.channels
    split = LaneSplit(
        n8dsp=per_filter * build.eight_bit * build.eight_bits_on_dsp,
        n8lut=per_filter * build.eight_bit * (not build.eight_bits_on_dsp),
        n4dsp=per_filter * build.dsp_four,
        n4lut=per_filter * build.lut_four,
    )
    assert split.total == build.macs_per_cycle
    assert split.dsps == build.dsps <= dsps
    assert split.luts() + 20_000 <= 0.85 * luts
    assert split.share_of_eight >= 0.05
    bram18 = {"pynq-z2": 280, "zc706": 1090, "zcu102": 1824}[board]
    assert build.tile_model.brams((3, 3)) <= bram18


def test_equations_14_and_15_by_hand():
    tile = TileModel(tm=42, tn=12, tr=14, tc=28, group=6, port_bits=64, share=1 / 14)
    # Bin: 12/6 · ⌈16 · 30 · 30 / 18432⌉; Bout: 42/6 · ⌈392 · 30 / 18432⌉; Bwgt: 21 · 15/14 · 2 · ⌈432 / 18432⌉
    assert tile.buffers((3, 3)) == (2 * 1, 7 * 1, 45)
    assert tile.brams((3, 3)) == 2 * (2 + 7 + 45)
    compute, weights, inputs = tile.tile_cycles((3, 3))
    assert compute == 9 * 14 * 28
    assert weights == pytest.approx(42 * 12 * 9 * (8 / 14 + 4 * 13 / 14) / 64)
    assert inputs == 12 * 16 * 30 * 5 / 64
    assert tile.is_compute_bound((3, 3))


def test_stride_widens_the_input_tile():
    tile = TileModel(tm=8, tn=8, tr=7, tc=7, group=8, port_bits=64)
    assert tile.tile_cycles((3, 3), (2, 2))[2] == 8 * 15 * 15 * 5 / 64


def test_equation_11_by_enumeration():
    base = TileModel(tm=1, tn=1, tr=1, tc=1, group=6, port_bits=64)
    best = choose_tiles(base, macs=1008, brams=200)
    assert best.brams((3, 3)) <= 200
    assert best.is_compute_bound((3, 3))
    largest = 0
    for size in (7, 14, 28, 56):
        for tn in range(6, 1009, 6):
            for tm in range(1, 1008 // tn + 1):
                tile = TileModel(tm=tm, tn=tn, tr=size, tc=size, group=6, port_bits=64)
                if tile.brams((3, 3)) <= 200 and tile.is_compute_bound((3, 3)):
                    largest = max(largest, tm * tn)
    # choose_tiles takes the most filters that the products allow; with fewer a tile could only be smaller
    assert best.tm * best.tn == largest


def test_no_tile_fits():
    base = TileModel(tm=1, tn=1, tr=1, tc=1, group=8, port_bits=64)
    with pytest.raises(HlsError, match="no tile keeps equations 12 and 13 within 3 BRAM18"):
        choose_tiles(base, macs=512, brams=3)


@pytest.mark.parametrize(("network", "layers", "gmacs"), [("resnet18", 21, 1.814), ("resnet50", 54, 4.089),
                                                          ("mobilenet_v2", 53, 0.3008)])
def test_macs_of_the_published_networks(network, layers, gmacs):
    shapes = NETWORKS[network]()
    assert len(shapes) == layers
    assert sum(shape.macs for shape in shapes) / 1e9 == pytest.approx(gmacs, rel=1e-3)


def test_cycles_of_a_layer_by_hand():
    shape = LayerShape(name="l", channels=100, filters=100, kernel=(3, 3), output_rows=28, output_columns=20)
    tile = TileModel(tm=36, tn=12, tr=14, tc=28, group=6, port_bits=64, pixels=2)
    found = layer_cycles(shape, tile)
    assert found.steps == 2 * 1 * 3 * 9  # rows, columns, filters, channels
    assert found.cycles == found.steps * 9 * 14 * 10  # pairs of 20 columns: compute bound
    assert found.bound == "compute"


def test_depthwise_lanes():
    shape = LayerShape(
        name="d", channels=48, filters=48, kernel=(3, 3), output_rows=14, output_columns=14, depthwise=True
    )
    tile = TileModel(tm=36, tn=12, tr=14, tc=28, group=6, port_bits=64, pixels=2)
    one = layer_cycles(shape, tile, depthwise_lanes=1)
    many = layer_cycles(shape, tile, depthwise_lanes=12)
    assert one.cycles == 48 * 9 * 14 * 14
    assert many.cycles == 4 * 9 * 14 * 14


def test_no_network_beats_its_array():
    for build in BUILDS.values():
        for shapes in NETWORKS.values():
            dense = [shape for shape in shapes() if not shape.depthwise]
            cycles = sum(entry.cycles for entry in network_cycles(dense, build.tile_model, depthwise_lanes=1))
            assert cycles >= math.ceil(sum(shape.macs for shape in dense) / build.macs_per_cycle)


def test_shapes_of_a_graph():
    graph = random_graph(2, kinds=KERNEL_KINDS, blocks=4)
    shapes = shapes_of(graph, 5)
    by_name = {shape.name: shape for shape in shapes}
    for layer in graph.layers:
        if hasattr(layer, "weight"):
            target = graph.tensors[layer.output]
            assert by_name[layer.name].macs == layer.weight.size * target.height * target.width
    assert shapes[0].digits == 2

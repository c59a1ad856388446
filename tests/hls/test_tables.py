"""Tables, layouts and generated headers: from one source, and within the buffers."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

from intramix.hdl.isa import CONSTANT_LAYOUT
from intramix.hdl.lane_classes import LaneClass
from intramix.hls_reference.builds import BUILDS, build_for
from intramix.hls_reference.errors import HlsError
from intramix.hls_reference.generate import write_project
from intramix.hls_reference.headers import layer_table_header, parameters_header
from intramix.hls_reference.layout import HlsMap, place_filters
from intramix.hls_reference.records import FIELDS, LAYER_WORDS, Operation, Status
from intramix.hls_reference.tables import choose_tile, make_tables
from intramix.hls_reference.vectors import reference_codes
from intramix.platforms.boards import BOARDS
from intramix.quant.graph.border import laid_border
from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4, Scheme, WeightFormat
from intramix.quant.graph.graph import BIAS_BITS, MAXIMUM_SHIFT, MULTIPLIER_BITS, Padding, TensorType
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph, single_convolution
from tests.support.kernels import KERNEL_KINDS


def constants(text):
    return {name: int(value) for name, value in re.findall(r"const int (\w+) = (-?\d+);", text)}


def members(text, enum):
    body = re.search(rf"enum {enum} {{ (.*?) }};", text).group(1)
    return {name: int(value) for name, value in re.findall(r"(\w+) = (\d+)", body)}


def test_constants_are_those_of_the_rtl_and_the_graph():
    geometry = BOARDS["pynq-z2"].geometry
    found = constants(parameters_header(BUILDS["pynq-z2"]))
    assert found["SLOT_BITS"] == geometry.activation_bits
    assert found["ACCUMULATOR_BITS"] == geometry.accumulator_bits
    assert (found["MULTIPLIER_BITS"], found["BIAS_BITS"]) == (MULTIPLIER_BITS, BIAS_BITS)
    assert found["MAXIMUM_SHIFT"] == MAXIMUM_SHIFT
    names = [field.name for field in CONSTANT_LAYOUT]
    lows = dict(zip(names, np.cumsum([0, *(field.width for field in CONSTANT_LAYOUT)])))
    assert (found["MULTIPLIER_LOW"], found["BIAS_LOW"]) == (lows["multiplier"], lows["bias"])


def test_small_build_has_the_lanes_of_the_small_geometry(build):
    assert build.lanes == BOARDS["small"].geometry.lanes


def test_operators_status_codes_and_fields_are_generated():
    text = layer_table_header(BUILDS["small"])
    assert members(text, "Operation") == {member.name: member.value for member in Operation}
    assert members(text, "Status") == {f"STATUS_{member.name}": member.value for member in Status}
    raw = re.search(r"struct RawLayer {(.*?)};", text, re.DOTALL).group(1)
    assert re.findall(r"int (\w+);", raw) == [name for name, _ in FIELDS]
    assert len(FIELDS) <= LAYER_WORDS


@pytest.mark.parametrize("bits", [5, 8])
def test_map_layout_against_loops(build, bits):
    rng = np.random.default_rng(bits)
    order = np.array([3, -1, 0, 8, 1, 2, 4, 5, 7, 6, -1, -1, -1, -1, -1, -1])
    entry = HlsMap(TensorType("map", 9, 2, 3, bits), build, 0, order)
    codes = rng.integers(0, 1 << bits, (9, 2, 3), np.uint8)
    beats = [int.from_bytes(entry.pack(codes)[at : at + 8], "little") for at in range(0, 8 * entry.length, 8)]
    expected = []
    for digit in range(1 if bits == 5 else 2):
        for beat in range(2):
            for row in range(2):
                for column in range(3):
                    value = 0
                    for slot, channel in enumerate(order[8 * beat : 8 * beat + 8]):
                        code = 0 if channel < 0 else int(codes[channel, row, column])
                        part = code if bits == 5 else (code >> 4 if digit == 0 else code % 16)
                        value += part << 5 * slot
                    expected.append(value)
    assert beats == expected
    assert (entry.unpack(entry.pack(codes)) == codes).all()


def test_map_refuses_another_shape(build):
    entry = HlsMap(TensorType("map", 8, 2, 3, 5), build, 0, np.arange(8))
    with pytest.raises(ValueError, match=r"map 'map' must have shape \(8, 2, 3\), not \(8, 3, 2\)"):
        entry.pack(np.zeros((8, 3, 2), np.uint8))


def test_eight_bit_filters_come_first_in_every_tile():
    build = BUILDS["pynq-z2"]
    graph = single_convolution(3, filters=70, mix=FormatMix(3, 24, 9, FIXED4))
    layer = graph.layers[0]
    lanes = place_filters(layer, build)
    assert sorted(lanes[lanes >= 0]) == list(range(70))
    for tile in lanes:
        for lane, channel in enumerate(tile):
            if channel >= 0 and np.abs(layer.weight[channel]).max() > 8:
                assert lane < build.eight_bit


def test_placement_needs_no_more_tiles_than_filters_demand(build):
    graph = single_convolution(3, filters=40, mix=FormatMix(1, 3, 4, SP2_4))
    assert len(place_filters(graph.layers[0], build)) == 5


@pytest.mark.parametrize("name", BUILDS)
def test_chosen_tiles_fit_the_buffers(name):
    build = BUILDS[name]
    cases = (((3, 3), (1, 1), 56), ((7, 7), (2, 2), 112), ((1, 1), (2, 2), 28), ((5, 1), (1, 3), 9))
    for kernel, stride, size in cases:
        graph = single_convolution(1, size=(30, 30), kernel=kernel, stride=stride, mix=FormatMix(1, 3, 4, FIXED4))
        rows, columns = choose_tile(graph.layers[0], (size, size), build)
        height, width = ((n - 1) * s + k for n, s, k in zip((rows, columns), stride, kernel))
        assert height * width <= build.input_depth
        assert rows * -(-columns // 2) <= build.output_depth // 2


def test_tile_is_the_best_of_all(build):
    layer = single_convolution(1, size=(20, 20), stride=(2, 1)).layers[0]
    fitting = [
        -(-9 // rows) * -(-18 // columns)
        for rows in range(1, 10)
        for columns in range(1, 19)
        if (2 * rows + 1) * (columns + 2) <= build.input_depth and rows * -(-columns // 2) <= build.output_depth // 2
    ]
    rows, columns = choose_tile(layer, (9, 18), build)
    assert -(-9 // rows) * -(-18 // columns) == min(fitting)


# What is refused ------------------------------------------------------------------------------------------------------


def test_weights_that_no_lane_holds(build):
    graph = single_convolution(1, mix=FormatMix(0, 0, 1, WeightFormat(Scheme.SP2, 8)))
    with pytest.raises(HlsError, match="layer 'convolution', filter 0: no lane of small holds its sp2-8 weights"):
        make_tables(graph, build)


def test_scheme_without_lanes_of_its_own_takes_eight_bit_filters(build):
    graph = single_convolution(1, filters=3, mix=FormatMix(0, 0, 1, POT_4))
    assert make_tables(graph, build).records[0]["filter_tiles"] == 3


def test_depthwise_weights_beyond_eight_bits(build):
    mix = FormatMix(0, 0, 1, WeightFormat(Scheme.SP2, 7))
    graph = single_convolution(1, depthwise=True, mix=mix)
    with pytest.raises(HlsError, match=r"layer 'convolution': its weights reach .* the depthwise kernel"):
        make_tables(graph, build)


def test_kernel_beyond_the_weight_buffer(build):
    graph = single_convolution(1, size=(12, 12), kernel=(9, 9))
    with pytest.raises(HlsError, match="layer 'convolution': its kernel has 81 positions; small buffers weights of 64"):
        make_tables(graph, build)


def test_window_beyond_the_input_buffer(build):
    narrow = dataclasses.replace(build, input_depth=8)
    with pytest.raises(HlsError, match="window of 3×3 does not fit the 8 pixels of the input buffer"):
        make_tables(single_convolution(1), narrow)


def test_sums_beyond_the_accumulators(build):
    narrow = dataclasses.replace(build, accumulator_bits=16)
    graph = single_convolution(1, channels=64, mix=FormatMix(1, 0, 0))
    with pytest.raises(HlsError, match=r"layer 'convolution', filter 0: its sums reach .* accumulator_bits = 16"):
        make_tables(graph, narrow)


def test_unknown_board():
    with pytest.raises(HlsError, match="'zybo' has no HLS build; those that have are small, pynq-z2, zc706, zcu102"):
        build_for("zybo")


def test_too_many_activation_bits_for_a_beat():
    with pytest.raises(HlsError, match="activation_bits = 6: 12 channels of a pixel must fit a beat of 64 bits"):
        build_for("pynq-z2", activation_bits=6)


def test_scheme_without_a_product():
    with pytest.raises(HlsError, match="the kernels have products for lut-fixed-4, lut-sp2-4, lut-pot-4"):
        build_for("small", lut_scheme=LaneClass.LUT_FIXED3)


def test_project_never_overwrites_something_else(build, tmp_path):
    (tmp_path / "mine.txt").touch()
    graph = single_convolution(1, mix=FormatMix(1, 1, 0, FIXED8))
    tables = make_tables(graph, build)
    images = reference_codes(tables, random_codes(graph, 0, 1))
    with pytest.raises(HlsError, match="is not empty and is no HLS project"):
        write_project(tmp_path, build, tables, images)
    target = tmp_path / "project"
    write_project(target, build, tables, images)
    write_project(target, build, tables, images)  # its own project may be replaced
    with pytest.raises(HlsError, match="the tables were made for small, the project is for pynq-z2"):
        write_project(target, BUILDS["pynq-z2"], tables, images)


def test_maps_do_not_overlap(build):
    tables = make_tables(random_graph(1, kinds=KERNEL_KINDS), build)
    spans = sorted((entry.address, entry.address + entry.length) for entry in tables.maps.values())
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert spans[-1][1] <= tables.map_beats


def test_padding_is_carried(build):
    tables = make_tables(single_convolution(1, padding=Padding(2, 1, 0, 3)), build)
    assert (tables.records[0]["pad_top"], tables.records[0]["pad_left"]) == (2, 1)


def test_other_codes_than_zero_around_a_map_are_refused():
    padding = Padding(1, 1, 1, 1)
    for fields in ({"zero_point": 3}, {"border": (9,) * 8}):
        graph = single_convolution(1, padding=padding, **fields)
        with pytest.raises(HlsError, match="the HLS kernels pad with code 0"):
            make_tables(graph, BUILDS["pynq-z2"])
    laid = laid_border(single_convolution(1, padding=padding, border=(9,) * 8))
    assert make_tables(laid, BUILDS["pynq-z2"]).records

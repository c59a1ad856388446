"""MapsEngine against a direct reading of LOAD_MAP, under stalls, errors and aborts."""

import pytest

from intramix.hdl import isa
from intramix.hdl.geometry import Geometry
from tests.support.dma.maps_bench import (
    BASE,
    PARAMETERS,
    SOUND,
    Bench,
    Kernels,
    check_abort,
    load_kernels,
    random_depthwise,
    random_load,
    reference,
)  # fmt: skip
from tests.support.raw_instructions import encode

pytestmark = pytest.mark.slow


def geometry(**fields) -> Geometry:
    return Geometry(**{"word_channels": 4, "pixel_lanes": 2, "fixed8_lanes": 0, "fixed4_lanes": 4, "lut_lanes": 0,
                       "activation_bits": 4, "activation_depth": 512, "residual_depth": 100, **fields})


GEOMETRIES = {
    "2-byte words, 64": geometry(),
    "3-byte words, 32": geometry(activation_bits=6, maps_bus_bits=32, pixel_lanes=4),
    "5-byte words, 64": geometry(word_channels=8, activation_bits=5, fixed4_lanes=8, maximum_burst=4),
    "10-byte words, 64": geometry(word_channels=16, activation_bits=5, fixed4_lanes=16, pixel_lanes=8),
    "20-byte words, 128": geometry(word_channels=32, activation_bits=5, fixed4_lanes=32, maps_bus_bits=128),
    "20-byte words, 32, one lane": geometry(word_channels=32, activation_bits=5, fixed4_lanes=32, maps_bus_bits=32,
                                            pixel_lanes=1),
}

DEPTHWISE = {
    "2-byte words, 64, all at once": geometry(depthwise_channels=4),
    "3-byte words, 32, in turn": geometry(activation_bits=6, maps_bus_bits=32, depthwise_channels=1),
    "10-byte words, 64, in fours": geometry(word_channels=16, activation_bits=5, fixed4_lanes=16, pixel_lanes=4,
                                            depthwise_channels=4),
}


def check_writes_and_tokens(bench: Bench) -> None:
    expected, counts = [], []
    kernels: Kernels = {}
    for load in bench.loads:
        expected += reference(bench.g, bench.memory, load, kernels)
        if load["signal"]:
            counts.append((load["signal"], len(expected)))
    bench.run(bench.issue, bench.rest)
    assert bench.errors == []
    assert bench.writes == expected
    assert [token for token, _ in bench.tokens] == [token for token, _ in counts]
    assert all(seen >= count for (_, seen), (_, count) in zip(bench.tokens, counts)), "a token before its last write"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_lanes_get_their_rows(name, stall, seed):
    bench = Bench(GEOMETRIES[name], seed, stall=stall)
    bench.loads = [random_load(bench.g, bench.dice, layer) for layer in range(8)]
    check_writes_and_tokens(bench)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", DEPTHWISE)
def test_lanes_get_convolved_rows(name, stall, seed):
    bench = Bench(DEPTHWISE[name], seed, stall=stall)
    for layer in range(6):
        make = random_load if layer in (1, 4) else random_depthwise
        load = make(bench.g, bench.dice, layer)
        if load.get("depthwise"):
            bench.loads.append(load_kernels(layer, load["kernel_base"], load["planes"], address=100 * layer))
        bench.loads.append(load)
    check_writes_and_tokens(bench)


def test_keeps_the_bus_busy_over_padding_planes_and_instructions():
    g = geometry(word_channels=16, activation_bits=5, fixed4_lanes=16, pixel_lanes=4, activation_depth=4096)
    bench = Bench(g, 1, latency=40)
    for layer in range(3):
        bench.loads.append({
            "layer": layer, "signal": 1, "region": isa.Region.INPUT, "address": 6000 * layer + 3, "planes": 3,
            "plane_stride": 1960, "chunks": 1, "chunk_words": 196, "row_words": 14, "pad_top": 1, "pad_bottom": 1,
            "lane_step": 4, "lane_rows": 6, "lane_mask": 15, "base": 0, "plane_pitch": 84,
        })
    bench.run(bench.issue, bench.rest)
    print(f"{bench.memory.read_beats} beats in {bench.cycles} cycles at 40 cycles of latency, 12 % padding")
    assert bench.cycles <= 1.05 * bench.memory.read_beats + 40 + 60


@pytest.mark.parametrize("change", [
    {"planes": 0}, {"chunks": 0}, {"chunk_words": 0}, {"row_words": 0}, {"lane_rows": 0}, {"lane_mask": 0},
    {"lane_mask": 5}, {"row_words": 5}, {"base": 505}, {"base": 512}, {"residual": 1, "base": 90},
    {"plane_pitch": 508},
])
def test_fields_out_of_range_are_refused(change):
    bench = Bench(geometry(), 2)
    bench.loads = [SOUND | change]
    bench.run(bench.issue, bench.rest)
    assert bench.errors == [(isa.Error.FIELD, 9)]
    assert bench.tokens == []
    depths = bench.g.activation_depth, bench.g.residual_depth
    assert all(address < depths[residual] for _, residual, address, _ in bench.writes)


@pytest.mark.parametrize("change", [
    {"ring_end": 65}, {"ring_end": (1 << isa.MAP_ADDRESS_BITS) - 1}, {"chunk_words": 4096}, {"kernels": 1},
])
def test_fields_of_the_map_memory_out_of_range_are_refused(change):
    bench = Bench(geometry(map_words=64), 2)
    bench.loads = [SOUND | {"on_chip": 1, "ring_end": 64, "ring_words": 64} | change]
    bench.run(bench.issue, bench.rest)
    assert bench.errors == [(isa.Error.FIELD, 9)]
    assert bench.tokens == bench.writes == []


SOUND_DEPTHWISE = SOUND | {
    "depthwise": 1, "kernel_base": 20, "source_words": 4, "source_top": 0, "source_bottom": 0, "source_left": 1,
    "source_right": 0, "source_stride": 1, "row_words": 3, "shift": 40, "maximum": 15,
}


@pytest.mark.parametrize("change", [
    {"source_words": 1, "row_words": 1}, {"source_words": 0, "row_words": 1}, {"source_left": 0},
    {"source_words": 511, "source_right": 1, "row_words": 511}, {"source_words": 4095, "row_words": 4094},
    {"source_stride": 0}, {"source_stride": 3}, {"source_stride": 2}, {"row_words": 4}, {"row_words": 0},
    {"shift": 48}, {"chunk_words": 5}, {"chunks": 1}, {"planes": 0}, {"lane_mask": 5}, {"base": 510},
    {"kernel_base": isa.KERNEL_ROWS - 67}, {"kernels": 1}, {"planes": 4095, "kernel_base": 0},
])
def test_fields_of_the_depthwise_unit_out_of_range_are_refused(change):
    bench = Bench(geometry(depthwise_channels=2), 2, stall=0.2)
    bench.loads = [load_kernels(7, 20, 2, address=0), SOUND_DEPTHWISE | {"layer": 8}, SOUND_DEPTHWISE | change]
    bench.run(bench.issue, bench.rest)
    assert bench.errors == [(isa.Error.FIELD, 9)]
    assert len(bench.tokens) <= 1


def test_widest_row_passes_the_depthwise_unit():
    g = geometry(depthwise_channels=4, activation_depth=2048)
    bench = Bench(g, 4)
    bench.loads = [SOUND_DEPTHWISE | {"source_words": 511, "chunk_words": 511, "chunks": 3, "chunk_stride": 1000,
                                      "planes": 1, "row_words": 510, "pad_top": 0, "pad_bottom": 0,
                                      "residual": 0}]
    kernels: Kernels = {}
    bench.loads.insert(0, load_kernels(1, 20, 1, address=0))
    expected = [write for load in bench.loads for write in reference(g, bench.memory, load, kernels)]
    bench.run(bench.issue, bench.rest)
    assert bench.errors == []
    assert bench.writes == expected


@pytest.mark.parametrize("load", [SOUND_DEPTHWISE, load_kernels(9, 0, 1, address=0)], ids=["rows", "kernels"])
def test_without_a_unit_its_loads_are_refused(load):
    bench = Bench(geometry(), 2)
    bench.loads = [load]
    bench.memory.quiet = True
    bench.run(bench.issue, bench.rest)
    assert bench.errors == [(isa.Error.FIELD, 9)]


@pytest.mark.parametrize("region", ["kernels", "rows"])
def test_bus_error_on_the_way_to_the_depthwise_unit_names_the_layer(region):
    bench = Bench(geometry(depthwise_channels=1), 3, stall=0.3)
    bench.loads = [load for layer in range(5) for load in (
        load_kernels(layer, 20, 2, address=1024 * layer), SOUND_DEPTHWISE | {"layer": layer, "address": 1024 * layer}
    )]
    origin = PARAMETERS if region == "kernels" else BASE
    bench.memory.fail_read = lambda address: (address - origin) // 1024 == 3
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.READ_RESPONSE, 3)]
    assert bench.memory.in_flight == 0


@pytest.mark.parametrize("change", [
    {"planes": 2}, {"chunks": 2}, {"chunk_words": 0}, {"base": isa.KERNEL_ROWS - 33}, {"chunk_words": 4095},
    {"signal": 1}, {"residual": 1},
])
def test_kernels_that_do_not_fit_are_refused(change):
    bench = Bench(geometry(depthwise_channels=2), 2, stall=0.2)
    bench.loads = [SOUND, load_kernels(9, 0, 1, address=0) | change]
    bench.run(bench.issue, bench.rest)
    assert bench.errors == [(isa.Error.FIELD, 9)]


def test_other_opcodes_are_refused():
    bench = Bench(geometry(), 2)
    bench.codes = [encode(isa.Opcode.STORE, layer=5, planes=1, chunks=1, chunk_words=1)]
    bench.memory.quiet = True
    bench.run(bench.issue, bench.rest)
    assert bench.errors == [(isa.Error.OPCODE, 5)]


def test_bus_error_names_the_layer_and_ends_in_rest():
    bench = Bench(geometry(), 3, stall=0.3)
    bench.loads = [SOUND | {"layer": layer, "address": 1024 * layer} for layer in range(5)]
    bench.memory.fail_read = lambda address: (address - BASE) // 1024 == 3
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.READ_RESPONSE, 3)]
    assert bench.memory.in_flight == 0


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("depthwise_channels", [0, 2])
def test_abort_comes_to_rest(seed, depthwise_channels, abort_and_rest):
    g = geometry(depthwise_channels=depthwise_channels)
    bench = Bench(g, seed, latency=[0, 25][seed % 2], stall=[0.0, 0.6][seed // 4])
    make = random_depthwise if depthwise_channels else random_load  # kernels: whatever the memory has at its start
    bench.loads = [make(bench.g, bench.dice, layer) for layer in range(8)]
    check_abort(bench, abort_and_rest, latest=100 if depthwise_channels == 0 else 300)

"""StoreEngine against a direct reading of STORE and zlib's CRC-32, under stalls, errors and aborts."""

import struct

import pytest

from intramix.hdl import isa
from intramix.hdl.geometry import Geometry
from tests.support.dma.store_bench import BASE, LOG, SOUND, Bench, check_abort, check_stores
from tests.support.raw_instructions import encode

pytestmark = pytest.mark.slow


def geometry(**fields) -> Geometry:
    return Geometry(**{"word_channels": 4, "pixel_lanes": 2, "fixed8_lanes": 0, "fixed4_lanes": 4, "lut_lanes": 0,
                       "activation_bits": 4, "output_depth": 200, **fields})


GEOMETRIES = {
    "2-byte words, 64": geometry(),
    "3-byte words, 32": geometry(activation_bits=6, maps_bus_bits=32, pixel_lanes=4),
    "5-byte words, 64": geometry(word_channels=8, activation_bits=5, fixed4_lanes=8, maximum_burst=4),
    "10-byte words, 64": geometry(word_channels=16, activation_bits=5, fixed4_lanes=16, pixel_lanes=8),
    "20-byte words, 128": geometry(word_channels=32, activation_bits=5, fixed4_lanes=32, maps_bus_bits=128),
    "20-byte words, 32, one lane": geometry(word_channels=32, activation_bits=5, fixed4_lanes=32, maps_bus_bits=32,
                                            pixel_lanes=1),
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_stores_words_and_records(name, stall, seed):
    check_stores(Bench(GEOMETRIES[name], seed, stall=stall), 9)


def test_stored_comes_with_the_last_acknowledgement():
    bench = Bench(geometry(), 1, latency=60)
    fields = bench.random_store(3, signal=1 << isa.Token.STORED, crc_emit=1)
    bench.add(fields)
    bench.codes.append(encode(isa.Opcode.FINISH))

    async def check(ctx):
        while not bench.tokens:
            assert not bench.finished
            await ctx.tick()
        assert bench.memory.in_flight == 0
        assert struct.unpack("<I", bench.memory.read(LOG + 16 * 3 + 4, 4)) == (3,)

    bench.run(bench.issue, check, bench.rest)
    assert [token for token, _ in bench.tokens] == [isa.Token.STORED]


def test_writes_at_the_rate_of_the_bus():
    g = geometry(word_channels=16, activation_bits=5, fixed4_lanes=16, pixel_lanes=4, output_depth=1024)
    bench = Bench(g, 1, latency=20)
    for layer in range(8):
        bench.add({"layer": layer, "region": isa.Region.OUTPUT, "address": 4003 * layer, "planes": 2,
                   "plane_stride": 2000, "chunks": 4, "chunk_stride": 490, "chunk_words": 49, "lane": layer % 4,
                   "base": 10, "plane_pitch": 300, "crc_start": layer == 0, "crc_emit": layer == 7})
    bench.codes.append(encode(isa.Opcode.FINISH))
    bench.run(bench.issue, bench.rest)
    print(f"{bench.memory.write_beats} beats in {bench.cycle} cycles, chunks of 490 bytes at odd addresses")
    assert bench.cycle <= 1.05 * bench.memory.write_beats + 80


@pytest.mark.parametrize("change", [
    {"planes": 0}, {"chunks": 0}, {"chunk_words": 0}, {"lane": 2}, {"lane": 15}, {"base": 200}, {"base": 195},
    {"plane_pitch": 184}, {"plane_pitch": 4095},
])
def test_fields_out_of_range_are_refused(change):
    bench = Bench(geometry(), 2)
    bench.add(SOUND | change)
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.FIELD, 9)]
    assert bench.tokens == []


@pytest.mark.parametrize("change", [
    {"ring_end": 65}, {"ring_end": (1 << isa.MAP_ADDRESS_BITS) - 1}, {"on_chip": 0}, {"chunks": 0},
])
def test_fields_of_the_map_memory_out_of_range_are_refused(change):
    bench = Bench(geometry(map_words=64), 2)
    bench.add(SOUND | {"on_chip": 1, "chip_only": 1, "ring_end": 64, "ring_words": 64} | change)
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.FIELD, 9)]
    assert bench.tokens == []


def test_largest_legal_addresses_are_accepted():
    bench = Bench(geometry(), 2)
    bench.add(SOUND | {"base": 168})
    bench.codes.append(encode(isa.Opcode.FINISH))
    bench.run(bench.issue, bench.rest)
    assert bench.errors == []


def test_other_opcodes_are_refused():
    bench = Bench(geometry(), 2)
    bench.codes = [encode(isa.Opcode.LOAD_WEIGHTS, layer=5, words=1)]
    bench.memory.quiet = True
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.OPCODE, 5)]


def test_bus_error_names_the_layer_and_ends_in_rest():
    bench = Bench(geometry(), 3, stall=0.3)
    for layer in range(5):
        bench.add(SOUND | {"layer": layer, "address": 1024 * layer, "crc_emit": 0})
    bench.memory.fail_write = lambda address: (address - BASE) // 1024 == 3
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.WRITE_RESPONSE, 3)]
    assert [token for token, _ in bench.tokens] == [isa.Token.STORED] * 3


@pytest.mark.parametrize("seed", range(12))
def test_abort_comes_to_rest_and_writes_nothing_else(seed, abort_and_rest):
    bench = Bench(geometry(), seed, latency=[0, 25][seed % 2], stall=[0.0, 0.6][seed // 6])
    check_abort(bench, abort_and_rest)

"""The maps and store engines of two groups of lanes: what each lane sees, tokens in the order of instructions."""

import struct
from collections import Counter

import pytest

from intramix.hdl import isa
from intramix.hdl.dma.lane_groups import UNDER_WAY, MapsLaneGroups, StoreLaneGroups
from intramix.hdl.geometry import Geometry
from tests.support.dma import maps_bench, store_bench
from tests.support.raw_instructions import encode

pytestmark = pytest.mark.slow

READY, FREE, STORED = (1 << token for token in (isa.Token.INPUT_READY, isa.Token.OUTPUT_FREE, isa.Token.STORED))


def geometry(**fields) -> Geometry:
    return Geometry(**{"word_channels": 4, "pixel_lanes": 4, "fixed8_lanes": 0, "fixed4_lanes": 4, "lut_lanes": 0,
                       "activation_bits": 4, "activation_depth": 512, "residual_depth": 100, "output_depth": 200,
                       "maps_ports": 2, **fields})


GEOMETRIES = {
    "2-byte words, 64": geometry(),
    "3-byte words, 32, one lane each": geometry(activation_bits=6, maps_bus_bits=32, pixel_lanes=2),
    "10-byte words, 64, eight lanes": geometry(word_channels=16, activation_bits=5, fixed4_lanes=16, pixel_lanes=8),
}


class MapsBench(maps_bench.Bench):
    """Both maps engines; a token comes with how many words each lane had been given."""

    engine = MapsLaneGroups

    def __init__(self, g: Geometry, seed: int, **conditions) -> None:
        super().__init__(g, seed, **conditions)
        self.given: Counter[int] = Counter()

    def surroundings(self) -> list:
        return [self.watch_tokens, *(self.watcher(group) for group in range(2)), *map(self.memory.reader, self.dut.axi)]

    def watcher(self, group: int):
        """A testbench that records the writes of a group."""
        write, first = self.dut.lane_write[group], group * self.g.group_lanes

        async def watch(ctx) -> None:
            while True:
                _, _, enable, residual, addresses, word = await ctx.tick().sample(
                    write.enable, write.residual, write.address, write.data)
                for lane in range(self.g.group_lanes):
                    if enable >> lane & 1:
                        self.writes.append((first + lane, residual, addresses[lane], word))
        return watch

    async def watch_tokens(self, ctx) -> None:
        dut = self.dut
        while True:
            _, _, signals, valid, code, layer = await ctx.tick().sample(
                dut.signals, dut.error.valid, dut.error.code, dut.error.layer)
            self.cycles += 1
            if signals:
                self.tokens.append((signals, Counter(lane for lane, *_ in self.writes)))
            if valid:
                self.errors.append((code, layer))

    def random_load(self, make, layer: int) -> dict[str, int]:
        """A LOAD_MAP for lanes of one group."""
        load, lanes = make(self.g, self.dice, layer), self.g.group_lanes
        group = self.dice.randrange(2)
        return load | {"lane_mask": self.dice.randrange(1, 1 << lanes) << group * lanes}


def check_maps(bench: MapsBench) -> None:
    expected: list[tuple[int, int, int, int]] = []
    counts = []
    kernels: list[maps_bench.Kernels] = [{}, {}]
    for load in bench.loads:
        group = load["lane_mask"] >> bench.g.group_lanes != 0
        expected += maps_bench.reference(bench.g, bench.memory, load, kernels[group])
        if load["signal"]:
            counts.append((load["signal"], Counter(lane for lane, *_ in expected)))
    bench.run(bench.issue, bench.rest)
    assert bench.errors == []
    for lane in range(bench.g.pixel_lanes):
        assert [w for w in bench.writes if w[0] == lane] == [w for w in expected if w[0] == lane]
    assert [token for token, _ in bench.tokens] == [token for token, _ in counts]
    assert all(seen >= count for (_, seen), (_, count) in zip(bench.tokens, counts)), "a token before its last write"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_lanes_get_their_rows(name, stall, seed):
    bench = MapsBench(GEOMETRIES[name], seed, stall=stall)
    bench.loads = [bench.random_load(maps_bench.random_load, layer) for layer in range(12)]
    check_maps(bench)


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_each_group_has_kernels_of_its_own(stall):
    bench = MapsBench(geometry(depthwise_channels=2), 5, stall=stall)
    for layer in range(8):
        load = bench.random_load(maps_bench.random_load if layer in (1, 4) else maps_bench.random_depthwise, layer)
        if load.get("depthwise"):
            first = 1 << (bench.g.group_lanes if load["lane_mask"] >> bench.g.group_lanes else 0)
            kernels = maps_bench.load_kernels(layer, load["kernel_base"], load["planes"], address=100 * layer)
            bench.loads.append(kernels | {"lane_mask": first})
        bench.loads.append(load)
    check_maps(bench)


LOAD = maps_bench.SOUND | {"lane_step": 0, "lane_mask": 3, "pad_top": 0, "pad_bottom": 0, "residual": 0}


def test_groups_load_side_by_side():
    """Half of the words go to each: together they take little longer than one of them."""
    g = geometry(word_channels=32, activation_bits=5, fixed4_lanes=32, maps_bus_bits=128, activation_depth=4096)
    bench = MapsBench(g, 1, latency=40)
    for layer in range(4):
        bench.loads.append(LOAD | {
            "layer": layer, "address": 6000 * layer + 3, "planes": 4, "plane_stride": 5000, "chunks": 1,
            "chunk_words": 600, "row_words": 60, "lane_rows": 10, "lane_mask": 1 << layer, "plane_pitch": 600,
        })
    bench.loads = [bench.loads[n] for n in (0, 2, 1, 3)]
    bench.run(bench.issue, bench.rest)
    beats = 2 * 4 * 600 * 20 // 16  # of each group
    assert beats <= bench.cycles <= 1.03 * beats + 40 + 60


def test_a_token_waits_for_the_other_groups_earlier_load():
    bench = MapsBench(geometry(), 1, latency=20)
    long = LOAD | {"signal": 0, "chunks": 1, "chunk_words": 200, "row_words": 200, "lane_rows": 1, "plane_pitch": 200}
    bench.loads = [long, LOAD | {"layer": 2, "lane_mask": 12}, LOAD | {"layer": 3, "lane_mask": 8}]
    check_maps(bench)


def test_more_instructions_than_tokens_are_kept_for():
    bench = MapsBench(geometry(), 1, latency=60)
    bench.loads = [LOAD | {"chunks": 1, "chunk_words": 300, "row_words": 300, "planes": 1, "lane_rows": 1}]
    short = {"chunks": 1, "chunk_words": 1, "row_words": 1, "planes": 1, "lane_rows": 1, "lane_mask": 4}
    bench.loads += [LOAD | short | {"layer": layer} for layer in range(2 * UNDER_WAY)]
    check_maps(bench)


@pytest.mark.parametrize("mask", [0, 6, 15, 16, 20])
def test_lanes_of_both_groups_or_none_are_refused(mask):
    bench = MapsBench(geometry(), 2)
    bench.loads = [LOAD | {"lane_mask": mask}]
    bench.memory.quiet = True
    bench.run(bench.issue, bench.rest)
    assert bench.errors == [(isa.Error.FIELD, 9)]
    assert bench.tokens == []


def test_a_bus_error_in_one_group_stops_the_other():
    bench = MapsBench(geometry(), 3, stall=0.3)
    bench.loads = [LOAD | {"layer": layer, "address": 1024 * layer, "lane_mask": (3, 12)[layer % 2]}
                   for layer in range(8)]
    bench.memory.fail_read = lambda address: (address - maps_bench.BASE) // 1024 == 3
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.READ_RESPONSE, 3)]
    assert bench.memory.in_flight == 0
    assert len(bench.tokens) <= 3


@pytest.mark.parametrize("seed", range(6))
def test_abort_of_loads_comes_to_rest(seed, abort_and_rest):
    bench = MapsBench(geometry(), seed, latency=[0, 25][seed % 2], stall=[0.0, 0.6][seed // 3])
    bench.loads = [bench.random_load(maps_bench.random_load, layer) for layer in range(8)]
    maps_bench.check_abort(bench, abort_and_rest, latest=100)


class StoreBench(store_bench.Bench):
    engine = StoreLaneGroups

    def surroundings(self) -> list:
        outputs = [self.output_memory(output, group * self.g.group_lanes)
                   for group, output in enumerate(self.dut.output)]
        return [self.watch, *outputs, *map(self.memory.writer, self.dut.axi)]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_stores_words_and_records(name, stall, seed):
    store_bench.check_stores(StoreBench(GEOMETRIES[name], seed, stall=stall), 16)


STORE = {"region": isa.Region.OUTPUT, "planes": 1, "chunks": 1, "base": 0, "crc_start": 1}


@pytest.mark.parametrize("lanes", [(0, 2), (2, 0)], ids=["first group first", "second group first"])
def test_a_token_waits_for_the_other_groups_earlier_store(lanes):
    bench = StoreBench(geometry(), 1, latency=60)
    bench.add(STORE | {"layer": 1, "lane": lanes[0], "chunk_words": 150, "address": 0})
    bench.add(STORE | {"layer": 2, "lane": lanes[1], "chunk_words": 1, "address": 1000, "signal": FREE | STORED})
    bench.codes.append(encode(isa.Opcode.FINISH))

    async def check(ctx):
        while len(bench.tokens) < 2:
            assert not bench.finished
            await ctx.tick()
        assert bench.memory.in_flight == 0

    bench.run(bench.issue, check, bench.rest)
    (first, reads), (second, _) = bench.tokens
    assert (first, second) == (isa.Token.OUTPUT_FREE, isa.Token.STORED)
    assert (reads[lanes[0]], reads[lanes[1]]) == (150, 1)


@pytest.mark.parametrize("lane", [0, 2])
def test_finish_waits_for_both_groups(lane):
    bench = StoreBench(geometry(), 1, latency=60)
    bench.add(STORE | {"layer": 3, "lane": lane, "chunk_words": 100, "address": 0, "crc_emit": 1, "crc_slot": 5})
    bench.codes.append(encode(isa.Opcode.FINISH))

    async def check(ctx):
        while not bench.finished:
            await ctx.tick()
        assert bench.memory.in_flight == 0
        assert struct.unpack("<I", bench.memory.read(store_bench.LOG + 16 * 5 + 4, 4)) == (3,)

    bench.run(bench.issue, check, bench.rest)


@pytest.mark.parametrize("lane", [4, 8, 15])
def test_a_lane_that_is_not_there_is_refused(lane):
    bench = StoreBench(geometry(), 2)
    bench.add(store_bench.SOUND | {"lane": lane})
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.FIELD, 9)]
    assert bench.tokens == []


def test_a_write_error_in_one_group_stops_the_other():
    bench = StoreBench(geometry(), 3, stall=0.3)
    for layer in range(8):
        bench.add(store_bench.SOUND | {"layer": layer, "address": 1024 * layer, "crc_emit": 0, "lane": 2 * (layer % 2)})
    bench.memory.fail_write = lambda address: (address - store_bench.BASE) // 1024 == 3
    bench.run(bench.rest, background=[bench.issue])
    assert bench.errors == [(isa.Error.WRITE_RESPONSE, 3)]
    assert len(bench.tokens) <= 3


@pytest.mark.parametrize("seed", range(6))
def test_abort_of_stores_comes_to_rest_and_writes_nothing_else(seed, abort_and_rest):
    bench = StoreBench(geometry(), seed, latency=[0, 25][seed % 2], stall=[0.0, 0.6][seed // 3])
    store_bench.check_abort(bench, abort_and_rest)


def test_other_opcodes_are_refused_by_both():
    maps, stores = MapsBench(geometry(), 2), StoreBench(geometry(), 2)
    maps.codes = [encode(isa.Opcode.STORE, layer=5, planes=1, chunks=1, chunk_words=1)]
    stores.codes = [encode(isa.Opcode.LOAD_WEIGHTS, layer=5, words=1)]
    for bench in (maps, stores):
        bench.memory.quiet = True
        bench.run(bench.rest, background=[bench.issue])
        assert bench.errors == [(isa.Error.OPCODE, 5)]

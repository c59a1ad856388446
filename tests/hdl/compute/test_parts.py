"""The small parts of the compute engine, each against plain Python."""

import collections
import itertools

import numpy as np
from amaranth.lib import data
from amaranth.sim import Simulator

from intramix.hdl.compute.group_queue import GroupQueue
from intramix.hdl.compute.lane_memory import LaneMemory
from intramix.hdl.compute.pool import Maximum
from intramix.hdl.compute.walker import AddressWalker
from tests.support.compute.layers import small


def simulate(dut, testbench, *, clocked=True):
    simulator = Simulator(dut)
    if clocked:
        simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()


def test_maximum_all_pairs_of_codes():
    g = small()
    dut = Maximum(g)

    async def testbench(ctx):
        for first, word, best in itertools.product((0, 1), range(16), range(16)):
            ctx.set(dut.first, first)
            ctx.set(dut.word, [word, best, 0, 15])
            ctx.set(dut.best, [best, word, 15, 0])
            await ctx.delay(1e-9)
            expected = [word, best, 0, 15] if first else [max(word, best), max(word, best), 15, 15]
            assert [ctx.get(dut.result[slot]) for slot in range(4)] == expected

    simulate(dut, testbench, clocked=False)


def test_walker_walks_groups_plane_by_plane():
    dut = AddressWalker()
    random = np.random.default_rng(2)

    async def testbench(ctx):
        for _ in range(12):
            base, pitch = (int(value) for value in random.integers(0, 4096, 2))
            groups, planes = (int(value) for value in random.integers(1, 9, 2))
            ctx.set(dut.base, base)
            ctx.set(dut.pitch, pitch)
            for n, plane in itertools.product(range(groups), range(planes)):
                while random.random() < 0.3:
                    ctx.set(dut.take, 0)
                    await ctx.tick()
                ctx.set(dut.take, 1)
                ctx.set(dut.last_word, int(plane == planes - 1))
                ctx.set(dut.last_group, int(n == groups - 1))
                assert ctx.get(dut.address) == base + plane * pitch + n
                await ctx.tick()
                ctx.set(dut.take, 0)

    simulate(dut, testbench)


def test_group_queue_is_first_in_first_out():
    dut = GroupQueue(data.StructLayout({"number": 8}), 4)
    random = np.random.default_rng(4)
    held = collections.deque()

    async def testbench(ctx):
        fullest = 0
        for number in range(300):
            assert ctx.get(dut.waiting) == bool(held)
            if held:
                assert ctx.get(dut.head.number) == held[0]
            push = int(len(held) < 4 and random.random() < 0.6)
            pop = int(bool(held) and random.random() < 0.5)
            ctx.set(dut.push, push)
            ctx.set(dut.entry.number, number % 256)
            ctx.set(dut.pop, pop)
            await ctx.tick()
            if pop:
                held.popleft()
            if push:
                held.append(number % 256)
            fullest = max(fullest, len(held))
        assert fullest == 4

    simulate(dut, testbench)


def test_lane_memories_are_apart():
    g = small()
    dut = LaneMemory(g)
    random = np.random.default_rng(6)
    depths = {"activation": g.activation_depth, "residual": g.residual_depth, "output": g.output_depth}
    contents = {name: [0] * depth for name, depth in depths.items()}
    ports = {"activation": dut.activation_address, "residual": dut.residual_address, "output": dut.read_address}

    async def testbench(ctx):
        for _ in range(600):
            name = list(depths)[random.integers(3)]
            address, word = int(random.integers(depths[name])), int(random.integers(1 << g.word_bits))
            ctx.set(dut.maps_activation, int(name == "activation"))
            ctx.set(dut.maps_residual, int(name == "residual"))
            ctx.set(dut.write_enable, int(name == "output"))
            ctx.set(dut.maps_address, address)
            ctx.set(dut.maps_data, word)
            ctx.set(dut.write_address, address)
            ctx.set(dut.write_data, word)
            reads = {}
            for other, port in ports.items():
                reads[other] = int(random.integers(depths[other]))
                if other == name and reads[other] == address:
                    reads[other] = (address + 1) % depths[other]
                ctx.set(port, reads[other])
            await ctx.tick()
            for other, place in reads.items():
                assert ctx.get(getattr(dut, other)) == contents[other][place]
            contents[name][address] = word

    simulate(dut, testbench)

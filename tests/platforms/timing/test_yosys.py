"""A netlist that yosys makes is one that can be analysed."""

import pytest

from intramix.platforms.synthesis import write_netlist
from intramix.platforms.timing.analysis import analyse
from intramix.platforms.timing.delays import ARTIX_1
from intramix.platforms.timing.netlist import load

VERILOG = """
module half(input clk, input [7:0] a, output reg [7:0] q); always @(posedge clk) q <= q + a; endmodule
module top(input clk, input [7:0] a, output [7:0] q);
  wire [7:0] between;
  (* keep_hierarchy *) half one(.clk(clk), .a(a), .q(between));
  (* keep_hierarchy *) half two(.clk(clk), .a(between), .q(q));
endmodule
"""


@pytest.mark.slow
def test_two_adders_in_a_row(tmp_path):
    path = tmp_path / "netlist.json"
    write_netlist(VERILOG, path, top="top", family="xc7")
    found = analyse(load(path, top=None, grade=ARTIX_1), limit_ns=1.0)
    assert found.endpoints == found.over_limit == 16
    assert {block.name for block in found.blocks} == {"one", "two"}
    assert 1.5 < found.worst_ns < 4.0
    assert "CARRY4" in {step.cell for step in found.paths[0].steps}

"""The `small` accelerator stays at the timing that docs/timing.md states."""

import pytest

from intramix.hdl.accelerator import TOP, accelerator_verilog
from intramix.platforms.boards import board
from intramix.platforms.synthesis import write_netlist
from intramix.platforms.timing.analysis import analyse
from intramix.platforms.timing.delays import ARTIX_1
from intramix.platforms.timing.netlist import load

WORST_NS = 9.6
"""Of docs/timing.md's longest path, and a nanosecond, by which versions of yosys differ."""


@pytest.mark.long
def test_no_chain_of_blocks_within_a_cycle(tmp_path):
    path = tmp_path / "netlist.json"
    write_netlist(accelerator_verilog(board("small").geometry), path, top=TOP, family="xc7")
    found = analyse(load(path, top=TOP, grade=ARTIX_1), limit_ns=6.67)
    blocks = {block.name: block.worst_ns for block in found.blocks}
    print(f"{found.worst_ns} ns, {found.over_limit} of {found.endpoints} endpoints above 6.67 ns")
    assert found.worst_ns <= WORST_NS, {name: worst for name, worst in blocks.items() if worst > WORST_NS}

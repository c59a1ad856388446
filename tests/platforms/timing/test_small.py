"""The `small` accelerator stays at the timing that docs/timing.md states."""

import pytest

from intramix.hdl.accelerator import TOP, accelerator_verilog
from intramix.platforms.boards import board
from intramix.platforms.synthesis import write_netlist
from intramix.platforms.timing.analysis import analyse
from intramix.platforms.timing.delays import ARTIX_1
from intramix.platforms.timing.netlist import load
from intramix.platforms.timing.records import analysed_clock

TOLERANCE_NS = 0.6
"""By which versions of yosys differ in the same path, once paths are short."""


@pytest.mark.slow
def test_small_is_at_its_figure(tmp_path):
    target = board("small")
    path = tmp_path / "netlist.json"
    write_netlist(accelerator_verilog(target.geometry), path, top=TOP, family="xc7")
    found = analyse(load(path, top=TOP, grade=ARTIX_1), limit_ns=6.67)
    limit = analysed_clock(target.geometry, target.part).worst_ns + TOLERANCE_NS
    blocks = {block.name: block.worst_ns for block in found.blocks}
    print(f"{found.worst_ns} ns, {found.over_limit} of {found.endpoints} endpoints above 6.67 ns")
    assert found.worst_ns <= limit, {name: worst for name, worst in blocks.items() if worst > limit}

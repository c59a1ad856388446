"""The simulator of an accelerator, by geometry."""

import importlib.metadata
import json
import pathlib

from ..files import write_whole
from ..hdl import geometry as geometry_module
from ..hdl.geometry import Geometry
from .cache import cache_directory, digest, locked
from .cache_contents import mark_used
from .ports import master_ports
from .verilator import BuildNote, BuildOptions, build_library, design_characters, verilator_environment

TOP = "accelerator"
"""Name of the top module."""

_TRACE_HEADER, _TRACE_CYCLE = 0.5, 0.01
"""Bytes of a VCD file by characters of Verilog, every instance counted: of its header, and of a cycle. Measured on two
geometries of 2 pixel lanes and 8 filters: 0.46 and 0.55, 0.0078 and 0.0105."""
_HDL = pathlib.Path(geometry_module.__file__).parent


def accelerator_text(geometry: Geometry, *, progress: BuildNote | None = None) -> str:
    """The Verilog of an accelerator, from the cache where neither the geometry nor the RTL's sources changed.

    The first conversion on a machine compiles a WebAssembly Yosys, which can take 2 minutes; `progress` is told.
    """
    sources = sorted(path for suffix in ("*.py", "*.v") for path in _HDL.rglob(suffix))
    key = digest(
        [
            json.dumps(geometry.to_dict(), sort_keys=True),
            importlib.metadata.version("amaranth"),
            *(text for path in sources for text in (str(path.relative_to(_HDL)), path.read_text())),
        ]
    )
    path = cache_directory() / f"accelerator-{key}.v"
    if path.exists():
        mark_used(path)
        return path.read_text()
    with locked(f"accelerator-{key}"):
        if path.exists():
            return path.read_text()
        if progress:
            progress("elaborating the accelerator (compiling Yosys the first time can take 2 minutes)")
        from ..hdl.accelerator import accelerator_verilog

        text = accelerator_verilog(geometry)
        write_whole(path, text)
        return text


def primitives_text() -> str:
    """Simulation models of the vendor's cells that the accelerator instantiates."""
    return (_HDL / "array" / "primitives.v").read_text()


def trace_bytes(geometry: Geometry, cycles: float) -> float:
    """About the size of a VCD file of all signals in cycles in which the array works, by the size of the design."""
    return design_characters(accelerator_text(geometry), TOP) * (_TRACE_HEADER + _TRACE_CYCLE * cycles)


def accelerator_library(
    geometry: Geometry, *, options: BuildOptions | None = None, progress: BuildNote | None = None
) -> pathlib.Path:
    """The shared library of an accelerator (see `build_library`).

    Raises
    ------
    SimulationToolError: a program of the tool chain is missing or refuses.
    """
    verilator_environment()  # before the minutes that elaboration may take
    return build_library(
        accelerator_text(geometry, progress=progress),
        master_ports(geometry),
        top=TOP,
        primitives=primitives_text(),
        options=options,
        progress=progress,
    )

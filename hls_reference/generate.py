"""Writes a project that Vivado HLS, Vitis HLS or g++ can take as it is: kernels, generated headers, vectors, Tcl."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import numpy as np

from .builds import HlsBuild
from .errors import HlsError
from .headers import depth_header, layer_table_header, lut_weights_header, parameters_header
from .tables import Tables
from .vectors import write_vectors

SOURCES = Path(__file__).parent
SCRIPTS = ("csim", "csynth", "cosim", "export")
VECTORS = "vectors"


def write_project(
    folder: Path, build: HlsBuild, tables: Tables, images: Sequence[Mapping[str, np.ndarray]]
) -> list[Path]:
    """Writes the project of a network; returns its Tcl scripts. Files of an earlier project are replaced.

    Parameters
    ----------
    images: per image the codes of every tensor (`vectors.reference_codes`).

    Raises
    ------
    HlsError: `folder` holds something else, or the tables are of another build.
    """
    marker = folder / "generated" / "parameters.h"
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not marker.exists())):
        raise HlsError(f"{folder} is not empty and is no HLS project: name another folder")
    if tables.build != build:
        raise HlsError(f"the tables were made for {tables.build.name}, the project is for {build.name}")
    for name in ("include", "src", "testbench", VECTORS, "generated", "tcl"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("include", "src", "testbench"):
        shutil.copytree(SOURCES / name, folder / name)
    sizes = write_vectors(folder / VECTORS, tables, images)
    generated = folder / "generated"
    generated.mkdir()
    (generated / "layer_table.h").write_text(layer_table_header(build))
    (generated / "depth.h").write_text(depth_header(**sizes))
    (generated / "lut_weights.h").write_text(lut_weights_header())
    marker.write_text(parameters_header(build))
    scripts = []
    (folder / "tcl").mkdir()
    for name in SCRIPTS:
        path = folder / "tcl" / f"{name}.tcl"
        path.write_text(script(name, build))
        scripts.append(path)
    return scripts


def script(name: str, build: HlsBuild) -> str:
    """A Tcl script of SCRIPTS for a build's part and clock."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SOURCES / "tcl"), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template(f"{name}.tcl.j2").render(
        board=build.name, part=build.part, period=f"{1e9 / build.clock_hz:.3f}", vectors=VECTORS
    )

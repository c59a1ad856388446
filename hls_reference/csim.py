"""C simulation without the vendor's tool: g++ and the headers of `ap_int.h` and `hls_stream.h` in the hls4ml wheel."""

import dataclasses
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .errors import HlsError
from .records import status_message

UNIT_BENCHES = ("packed_multiply_tb", "lut_multiply_tb", "requantize_tb")
"""Test benches that need no vectors."""
NETWORK_BENCH = "network_tb"
COMPILE_SECONDS, RUN_SECONDS = 600, 3600


class CSimulationError(HlsError):
    """The C simulation could not be built or run; the message carries the tool's own."""


@dataclasses.dataclass(frozen=True)
class BenchRun:
    """What a test bench said.

    Members
    -------
    name: of the bench or the network.
    passed: nothing differed.
    text: what it printed; a status of `top` is spelled out.
    seconds: wall clock of the run.
    """

    name: str
    passed: bool
    text: str
    seconds: float


def header_folder() -> Path:
    """Where ap_int.h and hls_stream.h are: $INTRAMIX_AP_TYPES, or inside the hls4ml wheel, which is not imported.

    Raises
    ------
    CSimulationError: they are nowhere.
    """
    candidates = []
    if given := os.environ.get("INTRAMIX_AP_TYPES"):
        candidates.append(Path(given))
    spec = importlib.util.find_spec("hls4ml")
    if spec is not None and spec.submodule_search_locations:
        candidates += [Path(root) / "templates" / "vivado" / "ap_types" for root in spec.submodule_search_locations]
    for folder in candidates:
        if (folder / "ap_int.h").is_file():
            return folder
    raise CSimulationError(
        "ap_int.h and hls_stream.h are missing: pip install hls4ml, or name a folder that has them in INTRAMIX_AP_TYPES"
    )


def compile_benches(
    project: Path,
    names: Iterable[str] = (*UNIT_BENCHES, NETWORK_BENCH),
    *,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[str, Path]:
    """Compiles test benches of a project that `generate.write_project` wrote; executables by name, in project/csim.

    Raises
    ------
    CSimulationError: no compiler, no headers, or the compiler's complaint.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise CSimulationError("g++ is missing: apt-get install g++")
    folder = project / "csim"
    folder.mkdir(exist_ok=True)
    includes = [project / "include", project / "include" / "intramix", project / "generated", header_folder()]
    executables = {}
    for name in names:
        progress(name)
        sources = [project / "testbench" / f"{name}.cpp"]
        if name == NETWORK_BENCH:
            sources.append(project / "src" / "top.cpp")
        command = [
            compiler, "-std=c++11", "-O2", "-Wall", "-Wno-unknown-pragmas", "-Wno-unused-label",
            "-Wno-misleading-indentation",
            *(f"-I{path}" for path in includes[:3]), "-isystem", str(includes[3]),
            *map(str, sources), "-o", str(folder / name),
        ]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False)
        if run.returncode:
            raise CSimulationError(f"g++ could not compile {name}:\n{run.stderr[-4000:]}")
        executables[name] = folder / name
    return executables


def run_bench(
    executable: Path, vectors: Path | None = None, *, name: str | None = None, layers: tuple[str, ...] = (),
    layerwise: bool = False,
) -> BenchRun:
    """Runs a test bench, on a folder of vectors where it takes one.

    Parameters
    ----------
    layers: names for the message of a status.
    layerwise: `top` is called once a layer.

    Raises
    ------
    CSimulationError: it crashed or could not read its vectors.
    """
    command = [str(executable), *([str(vectors)] if vectors else []), *(["layerwise"] if layerwise else [])]
    name = name or executable.name
    started = time.monotonic()
    run = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    seconds = time.monotonic() - started
    text = run.stdout.strip()
    if run.returncode == 2 and text.startswith("status "):
        text = status_message(int(text.split()[1]), layers)
    elif run.returncode not in (0, 1):
        complaint = (run.stderr or text).strip()[-2000:]
        raise CSimulationError(f"C simulation of {name} ended with {run.returncode}: {complaint}")
    return BenchRun(name, run.returncode == 0, text, seconds)

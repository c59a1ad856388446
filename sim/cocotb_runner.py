"""Builds an accelerator for cocotb under Verilator, once per contents, and runs cocotb's tests on it."""

import importlib.metadata
import json
import logging
import os
import pathlib
import shutil
from collections.abc import Mapping
from unittest import mock

import cocotb_tools.config
from cocotb_tools.runner import get_results, get_runner

from ..files import write_whole
from ..hdl.geometry import Geometry
from .accelerator import accelerator_text, primitives_text
from .cache import cache_directory, digest, locked
from .cache_contents import mark_used, trim
from .errors import SimulationError, SimulatorBuildError
from .verilator import verilator_environment, waivers
from .wrapper import WRAPPER, wrapper_text

GEOMETRY_VARIABLE = "INTRAMIX_GEOMETRY"
"""Environment variable that tells a testbench the geometry (JSON)."""

_BUILD_ARGUMENTS = ["--x-assign", "fast", "--x-initial", "fast", "--no-timing", "-Wno-fatal", "-O3"]
_TAIL_LINES = 15
_MAKE_FLAGS = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1 OPT_SLOW=-O0"


def run_cocotb(
    geometry: Geometry,
    module: str,
    *,
    directory: pathlib.Path,
    environment: Mapping[str, str] | None = None,
    testcase: str | None = None,
) -> int:
    """Runs a module of cocotb tests on an accelerator: the number of tests, all of which passed.

    Parameters
    ----------
    module: name of the Python module, which must be importable.
    directory: where results and logs go.
    environment: further variables for the tests.

    Raises
    ------
    MissingToolError: a program of the tool chain is not installed.
    SimulatorBuildError: Verilator or the compiler refuses.
    SimulationError: a test failed, or none ran; it names the file of results or the log.
    """
    files = {
        "top.v": accelerator_text(geometry),
        "primitives.v": primitives_text(),
        "wrapper.v": wrapper_text(geometry),
    }
    arguments = [*_BUILD_ARGUMENTS, *waivers()]
    tools = {"PATH": verilator_environment()["PATH"], "MAKEFLAGS": _MAKE_FLAGS}
    # The makefiles name files of cocotb's and of Verilator's installation, so a build belongs to these installations.
    verilator = shutil.which("verilator", path=tools["PATH"])
    installed = [str(cocotb_tools.config.libs_dir), importlib.metadata.version("cocotb"), str(verilator)]
    key = digest([*files.values(), *arguments, _MAKE_FLAGS, *installed])
    build = cache_directory() / f"cocotb-{key}"
    runner = get_runner("verilator")
    runner.log.setLevel(logging.WARNING)
    with mock.patch.dict(os.environ, tools), locked(f"cocotb-{key}"):
        build.mkdir(exist_ok=True)
        mark_used(build)
        for name, text in files.items():
            if not (build / name).exists():
                write_whole(build / name, text)
        try:
            runner.build(
                sources=[build / name for name in files], hdl_toplevel=WRAPPER, build_args=arguments, build_dir=build,
                timescale=("1ns", "1ps"), log_file=build / "build.log",
            )
        except RuntimeError as error:  # all that the runner says is the exit status
            raise SimulatorBuildError(f"{error}: see {build / 'build.log'}\n{_tail(build / 'build.log')}") from error
    trim()
    log = directory / "cocotb.log"
    try:
        results = runner.test(
            test_module=module, hdl_toplevel=WRAPPER, build_dir=build, test_dir=directory, testcase=testcase,
            results_xml=str(directory / "results.xml"), log_file=log,
            extra_env={
                GEOMETRY_VARIABLE: json.dumps(geometry.to_dict()), "COCOTB_LOG_LEVEL": "WARNING", **(environment or {})
            },
        )
    except SystemExit as error:  # how the runner says that the simulator ended without results
        raise SimulationError(f"cocotb ended without results: see {log}\n{_tail(log)}") from error
    tests, failures = get_results(results)
    if failures or not tests:
        raise SimulationError(f"{failures} of {tests} cocotb tests failed: see {results}")
    return tests


def _tail(log: pathlib.Path) -> str:
    return "\n".join(log.read_text().splitlines()[-_TAIL_LINES:]) if log.exists() else ""

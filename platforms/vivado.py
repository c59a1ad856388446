"""Runs Vivado on a prepared project, here or on another machine."""

import os
import shutil
import subprocess
from pathlib import Path

from .errors import ToolError
from .project import NAME, Project, finish
from .remote import Remote

SETTINGS = "AMARANTH_ENV_VIVADO"
"""Environment variable that names Vivado's settings64.sh, on the machine where it runs; the script sources it."""
SCRIPT = f"""#!/bin/sh
set -e
if [ -z "$BASH" ]; then exec /bin/bash "$0" "$@"; fi
[ -n "${SETTINGS}" ] && . "${SETTINGS}"
: ${{VIVADO:=vivado}}
cd "$(dirname "$0")"
"$VIVADO" -mode batch -log {NAME}.log -nojournal -source {NAME}.tcl
"""
"""Makes the bitstream of a project, from whichever folder it is called (settings64.sh of Vivado wants bash)."""
_LOG_LINES = 25
_RESULTS = (*(f"{NAME}.{suffix}" for suffix in ("bit", "bin", "hwh", "xsa", "log")), f"{NAME}_*.rpt")
_NOT_FOUND = 127


def run(project: Project, remote: Remote | None = None) -> Path:
    """Makes the bitstream, then the .bin and, where `dtc` is installed, the .dtbo; returns the .bit.

    Parameters
    ----------
    remote: the machine that has Vivado; None: this one.

    Raises
    ------
    ToolError: Vivado is missing or failed, or the machine is not reached; the end of Vivado's log is in the message.
    """
    if remote is None and shutil.which("vivado") is None and SETTINGS not in os.environ:
        raise ToolError(
            f"vivado is not on the PATH. The project is complete in {project.folder}; to make {project.bit.name} "
            f"of it, source Vivado's settings64.sh, or name that file in {SETTINGS}, and run again; or use "
            f"--ssh USER@HOST; or run sh {project.script.name} in that folder on a machine that has Vivado"
        )
    log, output = project.folder / f"{NAME}.log", project.folder / "script.log"
    earlier = [project.folder / name for name in (f"{NAME}.xsa", f"{NAME}_nextpnr.log")]
    for stale in (project.bit, log, output, *earlier, *project.folder.glob(f"{NAME}_*.rpt")):
        stale.unlink(missing_ok=True)
    if remote is None:
        with output.open("w") as stream:
            code = subprocess.run(
                ["sh", project.script.name], cwd=project.folder, stdout=stream, stderr=subprocess.STDOUT, check=False
            ).returncode
    else:
        environment = {SETTINGS: os.environ[SETTINGS]} if SETTINGS in os.environ else {}
        code = remote.run(project, results=_RESULTS, environment=environment)
    if code == _NOT_FOUND:
        where = "here" if remote is None else f"on {remote.host}"
        raise ToolError(
            f"vivado is not found {where}: name its settings64.sh, as it is {where}, in {SETTINGS}; the script said:\n"
            f"{_tail(output)}"
        )
    if code or not project.bit.exists():
        shown = log if log.exists() else output
        raise ToolError(f"vivado failed (exit code {code}); the end of {shown}:\n{_tail(shown)}")
    finish(project.bit)
    return project.bit


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-_LOG_LINES:])

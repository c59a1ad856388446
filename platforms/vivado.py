"""Runs Vivado on a prepared project."""

import os
import shutil
import subprocess
from pathlib import Path

from .errors import ToolError
from .project import NAME, Project, finish

_LOG_LINES = 25
SETTINGS = "AMARANTH_ENV_VIVADO"
"""Environment variable that names Vivado's settings64.sh; the project's script sources it."""


def run(project: Project) -> Path:
    """Makes the bitstream, then the .bin and, where `dtc` is installed, the .dtbo; returns the .bit.

    Raises
    ------
    ToolError: Vivado is missing or failed; the end of its log is in the message.
    """
    if shutil.which("vivado") is None and SETTINGS not in os.environ:
        raise ToolError(
            f"vivado is not on the PATH. The project is complete in {project.folder}; to make {project.bit.name} "
            f"of it, source Vivado's settings64.sh, or name that file in {SETTINGS}, and run again; or run "
            f"sh {project.script.name} in that folder on a machine that has Vivado"
        )
    log = project.folder / f"{NAME}.log"
    for stale in (project.bit, log):
        stale.unlink(missing_ok=True)
    outcome = subprocess.run(
        ["sh", project.script.name], cwd=project.folder, capture_output=True, text=True, check=False
    )
    if outcome.returncode or not project.bit.exists():
        text = log.read_text(errors="replace") if log.exists() else outcome.stdout + outcome.stderr
        tail = "\n".join(text.splitlines()[-_LOG_LINES:])
        raise ToolError(f"vivado failed (exit code {outcome.returncode}); the end of {log}:\n{tail}")
    finish(project.bit)
    return project.bit

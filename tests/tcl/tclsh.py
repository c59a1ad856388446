"""Runs a tool's Tcl script under plain tclsh, with the stubs of this folder that check and record what it asks for."""

import os
import pathlib
import shutil
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).parent
needs_tclsh = pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is missing: apt-get install tcl")


def run(stubs, script, *, failing="", **variables):
    """The outcome of a script run in its own folder; `variables` go into the environment, which stubs read."""
    return subprocess.run(
        ["tclsh", str(FOLDER / "run.tcl"), stubs, str(script)],
        env={**os.environ, "FAILING": failing, **variables},
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def calls(outcome):
    """The commands that a script ran, in order, each as one line."""
    return [line.removeprefix("RECORD ") for line in outcome.stdout.splitlines() if line.startswith("RECORD ")]

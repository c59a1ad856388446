"""Tools that are not here, as shell scripts on the PATH."""

import os


def fake_tool(folder, name, script):
    """Writes a tool; the folder goes onto the PATH by `on_path`."""
    folder.mkdir(exist_ok=True)
    tool = folder / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    return tool


def on_path(folder, monkeypatch):
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

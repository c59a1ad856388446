"""A bitstream's project: a folder with all that a tool needs, and what the finished bitstream gets beside it."""

import dataclasses
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ..hdl.geometry import Geometry
from .bitstream import parse_bit
from .boards import Board
from .errors import BitstreamError, ToolError

NAME = "intramix"
"""Of every file of the bitstream, and of the script that makes it."""


@dataclasses.dataclass(frozen=True)
class Project:
    """A prepared project.

    Members
    -------
    folder: holds the sources and `build_intramix.sh`; results come there.
    clock_hz: that the processing system gives.
    sources: names of the files that the script needs, itself among them.
    """

    folder: Path
    board: Board
    geometry: Geometry
    clock_hz: float
    sources: tuple[str, ...]

    @property
    def script(self) -> Path:
        """What makes the bitstream."""
        return self.folder / f"build_{NAME}.sh"

    @property
    def bit(self) -> Path:
        """The bitstream, once it is made."""
        return self.folder / f"{NAME}.bit"


def claim(folder: Path) -> None:
    """Makes a project's folder; an older project in it is replaced file by file, its results stay.

    Raises
    ------
    BitstreamError: the folder holds something else.
    """
    marker = folder / f"build_{NAME}.sh"
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not marker.exists())):
        raise BitstreamError(f"{folder} is not empty and is no project of a bitstream: name another folder")
    folder.mkdir(parents=True, exist_ok=True)


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Writes files; one that is there with the same content keeps its time, so that nothing is made again of it."""
    for name, text in files.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def finish(bit: Path) -> None:
    """Writes the .bin beside a .bit, and compiles the device-tree overlay beside it if both it and `dtc` are there.

    Raises
    ------
    BitstreamError: the .bit is no bitstream. ToolError: dtc failed.
    """
    bit.with_suffix(".bin").write_bytes(parse_bit(bit.read_bytes()).to_bin())
    source = bit.with_suffix(".dts")
    if source.exists() and shutil.which("dtc"):
        command = ["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", str(bit.with_suffix(".dtbo")), str(source)]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        if outcome.returncode:
            raise ToolError(f"dtc failed on {source}:\n{outcome.stderr}")

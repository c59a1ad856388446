"""Runs a project's script on another machine, through the system's `ssh`.

The system's own, so that ~/.ssh/config, agents, keys and jump hosts work as everywhere else; files travel as a tar
archive through it. The remote machine needs `sh` and `tar`.
"""

import hashlib
import io
import re
import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path

from .errors import BitstreamError, ToolError
from .project import Project

_HOST = re.compile(r"[A-Za-z0-9_][\w.@:%+\[\]-]*")
_CONNECTION_FAILED = 255
_ROOT = "intramix-builds"
"""Of all remote folders, in the home of the remote user."""


class Remote:
    """A machine that builds.

    Parameters
    ----------
    host: as `ssh` takes it: HOST, USER@HOST or a name of ~/.ssh/config.

    Raises
    ------
    BitstreamError: `host` is no such name. ToolError: there is no ssh here.
    """

    def __init__(self, host: str) -> None:
        if not _HOST.fullmatch(host):
            raise BitstreamError(f"{host!r} is no host for ssh: USER@HOST, HOST or a name of ~/.ssh/config")
        if shutil.which("ssh") is None:
            raise ToolError("ssh is not on the PATH: apt-get install openssh-client")
        self.host = host

    def run(
        self, project: Project, *, results: tuple[str, ...], kept: tuple[str, ...] = (), environment: dict[str, str]
    ) -> int:
        """Copies a project's sources there, runs its script, copies the results back; returns the script's exit code.

        Parameters
        ----------
        results: patterns of files that come back, whatever the exit code; earlier ones are removed first.
        kept: patterns of files that come back too, from an earlier time if this one does not make them.
        environment: variables for the script.

        Raises
        ------
        ToolError: the machine is not reached, or it cannot unpack or pack files; what ssh said is in the message.
        """
        place = f"{_ROOT}/{_digest(project.folder.resolve())}"
        self._ssh(
            f"mkdir -p {place} && cd {place} && rm -f {' '.join(results)} && tar -xzf -",
            "copy the project",
            _pack([project.folder / name for name in project.sources]),
        )
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        profile = "if [ -f ~/.profile ]; then . ~/.profile; fi"
        # Some shells' profiles print: what the script prints goes into a file, and its exit code too.
        command = f"env {variables} sh {project.script.name} >script.log 2>&1; echo $? >code"
        self._ssh(f"{profile}; cd {place} && {{ {command}; }}", "run the project")
        command = f"cd {place} && tar -czf - code script.log $(ls {' '.join(results + kept)} 2>/dev/null)"
        return _unpack(self._ssh(command, "copy results back"), project.folder)

    def _ssh(self, command: str, purpose: str, data: bytes = b"") -> bytes:
        """Runs a command there with `data` as its input; returns its output."""
        outcome = subprocess.run(
            ["ssh", "-o", "BatchMode=yes", "--", self.host, command], input=data, capture_output=True, check=False
        )
        if outcome.returncode:
            said = outcome.stderr.decode(errors="replace").strip() or "nothing"
            if outcome.returncode == _CONNECTION_FAILED:
                raise ToolError(
                    f"{self.host} is not reached by ssh without a password typed (try: ssh {self.host} true); "
                    f"ssh said: {said}"
                )
            raise ToolError(f"{self.host} cannot {purpose} (exit code {outcome.returncode}); it said: {said}")
        return outcome.stdout


def _digest(folder: Path) -> str:
    """A remote folder's name for a local one: legible, and another for another folder."""
    legible = re.sub(r"[^A-Za-z0-9_.-]", "_", folder.name).lstrip("-.") or "project"
    return f"{legible}-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


def _pack(files: list[Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in files:
            archive.add(path, arcname=path.name)
    return buffer.getvalue()


def _unpack(content: bytes, folder: Path) -> int:
    """Extracts files into a folder, and returns the exit code that one of them holds."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            archive.extractall(folder, filter="data")
        code = int((folder / "code").read_text())
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise ToolError(f"what came back by ssh is no whole archive of results ({error})") from error
    (folder / "code").unlink()
    return code

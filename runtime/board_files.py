"""Which files of Intramix a board installs: whole folders, less the files that need what a board does not have."""

import pathlib
from collections.abc import Mapping

PACKAGE = "intramix"
FOLDERS: Mapping[str, str | tuple[str, ...]] = {
    "intramix": ("__init__.py", "files.py", "image_file.py", "loading.py", "program.py"),
    "hdl": ("__init__.py", "geometry.py", "instructions.py", "isa.py", "lane_classes.py", "registers.py"),
    "compiler": ("__init__.py",),
    "compiler/program": "*.py",
    "runtime": "*.py",
    "runtime/figures": "*.py",
    "cli": "*.py",
    "cli/commands": ("__init__.py", "run.py", "selftest.py", "profile.py"),
    "cli/shared": (
        "__init__.py", "console.py", "device.py", "errors.py", "labels.py", "output.py", "schemes.py", "tables.py",
    ),
}
"""All Python files of a folder, or those that are named: of the generator the encodings, of the commands those that run
on a board."""
ELSEWHERE = (
    "runtime/board_files.py",
    "runtime/inspection.py",
    "runtime/interpreted.py",
    "runtime/pynq_simulated.py",
    "runtime/simulated.py",
    "runtime/verification.py",
    "runtime/waves.py",
    "runtime/wheel.py",
)
"""Files of whole folders that are not for a board: they need the simulator, the interpreter, the integer model
or the source tree."""
_ROOT = pathlib.Path(__file__).parents[1]


def board_files() -> dict[str, pathlib.Path]:
    """Files by module name."""
    paths = [path for folder, which in FOLDERS.items() for path in _paths(folder, which)]
    paths = [path for path in paths if path.relative_to(_ROOT).as_posix() not in ELSEWHERE]
    return dict(sorted((module_name(path), path) for path in paths))


def module_name(path: pathlib.Path) -> str:
    """The name by which a file of the source tree is imported."""
    parts = path.relative_to(_ROOT).with_suffix("").parts
    parts = parts if parts[0] == PACKAGE else (PACKAGE, *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _paths(folder: str, which: str | tuple[str, ...]) -> list[pathlib.Path]:
    place = _ROOT / folder
    return sorted(place.glob(which)) if isinstance(which, str) else [place / name for name in which]

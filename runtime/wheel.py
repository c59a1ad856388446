"""The wheel that a board installs, `intramix-runtime`: the files of `board_files` and nothing else.

    python -m intramix.runtime.wheel [-o dist]       (make runtime-wheel)
"""

import argparse
import importlib.metadata
import pathlib
import shutil
import subprocess
import sys
import tempfile

from .board_files import PACKAGE, board_files

NAME = "intramix-runtime"
PYTHON = "3.10"
"""The oldest Python it runs on: that of PYNQ 3.0's images."""
_PROJECT = f"""\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "{NAME}"
version = "VERSION"
description = "Host driver of Intramix accelerators, for boards"
license = {{ text = "Apache-2.0" }}
requires-python = ">={PYTHON}"
dependencies = [
    "numpy>=1.21",
    "click>=8.0",
    "rich>=12",
]

[project.scripts]
intramix = "intramix.cli.main:main"

[tool.setuptools.packages.find]
include = ["intramix*"]
namespaces = false
"""


def write_tree(folder: pathlib.Path) -> None:
    """Writes the wheel's sources: a project file, and the package."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(_PROJECT.replace("VERSION", importlib.metadata.version(PACKAGE)))
    for name, path in board_files().items():
        target = folder / pathlib.Path(*name.split("."))
        target = target / "__init__.py" if path.name == "__init__.py" else target.with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def build(output: pathlib.Path) -> pathlib.Path:
    """Builds the wheel into a folder; its path.

    Raises
    ------
    RuntimeError: pip cannot build it; the message is pip's.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source = pathlib.Path(temporary)
        write_tree(source)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--wheel-dir", str(output), str(source)]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"pip cannot build the wheel: {run.stderr.strip()}")
    return next(output.glob(f"{NAME.replace('-', '_')}-*.whl"))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("dist"), metavar="DIR")
    wheel = build(parser.parse_args().output)
    print(f"wrote {wheel}, {wheel.stat().st_size:,} bytes; on the board: pip install {wheel.name}")


if __name__ == "__main__":
    main()

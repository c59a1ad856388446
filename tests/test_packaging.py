"""What a person installs is what lies in the tree."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_every_package_is_listed():
    found = set()
    for package, folder in SETUPTOOLS["package-dir"].items():
        for init in (ROOT / folder).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT / folder).parts
            found.add(".".join((package, *parts)))
    assert sorted(SETUPTOOLS["packages"]) == sorted(found)


def test_every_top_package_is_typed():
    assert all((ROOT / folder / "py.typed").exists() for folder in SETUPTOOLS["package-dir"].values())


def test_every_folder_is_type_checked():
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("FOLDERS :="))
    assert sorted(line.split()[2:]) == sorted(SETUPTOOLS["package-dir"].values())


def test_every_dependency_says_why():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    start = lines.index("dependencies = [")
    entries = lines[start + 1 : lines.index("]", start)]
    assert entries
    assert all("# " in entry for entry in entries)

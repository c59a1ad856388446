"""No import runs up: every room imports only rooms below it, and no files import each other in a circle.

Rooms are the top-level folders, and the folders and files inside of compiler/, quant/ and cli/. Every import counts,
those inside functions and for type checkers too: what a file names, it depends on.
"""

import ast
import importlib.util
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = "intramix"
FOLDERS = sorted({"benchmarks", *(path.parent.name for path in ROOT.glob("*/__init__.py"))} - {"tests"})

# From below. What stands in one line does not import each other.
ORDERS = {
    "": (
        ("files", "svg", "image_file"),
        ("hdl", "quant"),
        ("compiler",),
        ("explore",),
        ("platforms",),
        ("sim",),
        ("runtime",),
        ("hls_reference",),
        ("lanes", "memory", "estimate"),
        ("target", "program", "cost"),
        ("simulation",),
        ("model",),
        ("loading",),
        ("cli", "benchmarks"),
    ),
    "quant": (
        ("graph", "data", "models"),
        ("frontend",),
        ("network",),
        ("training",),
        ("assignment", "reconstruction"),
        ("plan",),
        ("targeting",),
        ("quantize",),
    ),
    "compiler": (
        ("errors", "program", "span"),
        ("lower", "interpreter"),
        ("place", "explain"),
        ("plan",),
        ("emit",),
        ("compile", "selftest"),
    ),
    "cli": (("figures",), ("shared",), ("report",), ("commands",), ("main",)),
}
NOT_IN_HDL = ("torch", "amaranth_boards", "onnx", "click")
"""Packages that the hardware's description is free of."""


class Import(NamedTuple):
    """An import of `target` in line `line` of a module, both by their full names."""

    module: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}, imports {self.target}"


def module_files(root: pathlib.Path = ROOT) -> dict[str, pathlib.Path]:
    """Every file of the folders by the name that it is imported by."""
    files = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            parts = parts[1:] if parts[0] == PACKAGE else parts
            files[".".join((PACKAGE, *parts))] = path
    return files


def imports(files: dict[str, pathlib.Path]) -> Iterator[Import]:
    """Every import statement's targets: files where they are among `files`, else packages of others."""
    for module, path in files.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (Import(module, _known(alias.name, files), node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
                for alias in node.names:
                    inner = f"{base}.{alias.name}"
                    yield Import(module, inner if inner in files else _known(base, files), node.lineno)


def _known(name: str, files: dict[str, pathlib.Path]) -> str:
    """`benchmarks` has no package name of its own."""
    return f"{PACKAGE}.{name}" if f"{PACKAGE}.{name}" in files else name


def room(module: str, within: str) -> str | None:
    """The room of a module inside a folder ("": among the folders); None if it is elsewhere, or the folder itself."""
    prefix = f"{PACKAGE}.{within}." if within else f"{PACKAGE}."
    return module.removeprefix(prefix).partition(".")[0] if module.startswith(prefix) else None


def climbs(within: str, found: list[Import]) -> list[str]:
    """The imports between rooms of a folder that do not lead down."""
    level = {name: number for number, names in enumerate(ORDERS[within]) for name in names}
    wrong = []
    for entry in found:
        source, target = room(entry.module, within), room(entry.target, within)
        if source != target and source in level and target in level and level[target] >= level[source]:
            wrong.append(str(entry))
    return wrong


def circles(found: list[Import]) -> list[list[str]]:
    """Files that import each other, directly or by way of others: the strongly connected components (Tarjan, 1972)."""
    targets: dict[str, list[str]] = {}
    for entry in found:
        if entry.target != entry.module and entry.target.startswith(PACKAGE):
            targets.setdefault(entry.module, []).append(entry.target)
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: list[str] = []
    result = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        waiting.append(name)
        for target in targets.get(name, ()):
            if target not in number:
                visit(target)
                lowest[name] = min(lowest[name], lowest[target])
            elif target in waiting:
                lowest[name] = min(lowest[name], number[target])
        if lowest[name] == number[name]:
            component = waiting[waiting.index(name) :]
            del waiting[waiting.index(name) :]
            if len(component) > 1:
                result.append(sorted(component))

    for name in list(targets):
        if name not in number:
            visit(name)
    return result


@pytest.fixture(scope="module")
def files() -> dict[str, pathlib.Path]:
    return module_files()


@pytest.fixture(scope="module")
def found(files: dict[str, pathlib.Path]) -> list[Import]:
    return list(imports(files))


@pytest.mark.parametrize("within", ORDERS)
def test_every_room_has_its_place(files: dict[str, pathlib.Path], within: str) -> None:
    rooms = {room(module, within) for module in files} - {None}
    assert rooms == {name for names in ORDERS[within] for name in names}


@pytest.mark.parametrize("within", ORDERS)
def test_no_import_runs_up(found: list[Import], within: str) -> None:
    assert climbs(within, found) == []


def test_no_files_import_each_other_in_a_circle(found: list[Import]) -> None:
    assert circles(found) == []


def test_the_hardware_knows_neither_networks_nor_boards(found: list[Import]) -> None:
    wrong = [
        str(entry)
        for entry in found
        if room(entry.module, "") == "hdl" and (entry.target.partition(".")[0] in NOT_IN_HDL)
    ]
    assert wrong == []


def test_a_climb_and_a_circle_are_found() -> None:
    """The checks above can fail."""
    up = Import("intramix.quant.frontend.fold", "intramix.quant.network.model", 3)
    down = Import("intramix.quant.network.model", "intramix.quant.frontend.fold", 4)
    beside = Import("intramix.hdl.isa", "intramix.quant.graph.graph", 5)
    assert climbs("quant", [up, down]) == [str(up)]
    assert climbs("", [up, down, beside]) == [str(beside)]
    assert circles([up, down, beside]) == [["intramix.quant.frontend.fold", "intramix.quant.network.model"]]
    assert circles([up, beside]) == []

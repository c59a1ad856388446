"""Which files of Intramix a board needs: what the modules that run there import, and nothing else."""

import ast
import importlib.util
import pathlib
from collections.abc import Iterable, Iterator

PACKAGE = "intramix"
ROOTS = (
    "intramix.runtime.driver",
    "intramix.runtime.selftest",
    "intramix.runtime.figures",
    "intramix.runtime.pynq",
    "intramix.compiler.program.fileformat",
    "intramix.cli.main",
    "intramix.cli.commands.run",
    "intramix.cli.commands.selftest",
    "intramix.cli.commands.profile",
)
"""What runs on a board, the commands among it."""
_FOLDERS = pathlib.Path(__file__).parents[1]


def closure(roots: Iterable[str] = ROOTS) -> dict[str, pathlib.Path]:
    """Files by module name: the roots, and all of Intramix that is imported when they are.

    An import inside a function is not followed: that is how a module reaches what a board does not have.
    """
    found: dict[str, pathlib.Path] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _file(name)
        if path is None:
            raise ModuleNotFoundError(f"there is no module {name}")
        found[name] = path
        package = name.rpartition(".")[0]
        if package != PACKAGE:
            waiting.append(package)
        waiting += [module for module, _ in imports(found[name], name) if module.startswith(f"{PACKAGE}.")]
    return dict(sorted(found.items()))


def outside(files: dict[str, pathlib.Path]) -> set[str]:
    """Top-level packages, other than Intramix, that these files import at once."""
    names = {module.partition(".")[0] for name, path in files.items() for module, _ in imports(path, name)}
    return names - {PACKAGE}


def imports(path: pathlib.Path, name: str) -> Iterator[tuple[str, int]]:
    """Absolute names of the modules that a file imports when it is imported, with their lines."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in _statements(ast.parse(path.read_text()).body):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield base, node.lineno
            for alias in node.names:  # from ..hdl import isa
                if _file(f"{base}.{alias.name}"):
                    yield f"{base}.{alias.name}", node.lineno


def _file(name: str) -> pathlib.Path | None:
    package, *parts = name.split(".")
    if package != PACKAGE:
        return None
    place = _FOLDERS.joinpath(*parts)
    candidates = (place / "__init__.py", place.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run at import, those under `if TYPE_CHECKING:` left out."""
    for node in body:
        if isinstance(node, ast.If):
            if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
                yield from _statements([*node.body, *node.orelse])
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            yield from _statements(node.body)
        else:
            yield node

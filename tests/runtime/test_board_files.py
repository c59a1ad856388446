"""What a board installs: neither torch nor amaranth, Python 3.10, and the commands that work there."""

import ast
import importlib.util
import pathlib
import subprocess
import sys

import pytest

from intramix.cli.main import LazyGroup
from intramix.runtime.board_files import ELSEWHERE, PACKAGE, board_files, module_name
from intramix.runtime.wheel import PYTHON, write_tree

BLOCKER = """
import importlib.abc, sys
allowed = set(sys.stdlib_module_names) | {"numpy", "click", "rich", "pygments", "markdown_it", "mdurl"}
files = set(%r)

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top == "intramix" and name != "intramix" and name not in files:
            raise ImportError(f"{name} is not on the board")
        if top != "intramix" and top not in allowed:
            raise ImportError(f"{name} is not on the board")
        return None

sys.meta_path.insert(0, Blocker())
"""


def python(code, **options):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **options)


def imports(path):
    """Modules that a file imports when it is imported; not those inside functions, nor for type checkers."""
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in statements(ast.parse(path.read_text()).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield importlib.util.resolve_name("." * node.level + (node.module or ""), package)


def statements(body):
    for node in body:
        if isinstance(node, ast.If):
            if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
                yield from statements([*node.body, *node.orelse])
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            yield from statements(node.body)
        else:
            yield node


def foreign(path):
    """What a file imports that a board does not have."""
    files, known = board_files(), set(sys.stdlib_module_names) | {"click", "numpy", "rich"}
    return [name for name in imports(path)
            if (name not in files if name.startswith(PACKAGE) else name.partition(".")[0] not in known)]  # fmt: skip


def test_files_import_nothing_else():
    assert {name: foreign(path) for name, path in board_files().items() if foreign(path)} == {}


def test_no_file_is_left_out_without_need():
    """What a whole folder leaves out needs something that a board lacks, or the source tree."""
    root = pathlib.Path(__file__).parents[2]
    needless = [path for path in ELSEWHERE if not foreign(root / path)]
    assert needless == ["runtime/board_files.py"]


def test_imports_where_there_is_nothing_else():
    """In a process that cannot import anything else: every file."""
    code = BLOCKER % list(board_files()) + "import importlib\n" + "\n".join(
        f"importlib.import_module({name!r})" for name in board_files()
    ) + "\nassert not {'torch', 'amaranth', 'scipy', 'matplotlib'} & set(sys.modules)"
    run = python(code)
    assert run.returncode == 0, run.stderr


def test_blocker_blocks():
    for module in ("torch", "amaranth", "intramix.quant"):
        run = python(BLOCKER % list(board_files()) + f"import {module}")
        assert f"ImportError: {module} is not on the board" in run.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    write_tree(folder)
    return folder


def command(tree, *arguments):
    """The command from the wheel's own files: the path comes before the installed package's finder."""
    code = (
        f"import sys; sys.path.insert(0, {str(tree)!r})\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        f"sys.argv = ['intramix', *{[str(each) for each in arguments]!r}]\n"
        "from intramix.cli.main import main; main()"
    )
    return python(code, cwd=tree)


def test_front_door_of_the_board(tree):
    """A program is loaded and listed there; a model is refused in words."""
    code = (
        f"import sys; sys.path.insert(0, {str(tree)!r})\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        "import intramix; assert callable(intramix.load) and intramix.CompiledProgram and intramix.PynqDevice\n"
        "intramix.quantize"
    )
    run = python(code, cwd=tree)
    assert "ImportError: intramix.quantize needs the whole of Intramix" in run.stderr


def test_commands_of_the_board(tree):
    run = command(tree, "--help")
    assert run.returncode == 0, run.stderr
    listed = run.stdout.partition("Commands:")[2]
    assert [name for name in LazyGroup.COMMANDS if f"\n  {name} " in listed] == ["run", "selftest", "profile"]
    for name in ("run", "selftest", "profile"):
        assert command(tree, name, "--help").returncode == 0


def test_what_a_board_cannot_do_is_said(tree, tmp_path):
    from intramix.compiler.compile import compile_graph
    from intramix.compiler.program.fileformat import save
    from intramix.hdl.geometry import Geometry
    from intramix.quant.graph.random_graph import random_graph

    geometry = Geometry(word_channels=8, pixel_lanes=2, fixed8_lanes=2, fixed4_lanes=4, lut_lanes=2)
    save(compile_graph(random_graph(3, size=(8, 7), blocks=1), geometry), tmp_path / "net.imp")
    run = command(tree, "selftest", tmp_path / "net.imp")
    assert "simulation needs the whole of Intramix" in run.stderr, run.stderr
    run = command(tree, "run", tmp_path / "net.imp", "--data", "digits")
    assert "data sets by name need the whole of Intramix" in run.stderr
    run = command(tree, "selftest", tmp_path / "net.imp", "--device", "pynq")
    assert "the package pynq cannot be imported" in run.stderr
    assert "Traceback" not in run.stderr


def test_runs_on_the_python_of_pynq_images():
    """By its syntax and by the standard library's functions that it uses."""
    files = [str(path) for path in board_files().values()]
    vermin = pathlib.Path(sys.executable).parent / "vermin"
    command = [vermin, f"-t={PYTHON}-", "--no-tips", "--violations", *files]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout

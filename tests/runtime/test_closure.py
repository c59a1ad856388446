"""What a board installs: neither torch nor amaranth, Python 3.10, and the commands that work there."""

import pathlib
import subprocess
import sys

import pytest

from intramix.cli.main import LazyGroup
from intramix.runtime.closure import ROOTS, closure, outside
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


def test_nothing_heavy_is_imported():
    files = closure()
    assert outside(files) - set(sys.stdlib_module_names) == {"click", "numpy", "rich"}
    assert not any(name.split(".")[1] in ("quant", "sim", "platforms", "explore") for name in files)


def test_imports_where_there_is_nothing_else():
    """In a process that cannot import anything else: every root, and a program that was compiled elsewhere."""
    code = BLOCKER % list(closure()) + "import importlib\n" + "\n".join(
        f"importlib.import_module({root!r})" for root in ROOTS
    ) + "\nassert not {'torch', 'amaranth', 'scipy', 'matplotlib'} & set(sys.modules)"
    run = python(code)
    assert run.returncode == 0, run.stderr


def test_blocker_blocks():
    for module in ("torch", "amaranth", "intramix.quant"):
        run = python(BLOCKER % list(closure()) + f"import {module}")
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
    files = [str(path) for path in closure().values()]
    vermin = pathlib.Path(sys.executable).parent / "vermin"
    command = [vermin, f"-t={PYTHON}-", "--no-tips", "--violations", *files]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout

"""The site: what becomes of links that leave docs/, and which pages it has."""

import importlib.util
import re
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hook():
    spec = importlib.util.spec_from_file_location("outside", ROOT / "docs" / ".site" / "outside.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(name):
    return types.SimpleNamespace(file=types.SimpleNamespace(src_uri=name))


@pytest.mark.parametrize(("name", "text", "shown"), [
    ("index.md", "[CONTRIBUTING.md](../CONTRIBUTING.md)", "`CONTRIBUTING.md`"),
    ("running.md", "[the notebook](../examples/a.ipynb#x)", "the notebook (`examples/a.ipynb`)"),
    ("decisions/0001.md", "[numbers](../numbers.md#codes)", "[numbers](../numbers.md#codes)"),
    ("decisions/0001.md", "[`a.py`](../../hdl/a.py)", "`hdl/a.py`"),
    ("index.md", "[figures](figures.md)", "[figures](figures.md)"),
])  # fmt: skip
def test_links_that_leave_the_pages(hook, name, text, shown):
    assert hook.on_page_markdown(text, page=page(name)) == shown


def test_every_page_is_in_the_navigation_and_in_the_index():
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    named = re.findall(r"^ +- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(pages)
    index = (ROOT / "docs" / "index.md").read_text()
    assert [name for name in sorted(pages) if "/" not in name and name != "index.md" and f"({name})" not in index] == []

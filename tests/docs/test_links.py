"""Documents name files that exist: relative links, and paths in backticks that look like files of the project."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = frozenset(
    subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()
)  # fmt: skip
"""Every file of the project, those not yet committed included."""
DOCUMENTS = sorted(name for name in TRACKED if name.endswith(".md") and (ROOT / name).exists())
TOP = frozenset(name.split("/")[0] for name in TRACKED if "/" in name)
SUFFIXES = r"py|md|v|cpp|h|j2|tcl|toml|ipynb|svg|json"
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\s]+)`")
FILE = re.compile(rf"(?:[\w.-]+/)+[\w.-]+\.(?:{SUFFIXES})|(?:[\w.-]+/)+")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The fragments that headings of a page are reached by, as GitHub makes them."""
    headings = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text))
    return set(headings)


def broken_links(document: Path, text: str) -> list[str]:
    """Relative links of a page whose file, or whose heading, is not there."""
    found = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = document.parent / name if name else document
        inside = target.suffix == ".md" and target.exists()
        if not target.exists() or (fragment and inside and fragment not in anchors(target.read_text())):
            found.append(link)
    return found


def missing_paths(text: str) -> list[str]:
    """Paths in backticks that begin with a folder of the project, and are not in it."""
    folders = {"/".join(name.split("/")[:depth]) + "/" for name in TRACKED for depth in range(1, name.count("/") + 1)}
    found = []
    for path in CODE.findall(text):
        if FILE.fullmatch(path) and path.split("/")[0] in TOP and path not in TRACKED | folders:
            found.append(path)
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_resolve(name):
    document = ROOT / name
    assert broken_links(document, document.read_text()) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_named_files_exist(name):
    assert missing_paths((ROOT / name).read_text()) == []


def test_what_is_broken_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# A heading, of words\n")
    page = tmp_path / "page.md"
    page.write_text("no heading")
    text = "[a](other.md#a-heading-of-words) [b](other.md#none) [c](none.md) [d](https://example.org/x) [e](#none)"
    assert broken_links(page, text) == ["other.md#none", "none.md", "#none"]
    assert missing_paths("`hdl/isa.py` `hdl/none.py` `compiler/nowhere/` `build/demo/report.html` `hdl/`") == [
        "hdl/none.py", "compiler/nowhere/",
    ]  # fmt: skip

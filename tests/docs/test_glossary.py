"""One meaning a word: no term is defined twice, and pages do not use the words that the glossary sets aside."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
ASIDE = re.compile(
    r"\bvisits?\b|\blowered layers?\b|\bpost[- ]units?\b|\bgroups? of (?:pixel )?lanes\b|\bsequences of engines\b",
    re.IGNORECASE,
)
PAGES = sorted({*DOCS.rglob("*.md"), DOCS.parent / "README.md", DOCS.parent / "benchmarks/README.md"})


def terms(text: str) -> list[str]:
    """What a glossary defines: words in bold, before its last section."""
    return [term.lower() for term in re.findall(r"\*\*([^*]+)\*\*", text.split("## Words that are not used")[0])]


def test_each_term_is_defined_once():
    found = terms((DOCS / "glossary.md").read_text())
    assert len(found) > 60
    assert [term for term in sorted(set(found)) if found.count(term) > 1] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_keep_to_it(page):
    text = page.read_text().split("## Words that are not used")[0]
    assert [match[0] for match in ASIDE.finditer(text)] == []


def test_a_word_that_is_set_aside_is_found():
    assert ASIDE.search("one of the post units")
    assert ASIDE.search("Two groups of pixel lanes")
    assert not ASIDE.search("two lane groups")

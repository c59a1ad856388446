"""The code blocks of a page in Markdown, and the commands in them.

Of the fenced blocks `sh` holds commands and `python` code, which is run, or, as `python title="name.py"`, a file of
that name. All others show output or draw.
"""

import dataclasses
import re
import shlex
import textwrap
from collections.abc import Iterator

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block.

    Members
    -------
    language: `sh`, `python`, or "" of what is no code.
    title: name of the file that it is, or "".
    line: of the page, from 1.
    """

    language: str
    title: str
    text: str
    line: int

    @property
    def first(self) -> str:
        """Its first line, which names it."""
        return self.text.split("\n", 1)[0]


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for match in _BLOCK.finditer(page):
        info, title = match["info"].split(), _TITLE.search(match["info"])
        yield Block(
            language=info[0] if info else "",
            title=title[1] if title else "",
            text=textwrap.dedent(match["text"]),
            line=page.count("\n", 0, match.start()) + 1,
        )


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a shell block as words: comments left out, continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words

"""A hook of MkDocs: links to files of the repository that are no pages become their paths, in code.

On GitHub `[the notebook](../examples/pynq_z2.ipynb)` opens the file; a site has only what is in docs/.
"""

import re
from typing import Any

_LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<up>(?:\.\./)+)(?P<path>[^)#\s]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Replaces such links in the text of a page."""
    depth = page.file.src_uri.count("/") + 1

    def replaced(link: re.Match[str]) -> str:
        if link["up"].count("../") < depth:  # another page
            return link[0]
        shown = link["text"].strip("`")
        return f"`{link['path']}`" if shown in link["path"] else f"{link['text']} (`{link['path']}`)"

    return _LINK.sub(replaced, markdown)

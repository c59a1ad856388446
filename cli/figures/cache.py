"""Figures of `cache`: what is kept between commands."""

import dataclasses
from typing import Annotated

from ...runtime.figures.fields import Means


@dataclasses.dataclass(frozen=True, kw_only=True)
class CacheKindFigures:
    """Entries of a kind."""

    kind: Annotated[str, Means("what they are")]
    number: Annotated[int, Means("of entries")]
    bytes: Annotated[int, Means("on disk", "bytes")]
    last_used: Annotated[float, Means("when the last of them was made or used, since 1970", "s")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CacheFigures:
    """The cache, as it was before it was cleared."""

    folder: Annotated[str, Means("where it lies: `$INTRAMIX_CACHE`, or ~/.cache/intramix")]
    limit_bytes: Annotated[int, Means("beyond it, entries that were used longest ago go", "bytes")]
    bytes: Annotated[int, Means("of all entries, on disk", "bytes")]
    cleared: Annotated[bool, Means("whether the entries were removed")]
    kinds: Annotated[tuple[CacheKindFigures, ...], Means("a kind of entries each")]

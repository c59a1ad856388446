"""Whether a program's borders can be what the compiler made: what the host lays must damage nothing."""

from collections.abc import Sequence

from .map_layout import MapLayout
from .program import Program


def border_fault(program: Program) -> str | None:
    """What is wrong with the borders of a program, the map named; None: nothing is.

    A border's code must be one of its map's, its map must lie in its region and, since the border is laid once for all
    runs, share its memory with no other map.
    """
    stored = [program.maps[record.output] for record in program.layers]
    for layout in (program.input, *stored):
        if layout.border and (fault := _own_fault(program, layout)):
            return f"the border of map {layout.name!r} {fault}"
    return _shared(stored)


def _own_fault(program: Program, layout: MapLayout) -> str | None:
    largest = (1 << layout.bits) - 1
    if layout.fold is not None:
        return "lies around a folded map, which has none"
    code = layout.zero_point
    if not isinstance(code, int) or not 0 <= code <= largest:
        return f"has code {code!r}; the map's codes are 0 … {largest}"
    size = program.sizes.get(layout.region, 0)
    if layout.offset + layout.bytes > size:
        return f"reaches to byte {layout.offset + layout.bytes:,} of {layout.region}, which has {size:,}"
    return None


def _shared(stored: Sequence[MapLayout]) -> str | None:
    """The first map with a border that shares memory with another one, in words."""
    spans = sorted(
        (
            (layout.region, layout.offset + digit * layout.digit_bytes, layout)
            for layout in stored
            for digit in range(layout.digits)
        ),
        key=lambda span: span[:2],
    )
    before: dict[str, tuple[int, MapLayout]] = {}
    before_bordered: dict[str, tuple[int, MapLayout]] = {}
    for region, begin, layout in spans:
        last = before if layout.border else before_bordered
        if region in last and last[region][0] > begin:
            other = last[region][1]
            bordered, beside = (layout, other) if layout.border else (other, layout)
            return f"the border of map {bordered.name!r} lies in the memory of map {beside.name!r}"
        end = begin + layout.channel_words * layout.plane_bytes, layout
        for ends in [before, before_bordered] if layout.border else [before]:
            ends[region] = max(ends.get(region, end), end, key=lambda reached: reached[0])
    return None

"""Where LOAD_MAP and STORE find their chunks in the map memory."""

from collections.abc import Iterator

from ...hdl.geometry import Geometry
from ...hdl.instructions import LoadMap, Store
from ...hdl.isa import RING
from .state import Numbered

MAP_MEMORY = "MAP_MEMORY"
"""Name of the map memory among a machine's regions; its addresses are bytes there."""
LONGEST_CHUNK = 4095
"""Words of a chunk that LOAD_MAP reads there, at most."""


def check_ring(i: Numbered[LoadMap] | Numbered[Store], geometry: Geometry) -> None:
    """The fields for the map memory must be 0 where it is not meant, and else name a ring that lies in it."""
    transfer = i.instruction
    if not transfer.on_chip:
        for field in RING:
            i.need(getattr(transfer, field.name) == 0, field.name, "must be 0 where the map memory is not meant")
        if isinstance(transfer, Store):
            i.need(not transfer.chip_only, "chip_only", "must be 0 where the map memory is not written")
        return
    i.need(geometry.map_words > 0, "on_chip", "the geometry has no map memory")
    end, words = transfer.ring_end, transfer.ring_words
    i.need(end <= geometry.map_words, "ring_end", f"word {end} is beyond the {geometry.map_words} of the map memory")
    if isinstance(transfer, LoadMap):
        most = LONGEST_CHUNK
        i.need(transfer.chunk_words <= most, "chunk_words", f"must be at most {most}, not {transfer.chunk_words}")
    i.need(1 <= words <= end, "ring_words", f"a ring that ends at word {end} has 1 … {end} words, not {words}")


def chip_chunks(i: Numbered[LoadMap] | Numbered[Store], plane: int) -> Iterator[int]:
    """The first words of a plane's chunks in the map memory; fails where a chunk is not within the ring."""
    transfer = i.instruction
    for chunk in range(transfer.chunks):
        word = transfer.chip_address + plane * transfer.chip_plane_stride + chunk * transfer.chip_chunk_stride
        if word >= transfer.ring_end:
            word -= transfer.ring_words
        begin, last = transfer.ring_end - transfer.ring_words, word + transfer.chunk_words - 1
        i.need(
            begin <= word and last < transfer.ring_end, "chip_address",
            f"words {word} … {last} of plane {plane}, chunk {chunk}, are not within the ring of words "
            f"{begin} … {transfer.ring_end - 1}",
        )
        yield word

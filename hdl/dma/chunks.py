"""Where the chunks of a LOAD_MAP or STORE begin, in DDR and in the map memory."""

from amaranth.hdl import Mux, Value


def next_chunk(last: Value, plane: tuple[Value, Value], chunk: tuple[Value, Value]) -> Value:
    """The first address of the chunk after this one; after a plane's `last` one, of the next plane.

    Parameters
    ----------
    plane, chunk: where this one begins, and the stride to the next.
    """
    (plane_begin, plane_stride), (chunk_begin, chunk_stride) = plane, chunk
    return Mux(last, plane_begin, chunk_begin) + Mux(last, plane_stride, chunk_stride)


def within_ring(word: Value, end: Value, words: Value) -> Value:
    """Where a word of the map memory lies that was counted on through its ring's end, once at most."""
    return word - Mux(word >= end, words, 0)

"""What the log of a run must hold: the CRC-32 that every layer's stores leave behind."""

import hashlib
import zlib
from collections.abc import Mapping

import numpy as np

from ...hdl.instructions import Store
from .lane_groups import group_of
from .map_layout import MapLayout
from .program import Program


def expected_crcs(program: Program, tensors: Mapping[str, np.ndarray]) -> dict[int, tuple[int, int]]:
    """CRC-32 and number of activation words of each layer, by its number.

    The bytes are those of the expected maps, in the order in which the program's STORE instructions write them. Each
    group of lanes has a CRC-32 and a record of its own; a layer's is their exclusive or, as `decode_log` makes it.

    Parameters
    ----------
    tensors: codes by name, of their layouts' shapes.
    """
    outputs = {layer.number: program.maps[layer.output] for layer in program.layers}
    packed: dict[str, np.ndarray] = {}
    word_bytes = program.geometry.word_bytes
    records: dict[int, tuple[int, int]] = {}
    running: dict[tuple[int, int], tuple[int, int]] = {}
    for store in program.decoded():
        if not isinstance(store, Store):
            continue
        register = group_of(store.lane, program.geometry), store.crc_register
        crc, words = (0, 0) if store.crc_start else running.get(register, (0, 0))
        layout = outputs[store.layer]
        if layout.region != store.region.name:
            raise ValueError(
                f"layer {store.layer} stores to region {store.region.name}, its map lies in "
                f"{layout.region}: the program is damaged"
            )
        if layout.name not in packed:
            packed[layout.name] = np.frombuffer(layout.pack(tensors[layout.name]), np.uint8)
        data, size = packed[layout.name], store.chunk_words * word_bytes
        for plane in range(store.planes):
            for chunk in range(store.chunks):
                begin = (
                    store.address + plane * store.plane_stride + chunk * store.chunk_stride - layout.offset
                )
                if begin < 0 or begin + size > data.size:
                    raise ValueError(
                        f"layer {store.layer} stores beyond its map {layout.name}: the program is damaged"
                    )
                crc = zlib.crc32(data[begin : begin + size].tobytes(), crc)
                words += store.chunk_words
        running[register] = crc, words
        if store.crc_emit:
            others = records.get(store.layer, (0, 0))
            records[store.layer] = others[0] ^ crc, others[1] + words
    return records


def selftest_codes(layout: MapLayout) -> np.ndarray:
    """What a self-test runs: codes of a network's input, of its layout's shape, uniform and the same everywhere
    (SHAKE-256); every image of a batch is another one."""
    stream = hashlib.shake_256(b"intramix self-test").digest(int(np.prod(layout.shape)))
    return (np.frombuffer(stream, np.uint8) >> (8 - layout.bits)).reshape(layout.shape)

"""What the log of a run must hold: the CRC-32 that every layer's stores leave behind."""

import hashlib
import zlib
from collections.abc import Mapping

import numpy as np

from ...hdl.isa import Opcode, Region
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
    for opcode, fields in program.decoded():
        if opcode is not Opcode.STORE:
            continue
        register = group_of(fields["lane"], program.geometry), fields["crc_register"]
        crc, words = (0, 0) if fields["crc_start"] else running.get(register, (0, 0))
        layout = outputs[fields["layer"]]
        if layout.region != Region(fields["region"]).name:
            raise ValueError(
                f"layer {fields['layer']} stores to region {Region(fields['region']).name}, its map lies in "
                f"{layout.region}: the program is damaged"
            )
        if layout.name not in packed:
            packed[layout.name] = np.frombuffer(layout.pack(tensors[layout.name]), np.uint8)
        data, size = packed[layout.name], fields["chunk_words"] * word_bytes
        for plane in range(fields["planes"]):
            for chunk in range(fields["chunks"]):
                begin = (
                    fields["address"] + plane * fields["plane_stride"] + chunk * fields["chunk_stride"] - layout.offset
                )
                if begin < 0 or begin + size > data.size:
                    raise ValueError(
                        f"layer {fields['layer']} stores beyond its map {layout.name}: the program is damaged"
                    )
                crc = zlib.crc32(data[begin : begin + size].tobytes(), crc)
                words += fields["chunk_words"]
        running[register] = crc, words
        if fields["crc_emit"]:
            others = records.get(fields["layer"], (0, 0))
            records[fields["layer"]] = others[0] ^ crc, others[1] + words
    return records


def selftest_codes(layout: MapLayout) -> np.ndarray:
    """What a self-test runs: codes of a network's input, of its layout's shape, uniform and the same everywhere
    (SHAKE-256); every image of a batch is another one."""
    stream = hashlib.shake_256(b"intramix self-test").digest(int(np.prod(layout.shape)))
    return (np.frombuffer(stream, np.uint8) >> (8 - layout.bits)).reshape(layout.shape)

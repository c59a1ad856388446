"""The map memory in the interpreter: rows in a ring, every rule of it, and the order of accesses."""

import numpy as np
import pytest

from intramix.compiler.interpreter.hazards import HazardChecker
from intramix.compiler.interpreter.interpret import InterpretedMachine, InterpreterError
from intramix.compiler.interpreter.map_memory import MAP_MEMORY
from intramix.hdl.geometry import Geometry
from intramix.hdl.isa import Opcode, Region, Token
from tests.support.raw_instructions import encode

SIZES = {"PARAMETERS": 64, "INPUT": 64, "OUTPUT": 64, "WORKSPACE": 400, "LOG": 16}
WORDS = 40


def geometry(**fields):
    return Geometry(**{"word_channels": 4, "pixel_lanes": 2, "fixed8_lanes": 0, "fixed4_lanes": 4, "lut_lanes": 0,
                       "activation_bits": 4, "map_words": WORDS, **fields})


def filled(**fields):
    """A machine whose output memory holds random words."""
    machine = InterpretedMachine(geometry(**fields), {name: bytearray(size) for name, size in SIZES.items()})
    machine.output.words[:] = np.random.default_rng(4).integers(0, 16, machine.output.words.shape)
    machine.output.valid[:] = True
    return machine


STORE = {"region": Region.WORKSPACE, "planes": 2, "plane_stride": 100, "chunks": 3, "chunk_stride": 6, "chunk_words": 3,
         "plane_pitch": 20, "base": 5}  # fmt: skip
# Rows of 2 × 3 words, four of them from word 10 on; the map's row 2 is the first that is stored.
RING = {"on_chip": 1, "chip_address": 10 + 2 * 6, "chip_plane_stride": 3, "chip_chunk_stride": 6, "ring_end": 34,
        "ring_words": 24}  # fmt: skip
LOAD = {"region": Region.WORKSPACE, "planes": 2, "plane_stride": 100, "chunks": 3, "chunk_stride": 6, "chunk_words": 3,
        "row_words": 3, "lane_rows": 3, "lane_mask": 2, "plane_pitch": 9}  # fmt: skip


@pytest.mark.parametrize("chip_only", [False, True])
def test_rows_go_round_the_ring_and_come_back(chip_only):
    """Rows 2, 3 and 4 lie third, fourth and first in the ring; DDR has them too, or is left alone."""
    machine = filled()
    effect = machine.execute(encode(Opcode.STORE, **STORE, **RING, chip_only=int(chip_only)))
    rows = machine.output.words[0]
    held = machine.regions[MAP_MEMORY].reshape(WORDS, -1)
    for row, place in ((0, 22), (1, 28), (2, 10)):
        for plane in range(2):
            codes = rows[5 + 20 * plane + 3 * row :][:3]
            expected = codes[:, 0::2] | codes[:, 1::2] << 4
            np.testing.assert_array_equal(held[place + 3 * plane :][:3], expected)
    untouched = np.r_[0:10, 16:22, 34:WORDS]
    assert not held[untouched].any()
    assert machine.regions["WORKSPACE"].any() == (not chip_only)
    assert effect.write_bytes == (0 if chip_only else 36)
    effect = machine.execute(encode(Opcode.LOAD_MAP, **LOAD, **RING))
    loaded = machine.activation.words[1]
    for plane in range(2):
        np.testing.assert_array_equal(loaded[9 * plane :][:9], rows[5 + 20 * plane :][:9])
    assert effect.read_bytes == 0


@pytest.mark.parametrize("opcode", [Opcode.LOAD_MAP, Opcode.STORE])
@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"ring_end": 41}, "ring_end", "word 41 is beyond the 40 of the map memory"),
        ({"ring_words": 35}, "ring_words", "a ring that ends at word 34 has 1 … 34 words, not 35"),
        ({"ring_words": 0}, "ring_words", "has 1 … 34 words, not 0"),
        ({"chip_address": 9}, "chip_address", "words 9 … 11 of plane 0, chunk 0, are not within the ring of words 10"),
        ({"chip_address": 32}, "chip_address", "words 32 … 34 of plane 0, chunk 0, are not"),
        ({"chip_chunk_stride": 30}, "chip_address", "plane 0, chunk 2, are not within the ring"),
        ({"on_chip": 0}, "chip_address", "must be 0 where the map memory is not meant"),
    ],
)
def test_refuses(opcode, fields, field, message):
    machine = filled()
    machine.execute(encode(Opcode.STORE, **STORE))  # what a LOAD_MAP would read in DDR
    machine.initialised[MAP_MEMORY][:] = True
    with pytest.raises(InterpreterError, match=message) as caught:
        machine.execute(encode(opcode, **(STORE if opcode is Opcode.STORE else LOAD), **(RING | fields)))
    assert (caught.value.opcode, caught.value.field) == (opcode, field)


def test_refuses_without_a_map_memory_or_a_word_written():
    with pytest.raises(InterpreterError, match="on_chip: the geometry has no map memory"):
        filled(map_words=0).execute(encode(Opcode.STORE, **STORE, **RING))
    with pytest.raises(InterpreterError, match="byte 44 of MAP_MEMORY is read, but no STORE has written it"):
        filled().execute(encode(Opcode.LOAD_MAP, **LOAD, **RING))
    with pytest.raises(InterpreterError, match="chip_only: must be 0 where the map memory is not written"):
        filled().execute(encode(Opcode.STORE, **STORE, chip_only=1))
    kernels = {"planes": 1, "chunks": 1, "chunk_words": 1, "row_words": 1, "lane_rows": 1, "lane_mask": 1}
    with pytest.raises(InterpreterError, match="on_chip: must be 0 where kernels are loaded"):
        filled(depthwise_channels=4).execute(encode(Opcode.LOAD_MAP, **kernels, **RING, kernels=1))


STORED, READY, OUTPUT_READY = (1 << token for token in (Token.STORED, Token.INPUT_READY, Token.OUTPUT_READY))
POOL = {"mode": 1, "outputs_y": 1, "outputs_x": 1, "passes": 1, "kernel_y": 1, "kernel_x": 1, "channels": 1,
        "stride_x": 1, "width": 1, "output_base": 200}  # fmt: skip


def run(*instructions, **fields):
    machine = filled(**fields)
    hazards = HazardChecker(machine.geometry, {region.name: SIZES[region.name] for region in Region})
    for instruction in instructions:
        hazards(machine.execute(instruction))


def test_tokens_must_order_its_accesses():
    def store(**others):
        return encode(Opcode.STORE, **(STORE | RING | {"chip_only": 1} | others))

    def load(**others):
        return encode(Opcode.LOAD_MAP, **LOAD, **RING, **others)

    after_the_load = [load(wait=STORED, signal=READY), encode(Opcode.COMPUTE, **POOL, wait=READY, signal=OUTPUT_READY)]
    run(store(signal=STORED), *after_the_load, store(wait=OUTPUT_READY))
    with pytest.raises(InterpreterError, match="reads MAP_MEMORY 44 before a STORE has written it"):
        run(store(), load())
    with pytest.raises(InterpreterError, match="overwrites MAP_MEMORY 44 before it is loaded"):
        run(store(signal=STORED), *after_the_load, store())
    with pytest.raises(InterpreterError, match="overwrites MAP_MEMORY 44 before another group has stored it"):
        run(store(), store(lane=1), maps_ports=2)

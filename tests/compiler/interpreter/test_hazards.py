"""Hazards between engines: programs whose tokens order every access pass, and each missing token is found."""

import numpy as np
import pytest

from intramix.compiler.interpreter.hazards import HazardChecker
from intramix.compiler.interpreter.interpret import InterpretedMachine, InterpreterError
from intramix.hdl.geometry import Geometry
from intramix.hdl.isa import Mode, Opcode, Region, Token
from tests.support.raw_instructions import encode

SIZES = {"PARAMETERS": 4096, "INPUT": 64, "OUTPUT": 64, "WORKSPACE": 64, "LOG": 0}
READY, FREE = 1 << Token.INPUT_READY, 1 << Token.INPUT_FREE
RESIDUAL_READY, RESIDUAL_FREE = 1 << Token.RESIDUAL_READY, 1 << Token.RESIDUAL_FREE
OUTPUT_READY, OUTPUT_FREE, STORED = 1 << Token.OUTPUT_READY, 1 << Token.OUTPUT_FREE, 1 << Token.STORED


def load(base=0, **others):
    """Four words into the activation memory."""
    given = {"region": Region.INPUT, "planes": 1, "chunks": 1, "chunk_words": 4, "row_words": 4, "lane_rows": 1}
    return encode(Opcode.LOAD_MAP, base=base, **(given | {"lane_mask": 1} | others))


def pool(base=0, output_base=0, **others):
    """The maximum of words base, base + 1 and of base + 2, base + 3."""
    given = {"mode": Mode.MAXIMUM, "outputs_y": 1, "outputs_x": 2, "passes": 1, "kernel_y": 1, "kernel_x": 2}
    given |= {"channels": 1, "delta_kernel_x": 1, "delta_x": 1, "stride_x": 2, "width": 4}
    return encode(Opcode.COMPUTE, base=base, output_base=output_base, **(given | others))


def add(**others):
    """One output with a residual: reads activation word 0 and residual word 0."""
    given = {"outputs_y": 1, "outputs_x": 1, "passes": 1, "kernel_y": 1, "kernel_x": 1, "channels": 1, "stride_x": 1}
    given |= {"width": 1, "weight_words": 1, "residual": 1, "maximum": 15, "residual_scale": 1}
    return encode(Opcode.COMPUTE, **(given | others))


def store(base=0, **others):
    given = {"region": Region.WORKSPACE, "planes": 1, "chunks": 1, "chunk_words": 2}
    return encode(Opcode.STORE, base=base, **(given | others))


WEIGHTS = (
    encode(Opcode.LOAD_WEIGHTS, region=Region.PARAMETERS, words=1),
    encode(Opcode.LOAD_CONSTANTS, region=Region.PARAMETERS, tiles=1),
)


def run(*instructions, ports=1):
    g = Geometry(word_channels=4, pixel_lanes=ports, fixed8_lanes=0, fixed4_lanes=4, lut_lanes=0, activation_bits=4,
                 maps_ports=ports)  # fmt: skip
    machine = InterpretedMachine(g, {name: bytearray(size) for name, size in SIZES.items()})
    hazards = HazardChecker(g, {region.name: SIZES[region.name] for region in Region})
    for instruction in instructions:
        hazards(machine.execute(instruction))
    return machine


LEGAL = {
    "a block": [
        load(signal=READY),
        pool(wait=READY, signal=FREE | OUTPUT_READY),
        store(wait=OUTPUT_READY, signal=OUTPUT_FREE | STORED),
    ],
    "two tiles read one block": [
        load(signal=READY),
        pool(wait=READY),
        pool(output_base=2, signal=FREE),
        load(wait=FREE),
    ],
    "two buffers": [
        load(signal=READY),
        load(4, signal=READY),
        pool(wait=READY, signal=FREE),
        load(wait=FREE, signal=READY),
        pool(4, 2, wait=READY, signal=FREE),
        pool(0, 4, wait=READY),
        load(4, wait=FREE),
    ],
    "outputs in turn": [
        load(signal=READY),
        pool(wait=READY, signal=OUTPUT_READY),
        store(wait=OUTPUT_READY, signal=OUTPUT_FREE),
        pool(wait=OUTPUT_FREE, signal=OUTPUT_READY),
        store(wait=OUTPUT_READY),
    ],
    "a stored map is loaded, its place stored again": [
        load(signal=READY),
        pool(wait=READY, signal=OUTPUT_READY),
        store(wait=OUTPUT_READY, signal=STORED | OUTPUT_FREE),
        load(4, wait=STORED, region=Region.WORKSPACE, chunk_words=2, row_words=2, signal=READY),
        pool(wait=READY | OUTPUT_FREE, signal=OUTPUT_READY),
        store(wait=OUTPUT_READY),
    ],
    "a residual": [
        *WEIGHTS,
        load(signal=READY),
        load(residual=1, signal=RESIDUAL_READY),
        add(wait=READY | RESIDUAL_READY, signal=RESIDUAL_FREE),
        load(residual=1, wait=RESIDUAL_FREE),
    ],
    "zeros of padding are not read": [
        load(signal=READY),
        pool(0, wait=READY, width=2),
        load(2, chunk_words=2, row_words=2),
    ],
}


@pytest.mark.parametrize("name", LEGAL)
def test_legal(name):
    assert run(*LEGAL[name]).executed == len(LEGAL[name])


RACES = {
    "activation read early": (
        [load(), pool()],
        "reads activation 0 before it is loaded: no token orders it after instruction 0",
    ),
    "activation overwritten": (
        [load(signal=READY), pool(wait=READY), load(3)],
        "overwrites activation 3 before a COMPUTE has read it: no token orders it after instruction 1",
    ),
    "the token of the first of two readers": (
        [load(signal=READY), pool(wait=READY, signal=FREE), pool(output_base=2), load(wait=FREE)],
        "overwrites activation 0 before a COMPUTE has read it: no token orders it after instruction 2",
    ),
    "the token of the other buffer": (
        [load(signal=READY), load(4, signal=READY), pool(4, wait=READY)],
        "reads activation 4 before it is loaded: no token orders it after instruction 1",
    ),
    "residual read early": (
        [*WEIGHTS, load(signal=READY), load(residual=1), add(wait=READY)],
        "reads residual 0 before it is loaded: no token orders it after instruction 3",
    ),
    "residual freed by the wrong token": (
        [*WEIGHTS, load(), load(residual=1, signal=READY), add(wait=READY, signal=FREE), load(residual=1, wait=FREE)],
        "overwrites residual 0 before a COMPUTE has read it: no token orders it after instruction 4",
    ),
    "output stored early": (
        [load(signal=READY), pool(wait=READY, signal=FREE), store()],
        "reads output 0 before it is computed: no token orders it after instruction 1",
    ),
    "output overwritten": (
        [
            load(signal=READY),
            pool(wait=READY, signal=OUTPUT_READY),
            store(wait=OUTPUT_READY, signal=STORED),
            pool(output_base=1),
        ],
        "overwrites output 1 before a STORE has read it: no token orders it after instruction 2",
    ),
    "DDR loaded early": (
        [
            load(signal=READY),
            pool(wait=READY, signal=OUTPUT_READY),
            store(wait=OUTPUT_READY, signal=OUTPUT_FREE),
            load(4, region=Region.WORKSPACE, chunk_words=2, row_words=2),
        ],
        "reads WORKSPACE 0 before a STORE has written it: no token orders it after instruction 2",
    ),
    "DDR overwritten": (
        [
            load(signal=READY),
            pool(wait=READY, signal=OUTPUT_READY),
            store(wait=OUTPUT_READY, signal=STORED),
            load(4, wait=STORED, region=Region.WORKSPACE, chunk_words=2, row_words=2),
            store(address=3),
        ],
        "overwrites WORKSPACE 3 before it is loaded: no token orders it after instruction 3",
    ),
}


@pytest.mark.parametrize("name", RACES)
def test_races(name):
    instructions, message = RACES[name]
    with pytest.raises(InterpreterError, match=message) as caught:
        run(*instructions)
    assert (caught.value.field, caught.value.index) == ("wait", len(instructions) - 1)


TWO_GROUPS = [
    load(),
    load(lane_mask=2, signal=READY),
    pool(wait=READY, signal=OUTPUT_READY),
    store(wait=OUTPUT_READY, signal=STORED),
]


def test_two_groups_store_over_one_another():
    """Of two groups even STOREs run side by side: one over what the other has stored must be ordered."""
    run(*TWO_GROUPS, store(), ports=2)
    with pytest.raises(InterpreterError, match="overwrites WORKSPACE 0 before another group has stored it"):
        run(*TWO_GROUPS, store(lane=1), ports=2)
    run(*TWO_GROUPS, store(lane=1, address=4), ports=2)
    through_a_load = [
        load(4, lane_mask=2, wait=STORED, signal=READY),
        pool(4, 4, wait=READY, signal=OUTPUT_READY),
        store(4, wait=OUTPUT_READY, lane=1),
    ]
    run(*TWO_GROUPS, *through_a_load, ports=2)


def test_read_addresses_are_those_of_the_loop_nest():
    """Only words that a step really reads count: 2 × 2 windows with stride 2 on rows of 5 leave the last column."""
    g = Geometry(word_channels=4, pixel_lanes=1, fixed8_lanes=0, fixed4_lanes=4, lut_lanes=0, activation_bits=4)
    machine = InterpretedMachine(g, {name: bytearray(256) for name in SIZES})
    hazards = HazardChecker(g, dict.fromkeys(SIZES, 256))
    hazards(machine.execute(load(chunk_words=20, row_words=5, lane_rows=4, signal=READY)))
    windows = {"outputs_y": 2, "kernel_y": 2, "delta_kernel_y": 4, "delta_x": -4, "delta_y": 2, "width": 5}
    hazards(machine.execute(pool(wait=READY, **windows)))
    read = np.flatnonzero(hazards.read["activation"] == 1)
    assert read.tolist() == [5 * row + column for row in range(4) for column in range(4)]

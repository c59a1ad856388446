"""Signatures between the parts of the accelerator: what crosses from engine to memory to array.

Every engine is a component with an `instruction` stream (a raw 512-bit instruction whose tokens are already taken), the
`engine_members` below, and its own data ports. Directions are the producer's; flip with `In(…)` at the consumer.
"""

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import isa
from .geometry import CONSTANT_BITS, Geometry

LOCAL_ADDRESS_BITS = 16
OUTPUT_READ_LATENCY = 2
"""Cycles from `OutputRead.enable` to `data`."""
MAP_READ_LATENCY = 2
"""Cycles from a read of the map memory to its data."""


def struct_layout(layout: isa.Layout) -> data.StructLayout:
    """A packed word's fields as a struct."""
    return data.StructLayout({
        field.name: (signed if field.signed else unsigned)(field.width) for field in layout
    })  # fmt: skip


def field_shape(layout: isa.Layout, name: str) -> Shape:
    """The shape of one of a packed word's fields, where a part of the hardware keeps a copy of it."""
    return Shape.cast(struct_layout(layout)[name].shape)


def instruction_layout(layout: isa.Layout) -> data.StructLayout:
    """An instruction's fields as a 512-bit struct; the rest is `reserved`."""
    fields = struct_layout(layout)
    return data.StructLayout({**fields.members, "reserved": unsigned(isa.INSTRUCTION_BITS - fields.size)})


class EngineError(data.Struct):
    """An error report: valid for one cycle."""

    valid: unsigned(1)
    code: unsigned(isa.ERROR_BITS)
    layer: unsigned(isa.LAYER_BITS)


def engine_members() -> dict[str, wiring.Member]:
    """The ports that every engine has towards control.

    instruction: instructions in order; the engine takes one when it can begin it (or hold it as its next).
    signals: one strobe per `isa.Token`; high for one cycle gives one token.
    error: the engine's first error; afterwards it must come to rest by itself.
    abort: level; decide on no further transaction from the next cycle on, let those under way end (data discarded), and
        come to rest. When `idle` is high under `abort`, nothing of the engine is in flight and its synchronous reset is
        harmless.
    idle: nothing in flight: no accepted instruction is unfinished, no bus transaction is outstanding. (Under abort: no
        bus transaction is outstanding and no address is being offered.)
    active: something moved in this cycle, or the one before (for the watchdog); an instruction was taken, for one.
    """
    return {
        "instruction": In(stream.Signature(unsigned(isa.INSTRUCTION_BITS))),
        "signals": Out(isa.TOKEN_MASK_BITS),
        "error": Out(EngineError),
        "abort": In(1),
        "idle": Out(1),
        "active": Out(1),
    }


def bases_layout(geometry: Geometry) -> data.ArrayLayout:
    """Base address by `isa.Region`."""
    return data.ArrayLayout(unsigned(geometry.address_bits), len(isa.Region))


def lane_write_signature(geometry: Geometry) -> wiring.Signature:
    """MAPS writes one word into any activation or residual memories of a lane group, each at its own address."""
    return wiring.Signature({
        "enable": Out(geometry.group_lanes),
        "residual": Out(1),
        "address": Out(data.ArrayLayout(unsigned(LOCAL_ADDRESS_BITS), geometry.group_lanes)),
        "data": Out(geometry.word_bits),
    })


def weight_read_signature(geometry: Geometry) -> wiring.Signature:
    """COMPUTE reads the weight ring: `data` is the word of `address` in the cycle after `enable`, until the next.

    `written` and `released` count words modulo 2 · weight_depth; the word with number n lies at n mod weight_depth and
    may be read once n is before `written`.
    """
    depth = geometry.weight_depth
    return wiring.Signature({
        "enable": Out(1),
        "address": Out(range(depth)),
        "data": In(geometry.weight_word_bits),
        "written": In(range(2 * depth)),
        "released": Out(range(2 * depth)),
    })


def constant_read_signature(geometry: Geometry) -> wiring.Signature:
    """COMPUTE reads the ring of constants: in the cycle after `enable`, the constants of drain cycle `row` of a tile,
    requantizer 0 least significant. `written` and `released` count tiles modulo 2 · constant_tiles.
    """
    tiles = geometry.constant_tiles
    return wiring.Signature({
        "enable": Out(1),
        "tile": Out(range(tiles)),
        "row": Out(range(geometry.drain_cycles)),
        "data": In(geometry.post_units * CONSTANT_BITS),
        "written": In(range(2 * tiles)),
        "released": Out(range(2 * tiles)),
    })


def output_read_signature(geometry: Geometry) -> wiring.Signature:
    """STORE reads a word a cycle from the output memory of one lane of a lane group, counted from its first:
    `data` comes OUTPUT_READ_LATENCY cycles after `enable`."""
    return wiring.Signature({
        "enable": Out(1),
        "lane": Out(range(geometry.group_lanes)),
        "address": Out(field_shape(isa.STORE, "base")),
        "data": In(geometry.word_bits),
    })


def map_address_bits(geometry: Geometry) -> int:
    """Of a word of the map memory."""
    return max(1, (geometry.map_words - 1).bit_length())


def map_read_signature(geometry: Geometry) -> wiring.Signature:
    """MAPS reads the map memory: a word in every cycle with `wants` and `granted`, whose `data` comes MAP_READ_LATENCY
    cycles after it."""
    return wiring.Signature({
        "wants": Out(1),
        "granted": In(1),
        "address": Out(map_address_bits(geometry)),
        "data": In(geometry.word_bits),
    })


def map_write_signature(geometry: Geometry) -> wiring.Signature:
    """STORE writes the map memory: a word in every cycle with `wants` and `granted`."""
    return wiring.Signature({
        "wants": Out(1),
        "granted": In(1),
        "address": Out(map_address_bits(geometry)),
        "data": Out(geometry.word_bits),
    })


class Step(data.Struct):
    """What the array is told with the operands of a step."""

    valid: unsigned(1)
    clear: unsigned(1)
    """First step of a group: accumulators and Σq start from 0."""
    shift: unsigned(1)
    """First step of a pass that multiplies accumulators and Σq by 16 before adding."""
    count: unsigned(1)
    """Add the activations to Σq."""
    last: unsigned(1)
    """Last step of a group."""


def array_signature(geometry: Geometry) -> wiring.Signature:
    """The array, as COMPUTE drives it.

    step, activations, weights: operands of a step, together. `activations[p][c]` is channel slot c of pixel lane p;
        `weights` is the weight word as stored.
    captured: high for one cycle when the results of an accumulator group (the one whose last step came LATENCY cycles
        ago) are in `accumulators[p][f]` and `sums[p]`. They stay until the array's HOLD-th cycle after the *next*
        accumulator group's last step (see `Array`).
    """
    g = geometry
    word = data.ArrayLayout(unsigned(g.activation_bits), g.word_channels)
    accumulator = unsigned(g.accumulator_bits)
    return wiring.Signature({
        "step": Out(Step),
        "activations": Out(data.ArrayLayout(word, g.pixel_lanes)),
        "weights": Out(g.weight_word_bits),
        "captured": In(1),
        "accumulators": In(data.ArrayLayout(data.ArrayLayout(accumulator, g.tile_filters), g.pixel_lanes)),
        "sums": In(data.ArrayLayout(accumulator, g.pixel_lanes)),
    })

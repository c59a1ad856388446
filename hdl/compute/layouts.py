"""What travels between the parts of the compute engine."""

from amaranth.hdl import unsigned
from amaranth.lib import data

from .. import isa
from ..geometry import CONSTANT_BITS, Geometry
from ..interfaces import field_shape, struct_layout


def constant_layout() -> data.StructLayout:
    """A filter's requantization constants: `isa.CONSTANT_LAYOUT`."""
    layout = struct_layout(isa.CONSTANT_LAYOUT)
    assert layout.size == CONSTANT_BITS
    return layout


class ResidualParameters(data.Struct):
    """What prefetching an accumulator group's residual words needs."""

    layer: unsigned(isa.LAYER_BITS)
    final: unsigned(1)
    """The instruction's last group."""
    residual: unsigned(1)
    base: field_shape(isa.COMPUTE, "residual_base")
    pitch: field_shape(isa.COMPUTE, "residual_pitch")
    digits: unsigned(1)


def row_parameters(geometry: Geometry) -> data.StructLayout:
    """What requantizing an accumulator group needs. `release` frees the oldest tile of constants afterwards."""
    return data.StructLayout({
        "tile": unsigned((geometry.constant_tiles - 1).bit_length()),
        "release": unsigned(1),
        "shift": field_shape(isa.COMPUTE, "shift"),
        "maximum": field_shape(isa.COMPUTE, "maximum"),
        "residual": unsigned(1),
        "residual_digits": unsigned(1),
        "residual_scale": field_shape(isa.COMPUTE, "residual_scale"),
        "output_digits": unsigned(1),
    })


class WriteParameters(data.Struct):
    """What writing an accumulator group's output words needs."""

    layer: unsigned(isa.LAYER_BITS)
    final: unsigned(1)
    """The instruction's last group."""
    base: field_shape(isa.COMPUTE, "output_base")
    pitch: field_shape(isa.COMPUTE, "output_pitch")
    digits: unsigned(1)
    signals: unsigned(isa.TOKEN_MASK_BITS)
    """Tokens given after the instruction's last word."""


def group_parameters(geometry: Geometry) -> data.StructLayout:
    """An accumulator group, as the sequencer hands it to the drain with its last step."""
    return data.StructLayout({
        "residual": ResidualParameters,
        "row": row_parameters(geometry),
        "write": WriteParameters,
    })


class PoolStep(data.Struct):
    """What the pool is told with the activations of a step."""

    valid: unsigned(1)
    first: unsigned(1)
    """First step of a pass: the maximum starts from this word."""
    last: unsigned(1)
    """Last step of a pass: the maximum is an output word."""
    group_last: unsigned(1)
    """… and the last one of its group."""


def lane_control_layout(geometry: Geometry) -> data.StructLayout:
    """What all pixel lanes are told alike. The cycle of each field is relative to an event named in `lane`."""
    g = geometry
    return data.StructLayout({
        "activation_address": unsigned((g.activation_depth - 1).bit_length()),
        "activation_zero": unsigned(1),
        "pool_valid": unsigned(1),
        "pool_first": unsigned(1),
        "captured": unsigned(1),
        "row": unsigned((g.drain_cycles - 1).bit_length()),
        "residual_address": unsigned((g.residual_depth - 1).bit_length()),
        "residual_load": unsigned(2 * g.tile_words),
        "residual_take": unsigned(1),
        "residual_digits": unsigned(1),
        "residual_scale": field_shape(isa.COMPUTE, "residual_scale"),
        "shift": field_shape(isa.COMPUTE, "shift"),
        "maximum": field_shape(isa.COMPUTE, "maximum"),
        "output_digits": unsigned(1),
        "codes_take": unsigned(1),
        "words_take": unsigned(1),
        "write_word": unsigned((2 * g.tile_words - 1).bit_length()),
        "write_enable": unsigned(1),
        "write_address": unsigned((g.output_depth - 1).bit_length()),
        "read_address": unsigned((g.output_depth - 1).bit_length()),
    })

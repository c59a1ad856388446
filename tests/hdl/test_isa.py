import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramix.hdl import isa, registers


@st.composite
def instructions(draw):
    opcode = draw(st.sampled_from(list(isa.Opcode)))
    fields = {
        field.name: draw(st.integers(*field.range)) for field in isa.LAYOUTS[opcode] if field.name != "opcode"
    }
    return opcode, fields


@given(instructions())
def test_decode_inverts_encode(instruction):
    opcode, fields = instruction
    code = isa.encode(opcode, **fields)
    assert len(code) == 64
    assert isa.decode(code) == (opcode, {"opcode": int(opcode), **fields})


def test_every_opcode_has_an_engine_and_a_layout():
    assert set(isa.LAYOUTS) == set(isa.ENGINE_OF) == set(isa.Opcode)


def test_opcode_lies_in_the_first_bits():
    for opcode in isa.Opcode:
        assert isa.encode(opcode)[0] & 0xF == opcode


def test_value_that_does_not_fit():
    with pytest.raises(ValueError, match="LOAD_MAP field lane_step must be 0 … 4095, not 4096"):
        isa.encode(isa.Opcode.LOAD_MAP, lane_step=4096)


def test_unknown_field():
    with pytest.raises(ValueError, match="STORE has no field 'rows'"):
        isa.encode(isa.Opcode.STORE, rows=1)


def test_unknown_opcode():
    with pytest.raises(ValueError, match="unknown opcode 15"):
        isa.decode(bytes([15]) + bytes(63))


def test_short_instruction():
    with pytest.raises(ValueError, match="an instruction is 64 bytes, not 63"):
        isa.decode(bytes(63))


def test_constants_are_64_bits():
    assert sum(field.width for field in isa.CONSTANT_LAYOUT) == 64


def test_registers_are_distinct_words_inside_their_space():
    offsets = [register.offset for register in registers.REGISTERS]
    assert len(set(offsets)) == len(offsets)
    assert all(offset % 4 == 0 and 0 <= offset < registers.SPACE_BYTES for offset in offsets)

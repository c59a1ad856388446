import pytest

from intramix.hdl import isa, registers


def test_every_opcode_has_an_engine_and_a_layout():
    assert set(isa.LAYOUTS) == set(isa.ENGINE_OF) == set(isa.Opcode)


def test_unknown_field():
    with pytest.raises(ValueError, match="STORE has no field 'rows'"):
        isa.pack(isa.STORE, {"rows": 1}, what="STORE")


def test_constants_are_64_bits():
    assert sum(field.width for field in isa.CONSTANT_LAYOUT) == 64


def test_registers_are_distinct_words_inside_their_space():
    offsets = [register.offset for register in registers.REGISTERS]
    assert len(set(offsets)) == len(offsets)
    assert all(offset % 4 == 0 and 0 <= offset < registers.SPACE_BYTES for offset in offsets)

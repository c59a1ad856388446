"""Instructions and their 64 bytes, against the tables of fields read in the plainest way (`raw_instructions`)."""

import dataclasses
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramix.hdl.instructions import (
    INSTRUCTIONS,
    Compute,
    Finish,
    Instruction,
    InstructionError,
    LoadMap,
    Store,
    _Codec,
    decode,
)
from intramix.hdl.isa import ENGINE_OF, LAYOUTS, Mode, Opcode, Region, Token
from tests.support import raw_instructions


@st.composite
def words(draw):
    """An opcode, and a number for each of its fields that means something."""
    opcode = draw(st.sampled_from(list(Opcode)))
    fields = {field.name: draw(st.integers(*field.range)) for field in LAYOUTS[opcode] if field.name != "opcode"}
    known = (1 << len(Token)) - 1
    return opcode, fields | {"wait": fields["wait"] & known, "signal": fields["signal"] & known}


def as_number(value):
    return sum(1 << token for token in value) if isinstance(value, frozenset) else int(value)


@given(words())
def test_encode_and_decode_agree_with_the_tables(word):
    opcode, fields = word
    code = raw_instructions.encode(opcode, **fields)
    instruction = decode(code)
    assert instruction.opcode is opcode
    assert {name: as_number(value) for name, value in vars(instruction).items()} == fields
    assert instruction.encode() == code
    assert instruction == type(instruction)(**vars(instruction))


def test_every_opcode_has_a_class():
    assert {kind.opcode for kind in INSTRUCTIONS} == set(Opcode)
    assert all(kind().engine is ENGINE_OF[kind.opcode] for kind in INSTRUCTIONS)


@pytest.mark.parametrize("kind", INSTRUCTIONS)
def test_fields_not_given_are_zero(kind):
    assert int.from_bytes(kind().encode(), "little") == kind.opcode


def test_fields_have_types():
    code = Compute(mode=Mode.MAXIMUM, release=True, delta_x=-3, wait=frozenset({Token.INPUT_READY})).encode()
    compute = decode(code)
    assert isinstance(compute, Compute)
    assert compute.mode is Mode.MAXIMUM
    assert (compute.release, compute.residual) == (True, False)
    assert (compute.delta_x, compute.wait, compute.signal) == (-3, {Token.INPUT_READY}, frozenset())
    store = decode(Store(region=Region.WORKSPACE).encode())
    assert isinstance(store, Store)
    assert store.region is Region.WORKSPACE


def test_steps_of_a_compute():
    compute = Compute(outputs_y=2, outputs_x=3, passes=2, kernel_y=3, kernel_x=1, channels=5)
    assert (compute.groups, compute.group_steps, compute.steps) == (6, 30, 180)


@pytest.mark.parametrize(
    ("instruction", "field", "message"),
    [
        (LoadMap(lane_step=4096), "lane_step", "LOAD_MAP field lane_step must be 0 … 4095, not 4096"),
        (Store(layer=-1), "layer", "STORE field layer must be 0 … 4095, not -1"),
        (Compute(delta_y=1 << 15), "delta_y", "COMPUTE field delta_y must be -32768 … 32767, not 32768"),
    ],
)
def test_value_that_does_not_fit(instruction, field, message):
    with pytest.raises(InstructionError, match=f"^{message}$") as caught:
        instruction.encode()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("code", "field", "message"),
    [
        (bytes([15]) + bytes(63), "opcode", "unknown opcode 15"),
        (bytes(63), "opcode", "an instruction is 64 bytes, not 63"),
        (raw_instructions.encode(Opcode.STORE, wait=0x90), "wait", "wait: mask 0x90 names a channel that is none"),
    ],
)
def test_words_that_are_no_instruction(code, field, message):
    with pytest.raises(InstructionError, match=message) as caught:
        decode(code)
    assert caught.value.field == field


def test_instructions_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Finish().layer = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        decode(Finish().encode()).layer = 1


def test_a_class_that_differs_from_its_table_is_refused():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Halt(Instruction):
        opcode: ClassVar[Opcode] = Opcode.FINISH
        why: int = 0

    with pytest.raises(TypeError, match=r"Halt must have the fields of FINISH, .*'signal'.*, not .*'why'"):
        _Codec(Halt)


def test_a_field_of_a_type_that_does_not_fit_its_width_is_refused():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Halt(Instruction):
        opcode: ClassVar[Opcode] = Opcode.FINISH
        layer: Mode = Mode.CONVOLVE

    with pytest.raises(TypeError, match="Halt field layer is Mode, which does not fill 12 bits"):
        _Codec(Halt)

"""Delay lines and pipelined selection."""

from collections.abc import Sequence

from amaranth.hdl import Array, Module, Signal, Value, ValueCastable

SELECTION_CYCLES = 2
"""Cycles from the choices and the index of `select` to the register that takes its result."""


def delay(m: Module, value: Value | ValueCastable, cycles: int, *, name: str, reset: bool = False) -> Signal:
    """`value` of `cycles` cycles ago: a signal of its shape.

    Without `reset` the registers are left out of the reset, so that synthesis may make shift-register LUTs of them;
    strobes take `reset`.
    """
    for cycle in range(1, cycles + 1):
        register = Signal.like(value, name=f"{name}_{cycle}", reset_less=not reset)
        m.d.sync += register.eq(value)
        value = register
    return value


def select(m: Module, choices: Sequence[Value], index: Signal, *, name: str) -> Value:
    """`choices[index]`, to be registered: a level of 4:1 multiplexers, one LUT a bit each, a register, and the rest.

    The register keeps synthesis from merging the levels into something larger: docs/decisions/0002-drain.md.
    """
    partial = []
    for start in range(0, len(choices), 4):
        some = choices[start : start + 4]
        chosen = Signal(len(Value.cast(some[0])), name=f"{name}_{start}", reset_less=True)
        m.d.sync += chosen.eq(Array(some)[index[:2]] if len(some) > 1 else some[0])
        partial.append(chosen)
    if len(partial) == 1:
        return partial[0]
    return Array(partial)[delay(m, index[2:], 1, name=f"{name}_index")]

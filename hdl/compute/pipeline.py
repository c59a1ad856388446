"""Delay lines."""

from amaranth.hdl import Module, Signal, Value, ValueCastable


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

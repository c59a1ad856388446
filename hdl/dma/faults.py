"""What the engines of this folder share towards control."""

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Module, Signal, ValueLike

from .. import isa
from ..interfaces import EngineError


def report_first(m: Module, engine: Any, causes: Iterable[tuple[ValueLike, isa.Error, ValueLike]]) -> Signal:
    """Drives `engine.error` with the first cause that holds (of several at once, the first listed), one cycle later.

    Parameters
    ----------
    engine: a component with `interfaces.engine_members`.
    causes: (condition, code, layer); nothing counts under abort.

    Returns
    -------
    `stop`: a register: high from the cycle after abort and from that of the report on, until reset; the engine then
        begins nothing.
    """
    failed = Signal()
    fault = Signal(EngineError)
    stop = Signal()
    m.d.comb += engine.error.eq(fault)
    m.d.sync += [fault.valid.eq(0), stop.eq(engine.abort | failed)]
    taken: ValueLike = stop
    for condition, code, layer in causes:
        with m.If(condition & ~taken):
            m.d.sync += [
                failed.eq(1), stop.eq(1), fault.valid.eq(1), fault.code.eq(code), fault.layer.eq(layer),
            ]
        taken = taken | condition
    return stop
